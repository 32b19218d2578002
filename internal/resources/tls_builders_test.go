package resources

import (
	"bytes"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
)

// now is the time of the tests.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// tlsMode sets the mode, with all that it requires.
func tlsMode(mode v1alpha1.TLSMode) func(*v1alpha1.EtcdCluster) {
	return tlsGiven(func(s *v1alpha1.TLSSpec) {
		s.Mode = &mode
		switch mode {
		case v1alpha1.TLSCertManager:
			s.CertManager = &v1alpha1.CertManagerTLS{
				PeerIssuer:   v1alpha1.IssuerReference{Name: "peers"},
				ClientIssuer: v1alpha1.IssuerReference{Name: "clients"},
			}
		case v1alpha1.TLSSecrets:
			s.Secrets = &v1alpha1.SecretsTLS{Peer: "my-peer", Server: "my-server", Client: "my-client"}
		case v1alpha1.TLSManaged, v1alpha1.TLSDisabled:
		}
	})
}

// tlsGiven changes spec.tls.
func tlsGiven(change func(*v1alpha1.TLSSpec)) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) {
		if c.Spec.TLS == nil {
			c.Spec.TLS = &v1alpha1.TLSSpec{}
		}
		change(c.Spec.TLS)
	}
}

// certOnly is the pair without its key, as of an authority whose key is lost or somebody else's.
func certOnly(pairs ...pki.Pair) pki.Pair {
	var certs [][]byte
	for _, p := range pairs {
		certs = append(certs, p.Cert)
	}
	return pki.Pair{Cert: bytes.Join(certs, nil)}
}

// authoritySecret is the Secret of the peers' authority.
func authoritySecret(t *testing.T, a Authority) *corev1.Secret {
	t.Helper()
	s, err := AuthoritySecret(cluster(), state.PeerSide, a)
	if err != nil {
		t.Fatalf("make the Secret: %v", err)
	}
	return s
}

// expectNoKey fails when the text shows the private key of one of the pairs.
func expectNoKey(t *testing.T, text string, pairs ...pki.Pair) {
	t.Helper()
	for _, p := range pairs {
		if how := pkitest.Leak(text, p.Key); how != "" {
			t.Errorf("the message shows a private key (%s): %s", how, text)
		}
	}
}
