package kubetest

import (
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// Cluster is the EtcdCluster shop/demo in the TLS mode, with all that the mode requires.
func Cluster(mode v1alpha1.TLSMode, change ...func(*v1alpha1.EtcdCluster)) *v1alpha1.EtcdCluster {
	c := &v1alpha1.EtcdCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo", UID: "uid-demo", Generation: 1},
		Spec:       v1alpha1.EtcdClusterSpec{TLS: &v1alpha1.TLSSpec{Mode: &mode}},
	}
	switch mode {
	case v1alpha1.TLSCertManager:
		c.Spec.TLS.CertManager = &v1alpha1.CertManagerTLS{
			PeerIssuer: v1alpha1.IssuerReference{Name: "peers"}, ClientIssuer: v1alpha1.IssuerReference{Name: "clients"},
		}
	case v1alpha1.TLSSecrets:
		c.Spec.TLS.Secrets = &v1alpha1.SecretsTLS{Peer: "my-peer", Server: "my-server", Client: "my-client"}
	case v1alpha1.TLSManaged, v1alpha1.TLSDisabled:
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// TLS is what Kubernetes holds of a cluster that speaks TLS. It may be changed before Objects is called.
type TLS struct {
	Cluster *v1alpha1.EtcdCluster
	// Authorities of the sides, without the keys that are not the operator's.
	Authorities map[state.Side]resources.Authority
	// Certificates that are published.
	Certificates map[state.CertificateName]pki.Pair
	// Sources from which they were taken, by the names of their Secrets; none in mode Managed.
	Sources map[string]*corev1.Secret
	// CAs that sign, with their keys.
	CAs map[state.Side]pki.Pair

	t   testing.TB
	now time.Time
}

// NewTLS makes everything that the cluster needs, at the time.
func NewTLS(t testing.TB, c *v1alpha1.EtcdCluster, now time.Time) *TLS {
	t.Helper()
	o := &TLS{
		Cluster: c, Authorities: map[state.Side]resources.Authority{}, Sources: map[string]*corev1.Secret{},
		Certificates: map[state.CertificateName]pki.Pair{}, CAs: map[state.Side]pki.Pair{}, t: t, now: now,
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		ca := pkitest.CA(t, c.Name+" "+string(side), now)
		o.CAs[side] = ca
		if resources.HasSource(c) {
			ca.Key = nil
		}
		o.Authorities[side] = resources.Authority{Signer: ca, Since: now, Rotation: resources.CARotation(c)}
	}
	for _, name := range state.CertificateNames() {
		o.Certificates[name] = o.Issue(name, now)
	}
	for _, name := range state.CertificateNames() {
		if source := resources.SourceSecretName(c, name); source != "" {
			// In mode Secrets one serves as the clients' and as the operator's.
			o.Certificates[name] = o.sourceOf(source, name)
		}
	}
	return o
}

func (o *TLS) sourceOf(source string, name state.CertificateName) pki.Pair {
	o.t.Helper()
	if s := o.Sources[source]; s != nil {
		return pki.Pair{Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
	}
	o.Sources[source] = o.Source(source, o.Certificates[name], o.CAs[name.Side()])
	return o.Certificates[name]
}

// Issue issues the certificate as it is wanted, at the time, by the CA that signs.
func (o *TLS) Issue(name state.CertificateName, at time.Time) pki.Pair {
	o.t.Helper()
	return pkitest.Issue(o.t, o.CAs[name.Side()], resources.CertificateRequest(o.Cluster, name, nil, 0), at)
}

// Source is a Secret of somebody else with a certificate, without the label by which the operator notices changes.
func (o *TLS) Source(name string, pair, ca pki.Pair) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Cluster.Namespace, Name: name, UID: types.UID("uid-" + name)},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key, "ca.crt": ca.Cert},
	}
}

// Bundle is all that the side trusts.
func (o *TLS) Bundle(side state.Side) pki.Bundle {
	o.t.Helper()
	bundle, err := o.Authorities[side].Bundle()
	if err != nil {
		o.t.Fatalf("the bundle of the %s side: %v", side, err)
	}
	return bundle
}

// Trust is the ConfigMap with what members trust.
func (o *TLS) Trust() *corev1.ConfigMap {
	o.t.Helper()
	cm := resources.Trust(o.Cluster, o.Bundle(state.PeerSide), o.Bundle(state.ClientSide), false)
	cm.UID = types.UID("uid-" + cm.Name)
	return cm
}

// Authority is the Secret of a side's authority.
func (o *TLS) Authority(side state.Side) *corev1.Secret {
	o.t.Helper()
	s, err := resources.AuthoritySecret(o.Cluster, side, o.Authorities[side])
	if err != nil {
		o.t.Fatalf("the Secret of the %s CA: %v", side, err)
	}
	s.UID = types.UID("uid-" + s.Name)
	return s
}

// Certificate is the Secret in which a certificate is published.
func (o *TLS) Certificate(name state.CertificateName) *corev1.Secret {
	o.t.Helper()
	s := resources.CertificateSecret(o.Cluster, name, o.Certificates[name], o.Bundle(name.Side()), o.now)
	s.UID = types.UID("uid-" + s.Name)
	return s
}

// Objects are all of them, with the EtcdCluster. The functions may change or, by returning nil, leave out objects.
func (o *TLS) Objects(change ...func(client.Object) client.Object) []client.Object {
	o.t.Helper()
	all := []client.Object{
		o.Cluster.DeepCopy(), o.Authority(state.PeerSide), o.Authority(state.ClientSide), o.Trust(),
	}
	for _, name := range state.CertificateNames() {
		all = append(all, o.Certificate(name))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Sources)) {
		all = append(all, o.Sources[name].DeepCopy())
	}
	var kept []client.Object
	for _, obj := range all {
		for _, f := range change {
			if obj != nil {
				obj = f(obj)
			}
		}
		if obj != nil {
			kept = append(kept, obj)
		}
	}
	return kept
}

// Without leaves out the objects of the names.
func Without(names ...string) func(client.Object) client.Object {
	return func(obj client.Object) client.Object {
		if slices.Contains(names, obj.GetName()) {
			return nil
		}
		return obj
	}
}

// Changing changes the Secret of the name.
func Changing(name string, change func(*corev1.Secret)) func(client.Object) client.Object {
	return func(obj client.Object) client.Object {
		if s, ok := obj.(*corev1.Secret); ok && s.Name == name {
			change(s)
		}
		return obj
	}
}

// LeakOf tells which private key of the Secrets in the API the text shows, and how; empty when none. What is no private
// key, because a test damaged it, is left out.
func (a *API) LeakOf(ctx context.Context, text string) (string, error) {
	var list corev1.SecretList
	if err := a.List(ctx, &list); err != nil {
		return "", fmt.Errorf("list the Secrets: %w", err)
	}
	for _, s := range list.Items {
		for _, key := range []string{corev1.TLSPrivateKeyKey, "next.key"} {
			if block, _ := pem.Decode(s.Data[key]); block == nil || block.Type != "PRIVATE KEY" {
				continue
			}
			if how := pkitest.Leak(text, s.Data[key]); how != "" {
				return fmt.Sprintf("%s of Secret %s (%s)", key, s.Name, how), nil
			}
		}
	}
	return "", nil
}

// LeakOf tells which of the private keys that were made the text shows, and how; empty when none.
func (o *TLS) LeakOf(text string) string {
	pairs := map[string]pki.Pair{}
	for side, ca := range o.CAs {
		pairs["the "+string(side)+" CA"] = ca
		pairs["the "+string(side)+" CA that signs"] = o.Authorities[side].Signer
		pairs["the next "+string(side)+" CA"] = o.Authorities[side].Next
	}
	for name, pair := range o.Certificates {
		pairs["the "+string(name)+" certificate"] = pair
	}
	for whose, pair := range pairs {
		if len(pair.Key) == 0 {
			continue
		}
		if how := pkitest.Leak(text, pair.Key); how != "" {
			return "the private key of " + whose + " (" + how + ")"
		}
	}
	return ""
}
