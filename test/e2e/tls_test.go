//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

// withTLS changes what the spec says of certificates.
func withTLS(changes ...func(*v1alpha1.TLSSpec)) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		if s.TLS == nil {
			s.TLS = &v1alpha1.TLSSpec{}
		}
		for _, change := range changes {
			change(s.TLS)
		}
	}
}

func mode(m v1alpha1.TLSMode) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.Mode = &m }
}

func clientGrace(d time.Duration) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.ClientGrace = &metav1.Duration{Duration: d} }
}

func certificateLifetime(d time.Duration) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.CertificateLifetime = &metav1.Duration{Duration: d} }
}

func caRotation(text string) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.CARotation = ptr.To(text) }
}

// secret of the cluster's namespace.
func (c *cluster) secret(name string) *corev1.Secret {
	c.t.Helper()
	s := &corev1.Secret{}
	c.must(c.Client.Get(c.ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, s))
	return s
}

// identity is what the Secret of one of the cluster's certificates holds now.
func (c *cluster) identity(name state.CertificateName) framework.Identity {
	c.t.Helper()
	id, err := c.IdentityIn(c.ctx, c.secretKey(resources.CertificateSecretName(c.key.Name, name)))
	c.must(err)
	return id
}

func (c *cluster) secretKey(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: c.namespace, Name: name}
}

// published is the fingerprint of the certificate in the Secret of that name.
func (c *cluster) published(ctx context.Context, name state.CertificateName) (string, error) {
	s := &corev1.Secret{}
	if err := c.Client.Get(ctx, c.secretKey(resources.CertificateSecretName(c.key.Name, name)), s); err != nil {
		return "", err
	}
	certificate, err := pki.ParseCertificate(s.Data[corev1.TLSCertKey])
	if err != nil {
		return "", fmt.Errorf("Secret %s: %w", s.Name, err)
	}
	return pki.Fingerprint(certificate), nil
}

// fingerprints are those of all certificates that the cluster publishes.
func (c *cluster) fingerprints() map[state.CertificateName]string {
	c.t.Helper()
	all := map[state.CertificateName]string{}
	for _, name := range state.CertificateNames() {
		fingerprint, err := c.published(c.ctx, name)
		c.must(err)
		all[name] = fingerprint
	}
	return all
}

// address at which a port of the member can be reached, and the name by which its certificate is checked.
func (c *cluster) address(member string, port int) (address, serverName string) {
	c.t.Helper()
	address, stop, err := c.Reach(c.ctx, c.pod(member), port)
	c.must(err)
	c.t.Cleanup(stop)
	return address, c.host(member)
}

// host is the member's name among its peers.
func (c *cluster) host(member string) string {
	slot, _ := resources.ParseSlot(c.key.Name, member)
	return resources.PeerHost(c.namespace, c.key.Name, slot)
}

// everyMember calls f with the name of each member.
func (c *cluster) everyMember(f func(member string)) {
	c.t.Helper()
	members := c.get().Status.Members
	if len(members) == 0 {
		c.t.Fatal("the status names no member")
	}
	for _, m := range members {
		f(m.Name)
	}
}

// certificatesValid waits until nothing of the certificates is left to do, and the cluster is Ready.
func (c *cluster) certificatesValid() *v1alpha1.EtcdCluster {
	c.t.Helper()
	c.condition(v1alpha1.ConditionCertificatesValid, metav1.ConditionTrue, v1alpha1.ReasonCertificatesValid)
	return c.ready()
}
