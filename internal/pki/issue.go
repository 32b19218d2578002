package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Backdate is how long before its issue a certificate becomes valid, so that peers whose clocks are behind accept it.
// It is less for lifetimes below it: a certificate is backdated by at most its lifetime. Two thirds of its life then
// never are over before a third of the lifetime has passed, and a new certificate is never at once due for renewal.
const Backdate = 5 * time.Minute

// NewCA makes a self-signed CA that can sign leaf certificates only, with a new ECDSA P-256 key in PKCS #8. It is valid
// from Backdate before now until lifetime after it.
//
// The name is the start of the subject's common name, cut to what RFC 5280 leaves room for. A random end makes the
// subject of every CA unique: a TLS server announces the subjects of the CAs that it trusts, so those in use can be
// told apart from outside.
func NewCA(name string, now time.Time, lifetime time.Duration) (Pair, error) {
	if name == "" {
		return Pair{}, errors.New("a CA needs a name")
	}
	from, to, err := validity(now, lifetime)
	if err != nil {
		return Pair{}, err
	}
	suffix := " " + strings.ToLower(rand.Text()[:12]) // 60 random bits
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: cut(name, maxName-len(suffix)) + suffix},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return sign(template, template, nil)
}

// Issue signs a new leaf certificate with a new ECDSA P-256 key in PKCS #8. The certificate comes without the CA's.
//
// It is valid from Backdate before now until r.Lifetime after it, but only while its CA is: it neither outlives the CA
// nor begins before it. As the end of the CA comes close, lifetimes get short, so the CA must be replaced in time.
//
// It fails when the request is not valid, when ca is no CA or not valid at now, or when the CA's own constraints would
// have the certificate refused.
func Issue(ca Pair, r Request, now time.Time) (Pair, error) {
	if err := r.Validate(); err != nil {
		return Pair{}, err
	}
	issuer, key, err := loadPair(ca)
	if err != nil {
		return Pair{}, fmt.Errorf("CA: %w", err)
	}
	if err := requireCA(issuer); err != nil {
		return Pair{}, err
	}
	template, err := leaf(issuer, r, now)
	if err != nil {
		return Pair{}, err
	}
	p, err := sign(template, issuer, key)
	if err != nil {
		return Pair{}, err
	}
	// The CA may be a user's, with constraints on names, usages or lengths of paths.
	for _, usage := range r.usages() {
		if err := NewBundle(issuer).Verify(p.Cert, usage, now); err != nil {
			return Pair{}, fmt.Errorf("the CA must not issue this certificate: %w", err)
		}
	}
	return p, nil
}

// leaf is the template of a valid request.
func leaf(issuer *x509.Certificate, r Request, now time.Time) (*x509.Certificate, error) {
	if now.Before(issuer.NotBefore) {
		return nil, fmt.Errorf("the CA %s is not valid before %s, it is now %s: is a clock wrong?",
			describe(issuer), stamp(issuer.NotBefore), stamp(now))
	}
	left := issuer.NotAfter.Sub(now)
	if left < time.Second {
		return nil, fmt.Errorf("the CA %s is valid until %s, it is now %s",
			describe(issuer), stamp(issuer.NotAfter), stamp(now))
	}
	from, to, err := validity(now, min(r.Lifetime, left))
	if err != nil {
		return nil, err
	}
	if from.Before(issuer.NotBefore) {
		from = issuer.NotBefore
	}
	w, err := r.wanted()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: r.CommonName},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           r.usages(),
		BasicConstraintsValid: true,
		DNSNames:              w.names,
	}
	if r.Organization != "" {
		template.Subject.Organization = []string{r.Organization}
	}
	for _, a := range w.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(a))
	}
	return template, nil
}

// validity is when a certificate that is issued now is valid, in the whole seconds of X.509.
func validity(now time.Time, lifetime time.Duration) (from, to time.Time, err error) {
	if now.IsZero() {
		return from, to, errors.New("the time is not given")
	}
	if lifetime < time.Second {
		return from, to, fmt.Errorf("the lifetime %s is shorter than one second", lifetime)
	}
	from = now.Add(-min(Backdate, lifetime)).UTC().Truncate(time.Second)
	return from, now.Add(lifetime).UTC().Truncate(time.Second), nil
}

// sign makes a key and a certificate for it. Without the parent's key the certificate signs itself.
func sign(template, parent *x509.Certificate, parentKey crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("generate a key: %w", err)
	}
	if parentKey == nil {
		parentKey = key
	}
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails
	template.SerialNumber = new(big.Int).SetBytes(serial)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a key: %w", err)
	}
	return Pair{Cert: encode(certificateType, der), Key: encode(privateKeyType, keyDER)}, nil
}

// requireCA says why a certificate must not sign others; nil when it may.
func requireCA(c *x509.Certificate) error {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return fmt.Errorf("the certificate %s is not a CA: its basic constraints do not say so", describe(c))
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("the certificate %s is not a CA: its key usage does not allow it to sign certificates",
			describe(c))
	}
	return nil
}

// RenewAt is when two thirds of the certificate's life are over, from NotBefore to NotAfter.
func RenewAt(c *x509.Certificate) time.Time {
	life := c.NotAfter.Sub(c.NotBefore) // at most 292 years
	return c.NotBefore.Add(life / 3 * 2)
}
