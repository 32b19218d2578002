package resources

import (
	"crypto/x509"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
)

// HasSource tells that certificates come from somebody else, not from the operator.
func HasSource(c *v1alpha1.EtcdCluster) bool { return len(SourceSecretNames(c)) > 0 }

// SourceSecretNames are the Secrets that certificates are taken from.
func SourceSecretNames(c *v1alpha1.EtcdCluster) []string {
	var names []string
	for _, name := range state.CertificateNames() {
		if s := SourceSecretName(c, name); s != "" {
			names = append(names, s)
		}
	}
	return names
}

// ParseSource describes a Secret that a certificate is to be taken from, and why it cannot be.
func ParseSource(
	c *v1alpha1.EtcdCluster, certificate state.CertificateName, s *corev1.Secret, want pki.Request, now time.Time,
) state.CertificateSource {
	name := SourceSecretName(c, certificate)
	out := state.CertificateSource{Secret: name}
	if keepsSecret(c.Name, name) {
		out.Problem = "Secret " + name + " is one that the operator writes: take the certificate from one of another name"
		return out
	}
	if s == nil {
		out.Problem = "Secret " + name + " does not exist"
		return out
	}
	pair, cert, bundle, err := CertificateIn(s)
	if err != nil {
		out.Problem = "Secret " + name + ": " + err.Error()
		return out
	}
	out.Fingerprint, out.CommonName, out.CA = pki.Fingerprint(cert), cert.Subject.CommonName, CAOf(bundle)
	if certificate != state.PeerCertificate {
		want.CommonName = "" // nobody but a peer demands one
	}
	if lacks := pki.Lacks(cert, want); lacks != "" {
		out.Problem = "Secret " + name + ": key " + corev1.TLSCertKey + ": " + lacks
		return out
	}
	for _, usage := range usages(want) {
		if err := bundle.Verify(pair.Cert, usage, now); err != nil {
			out.Problem = "Secret " + name + ": key " + corev1.TLSCertKey + ": " + err.Error()
			return out
		}
	}
	return out
}

func usages(want pki.Request) []x509.ExtKeyUsage {
	var list []x509.ExtKeyUsage
	if want.Server {
		list = append(list, x509.ExtKeyUsageServerAuth)
	}
	if want.Client {
		list = append(list, x509.ExtKeyUsageClientAuth)
	}
	return list
}

// keepsSecret tells that the operator writes the Secret of this name.
func keepsSecret(cluster, name string) bool {
	for _, certificate := range state.CertificateNames() {
		if name == CertificateSecretName(cluster, certificate) || name == AuthorityName(cluster, certificate.Side()) {
			return true
		}
	}
	return false
}
