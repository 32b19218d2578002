package resources

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
)

// Keys of Secrets.
const (
	keyCA           = "ca.crt"
	keyNextCert     = "next.crt"
	keyNextKey      = "next.key"
	keyPreviousCert = "previous.crt"
)

// Annotations of the Secrets of authorities.
const (
	annotationSince    = "quorate.dev/since"
	annotationRotation = "quorate.dev/ca-rotation"
	// annotationRecovery is the loss after which the authority was made from scratch.
	annotationRecovery = "quorate.dev/quorum-loss"
)

// BelongsToOther is the problem of an object of the cluster's name that somebody else controls.
const BelongsToOther = "belongs to something else"

// Authority is what the Secret of an authority holds. It holds private keys and is never part of an observation.
type Authority struct {
	// Signer signs; Next is to take its place, Previous was replaced. A CA whose key is lost, or held by somebody else,
	// has none here; Previous never has one.
	Signer, Next pki.Pair
	Previous     pki.Bundle
	Since        time.Time
	Rotation     string
	// Recovery is the ID of the quorum loss after which it was made from scratch; empty when there was none.
	Recovery string
}

// Bundle is all that the authority's side trusts.
func (a Authority) Bundle() (pki.Bundle, error) {
	all := a.Previous
	for _, pem := range [][]byte{a.Signer.Cert, a.Next.Cert} {
		if len(pem) == 0 {
			continue
		}
		b, err := pki.ParseBundle(pem)
		if err != nil {
			return pki.Bundle{}, err
		}
		all = all.With(b)
	}
	return all, nil
}

// AuthoritySecret is the Secret of an authority.
func AuthoritySecret(c *v1alpha1.EtcdCluster, side state.Side, a Authority) (*corev1.Secret, error) {
	bundle, err := a.Bundle()
	if err != nil {
		return nil, err
	}
	s := secret(c, AuthorityName(c.Name, side), ComponentAuthority, corev1.SecretTypeOpaque)
	s.Annotations = map[string]string{annotationSince: a.Since.UTC().Format(time.RFC3339)}
	if a.Rotation != "" {
		s.Annotations[annotationRotation] = a.Rotation
	}
	if a.Recovery != "" {
		s.Annotations[annotationRecovery] = a.Recovery
	}
	s.Data = map[string][]byte{keyCA: bundle.PEM()}
	for key, value := range map[string][]byte{
		corev1.TLSCertKey: a.Signer.Cert, corev1.TLSPrivateKeyKey: a.Signer.Key,
		keyNextCert: a.Next.Cert, keyNextKey: a.Next.Key, keyPreviousCert: a.Previous.PEM(),
	} {
		if len(value) > 0 {
			s.Data[key] = value
		}
	}
	return s, nil
}

// ReadAuthority decodes the Secret of an authority. The error tells what is damaged, never a key.
func ReadAuthority(s *corev1.Secret) (Authority, error) {
	a := Authority{
		Signer:   pki.Pair{Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]},
		Next:     pki.Pair{Cert: s.Data[keyNextCert], Key: s.Data[keyNextKey]},
		Rotation: s.Annotations[annotationRotation],
		Recovery: s.Annotations[annotationRecovery],
	}
	since, err := time.Parse(time.RFC3339, s.Annotations[annotationSince])
	if err != nil {
		return a, fmt.Errorf("annotation %s is no time", annotationSince)
	}
	a.Since = since
	if len(a.Next.Cert) == 0 && len(a.Next.Key) > 0 {
		return a, fmt.Errorf("key %s is missing", keyNextCert)
	}
	if err := checkCA(a.Signer); err != nil {
		return a, fmt.Errorf("key %s: %w", corev1.TLSCertKey, err)
	}
	if len(a.Next.Cert) > 0 {
		if err := checkCA(a.Next); err != nil {
			return a, fmt.Errorf("key %s: %w", keyNextCert, err)
		}
	}
	if pem := s.Data[keyPreviousCert]; len(pem) > 0 {
		if a.Previous, err = pki.ParseBundle(pem); err != nil {
			return a, fmt.Errorf("key %s: %w", keyPreviousCert, err)
		}
	}
	return a, sameBundle(a, s.Data[keyCA])
}

func checkCA(p pki.Pair) error {
	if _, err := pki.ParseBundle(p.Cert); err != nil {
		return err
	}
	if len(p.Key) == 0 {
		return nil
	}
	_, err := pki.ParsePair(p)
	return err
}

func sameBundle(a Authority, pem []byte) error {
	bundle, err := a.Bundle()
	if err != nil {
		return err
	}
	if !bytes.Equal(bundle.PEM(), pem) {
		return errors.New("key " + keyCA + " does not hold exactly the other certificates")
	}
	return nil
}

// ParseAuthority describes the Secret of an authority without its keys.
func ParseAuthority(s *corev1.Secret) (state.Authority, error) {
	a, err := ReadAuthority(s)
	if err != nil {
		return state.Authority{}, err
	}
	out := state.Authority{Exists: true, Recorded: true, Since: a.Since, Rotation: a.Rotation, Recovery: a.Recovery}
	signer, err := caState(a.Signer)
	if err != nil {
		return state.Authority{}, err
	}
	out.Signer = signer
	if len(a.Next.Cert) > 0 {
		next, err := caState(a.Next)
		if err != nil {
			return state.Authority{}, err
		}
		out.Next = &next
	}
	if !a.Previous.Empty() {
		previous := CAOf(a.Previous)
		out.Previous = &previous
	}
	bundle, err := a.Bundle()
	out.Bundle = bundle.Hash()
	return out, err
}

func caState(p pki.Pair) (state.CA, error) {
	bundle, err := pki.ParseBundle(p.Cert)
	if err != nil {
		return state.CA{}, err
	}
	ca := CAOf(bundle)
	ca.Key = len(p.Key) > 0
	return ca, nil
}

// CAOf describes CA certificates that are given together.
func CAOf(b pki.Bundle) state.CA {
	ca := state.CA{ID: b.Hash(), Certificates: fingerprints(b)}
	for i, cert := range b.Certificates() {
		if i == 0 || cert.NotAfter.Before(ca.NotAfter) {
			ca.NotBefore, ca.NotAfter, ca.RenewAt = cert.NotBefore, cert.NotAfter, pki.RenewAt(cert)
		}
	}
	return ca
}

func fingerprints(b pki.Bundle) []string {
	var list []string
	for _, cert := range b.Certificates() {
		list = append(list, pki.Fingerprint(cert))
	}
	return list
}

// CertificateSecret is the Secret of a certificate, with the CAs of its side.
func CertificateSecret(
	c *v1alpha1.EtcdCluster, name state.CertificateName, p pki.Pair, trusted pki.Bundle, since time.Time,
) *corev1.Secret {
	s := secret(c, CertificateSecretName(c.Name, name), ComponentCertificate, corev1.SecretTypeTLS)
	s.Annotations = map[string]string{annotationSince: since.UTC().Format(time.RFC3339)}
	s.Data = map[string][]byte{corev1.TLSCertKey: p.Cert, corev1.TLSPrivateKeyKey: p.Key, keyCA: trusted.PEM()}
	return s
}

// PublishedSince is when what the Secret of a certificate holds, apart from renewals, was first published.
func PublishedSince(s *corev1.Secret) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, s.Annotations[annotationSince])
	return at, err == nil
}

func secret(c *v1alpha1.EtcdCluster, name, component string, kind corev1.SecretType) *corev1.Secret {
	s := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: objectLabels(c.Name, component)},
		Type:       kind,
	}
	SetOwner(s, c, true)
	return s
}

// CertificateIn is the certificate, the key and the CAs in a Secret of type kubernetes.io/tls. The error names what is
// missing or damaged.
func CertificateIn(s *corev1.Secret) (pki.Pair, *x509.Certificate, pki.Bundle, error) {
	p := pki.Pair{Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, keyCA} {
		if len(s.Data[key]) == 0 {
			return p, nil, pki.Bundle{}, fmt.Errorf("lacks the key %s", key)
		}
	}
	cert, err := pki.ParsePair(p)
	if err != nil {
		return p, nil, pki.Bundle{}, fmt.Errorf("key %s or %s: %w", corev1.TLSCertKey, corev1.TLSPrivateKeyKey, err)
	}
	bundle, err := pki.ParseBundle(s.Data[keyCA])
	if err != nil {
		return p, nil, pki.Bundle{}, fmt.Errorf("key %s: %w", keyCA, err)
	}
	return p, cert, bundle, nil
}

// IssuerID is the ID of the authority's CA that signed the certificate in the Secret; empty when none did.
func IssuerID(authority, certificate *corev1.Secret) string {
	return IssuerOfChain(authority, certificate.Data[corev1.TLSCertKey])
}

// IssuerOfChain is IssuerID for a certificate that is in no Secret.
func IssuerOfChain(authority *corev1.Secret, chain []byte) string {
	if authority == nil {
		return ""
	}
	a, err := ReadAuthority(authority)
	if err != nil {
		return ""
	}
	for _, pem := range [][]byte{a.Signer.Cert, a.Next.Cert, a.Previous.PEM()} {
		b, err := pki.ParseBundle(pem)
		if err == nil && b.IssuerOf(chain) != nil {
			return b.Hash()
		}
	}
	return ""
}
