package resources

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
)

// Keys of the ConfigMap with what members trust.
const (
	keyPeerTrust   = "peer-ca.crt"
	keyClientTrust = "client-ca.crt"
	keyPeerName    = "peer-common-name"
)

// Trust is the ConfigMap with the CAs that members trust, and the common name that they demand of one another, which
// is none with anyPeerName. Its name is made from its content, so that a Pod that mounts it is known to trust exactly
// that: etcd reads CAs only at its start (client/pkg/transport, TLSInfo).
func Trust(c *v1alpha1.EtcdCluster, peer, client pki.Bundle, anyPeerName bool) *corev1.ConfigMap {
	demanded := demandedName(c, anyPeerName)
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: TrustName(c.Name, peer, client, demanded),
			Labels: objectLabels(c.Name, ComponentTrust),
		},
		Data: map[string]string{
			keyPeerTrust: string(peer.PEM()), keyClientTrust: string(client.PEM()), keyPeerName: demanded,
		},
		Immutable: new(true),
	}
	SetOwner(cm, c, true)
	return cm
}

// ReadTrust decodes a ConfigMap that Trust made.
func ReadTrust(cluster string, cm *corev1.ConfigMap) (peer, client pki.Bundle, err error) {
	if peer, err = pki.ParseBundle([]byte(cm.Data[keyPeerTrust])); err != nil {
		return peer, client, fmt.Errorf("key %s: %w", keyPeerTrust, err)
	}
	if client, err = pki.ParseBundle([]byte(cm.Data[keyClientTrust])); err != nil {
		return peer, client, fmt.Errorf("key %s: %w", keyClientTrust, err)
	}
	if cm.Name != TrustName(cluster, peer, client, cm.Data[keyPeerName]) {
		return peer, client, errors.New("its name does not fit its content")
	}
	return peer, client, nil
}

// ParseTrust describes a ConfigMap that Trust made.
func ParseTrust(cluster string, cm *corev1.ConfigMap) (state.Trust, error) {
	peer, client, err := ReadTrust(cluster, cm)
	if err != nil {
		return state.Trust{}, err
	}
	return state.Trust{
		Peer: fingerprints(peer), Client: fingerprints(client), ResourceVersion: cm.ResourceVersion,
		Created: cm.CreationTimestamp.Time,
	}, nil
}

// WantedTrust is the name of the ConfigMap with what the authorities of the sides say; empty while one is missing.
func WantedTrust(c *v1alpha1.EtcdCluster, peer, client state.Authority, anyPeerName bool) string {
	if !peer.Recorded || !client.Recorded {
		return ""
	}
	return trustName(c.Name, peer.Bundle, client.Bundle, demandedName(c, anyPeerName))
}
