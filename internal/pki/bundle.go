package pki

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bundle is a set of CA certificates that are trusted together. It does not change; equal sets have equal hashes. The
// zero value is the empty bundle, which trusts nobody.
type Bundle struct {
	certs []*x509.Certificate // the oldest first, then by content; each once
}

// ParseBundle reads the CA certificates of a PEM file. It fails when there is none, and when anything in the file is
// not a CA certificate.
func ParseBundle(bundlePEM []byte) (Bundle, error) {
	certs, err := parseCertificates(bundlePEM)
	if err != nil {
		return Bundle{}, err
	}
	for _, c := range certs {
		if err := requireCA(c); err != nil {
			return Bundle{}, err
		}
	}
	return NewBundle(certs...), nil
}

// NewBundle is the set of the certificates; nil ones are left out. The caller knows that they are CAs.
func NewBundle(certs ...*x509.Certificate) Bundle {
	set := slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool { return c == nil })
	slices.SortFunc(set, func(a, b *x509.Certificate) int {
		return cmp.Or(a.NotBefore.Compare(b.NotBefore), bytes.Compare(a.Raw, b.Raw))
	})
	return Bundle{certs: slices.CompactFunc(set, (*x509.Certificate).Equal)}
}

// With is the union of the bundles.
func (b Bundle) With(other Bundle) Bundle { return NewBundle(slices.Concat(b.certs, other.certs)...) }

// Contains says whether the bundle trusts every CA of the other one.
func (b Bundle) Contains(other Bundle) bool {
	return !slices.ContainsFunc(other.certs, func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(b.certs, c.Equal)
	})
}

// Empty says whether the bundle trusts nobody.
func (b Bundle) Empty() bool { return len(b.certs) == 0 }

// Certificates are the CAs, the oldest first. They are shared: do not change them.
func (b Bundle) Certificates() []*x509.Certificate { return slices.Clone(b.certs) }

// PEM is the bundle as a file, without comments, the oldest CA first; empty for the empty bundle.
func (b Bundle) PEM() []byte {
	var out []byte
	for _, c := range b.certs {
		out = append(out, encode(certificateType, c.Raw)...)
	}
	return out
}

// Hash is 16 hexadecimal digits that are equal for equal bundles; empty for the empty bundle.
func (b Bundle) Hash() string {
	if b.Empty() {
		return ""
	}
	h := sha256.New()
	for _, c := range b.certs {
		h.Write(c.Raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// String names the CAs.
func (b Bundle) String() string {
	if b.Empty() {
		return "no CA"
	}
	names := make([]string, len(b.certs))
	for i, c := range b.certs {
		names[i] = c.Subject.String()
	}
	return list("CA", names)
}

// Pool is the bundle for crypto/tls. It is never nil, for which crypto/tls would take the CAs of the machine.
func (b Bundle) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range b.certs {
		pool.AddCert(c)
	}
	return pool
}

// Issuer is the CA of the bundle that signed the certificate: its name and its signature are checked, but not when it
// is valid. Of several certificates of a CA that kept its key it is the newest. It is nil when no CA of the bundle
// signed.
func (b Bundle) Issuer(c *x509.Certificate) *x509.Certificate {
	for _, ca := range slices.Backward(b.certs) {
		if signed(ca, c) {
			return ca
		}
	}
	return nil
}

// IssuerOf is Issuer for the first certificate of a PEM chain, also when only intermediates of the chain lead to the
// CA. It is nil when nothing leads to a CA of the bundle, and when the chain cannot be read.
func (b Bundle) IssuerOf(chainPEM []byte) *x509.Certificate {
	chain, err := parseChain(chainPEM)
	if err != nil {
		return nil
	}
	reached, rest := chain[:1], chain[1:]
	for len(reached) > 0 {
		c := reached[0]
		if ca := b.Issuer(c); ca != nil {
			return ca
		}
		// Each intermediate is reached once at most, so that cross-signed ones cannot lead in a circle.
		var next, later []*x509.Certificate
		for _, i := range rest {
			if signed(i, c) {
				next = append(next, i)
			} else {
				later = append(later, i)
			}
		}
		reached, rest = slices.Concat(reached[1:], next), later
	}
	return nil
}

func signed(ca, c *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
}

// Verify says why a peer that trusts the bundle would not accept the first certificate of a PEM chain, with the others
// as intermediates, at the time for the usage; nil when it would. The names of the certificate are left to Lacks. The
// error wraps that of crypto/x509, such as x509.UnknownAuthorityError.
func (b Bundle) Verify(chainPEM []byte, usage x509.ExtKeyUsage, now time.Time) error {
	chain, err := parseChain(chainPEM)
	if err != nil {
		return err
	}
	if now.IsZero() {
		return errors.New("the time is not given") // crypto/x509 would take that of the machine
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots:         b.Pool(),
		Intermediates: NewBundle(chain[1:]...).Pool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return fmt.Errorf("the certificate %s, issued by %s: %w",
			describe(chain[0]), quote(chain[0].Issuer.String()), bounded{err})
	}
	return nil
}
