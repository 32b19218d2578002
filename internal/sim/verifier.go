package sim

import (
	"crypto/x509"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/pki"
)

// leaf is a certificate and its key, in PEM, as somebody holds them.
type leaf struct{ cert, key string }

// verdict is what somebody thinks of a certificate that is shown to it.
type verdict struct {
	// problem is why it is refused; empty when it is accepted.
	problem string
	// expired is when it, or the CA that signed it, expired; zero when that is not why.
	expired time.Time
}

// verifier verifies certificates, and remembers what does not change with the time. Safe for concurrent use.
type verifier struct {
	mu      sync.Mutex
	leaves  map[leaf]*x509.Certificate
	bundles map[string]pki.Bundle
	issuers map[[2]string]*x509.Certificate
}

func newVerifier() *verifier {
	return &verifier{
		leaves: map[leaf]*x509.Certificate{}, bundles: map[string]pki.Bundle{},
		issuers: map[[2]string]*x509.Certificate{},
	}
}

// leaf is nil when the files hold no usable pair.
func (v *verifier) leaf(l leaf) *x509.Certificate {
	v.mu.Lock()
	defer v.mu.Unlock()
	cert, known := v.leaves[l]
	if !known {
		cert, _ = pki.ParsePair(pki.Pair{Cert: []byte(l.cert), Key: []byte(l.key)})
		v.leaves[l] = cert
	}
	return cert
}

// bundle is empty when the text holds none.
func (v *verifier) bundle(text string) pki.Bundle {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, known := v.bundles[text]
	if !known {
		b, _ = pki.ParseBundle([]byte(text))
		v.bundles[text] = b
	}
	return b
}

func (v *verifier) issuer(trust, cert string) *x509.Certificate {
	b := v.bundle(trust)
	v.mu.Lock()
	defer v.mu.Unlock()
	issuer, known := v.issuers[[2]string{trust, cert}]
	if !known {
		issuer = b.IssuerOf([]byte(cert))
		v.issuers[[2]string{trust, cert}] = issuer
	}
	return issuer
}

// judge tells whether somebody who trusts the CAs accepts the leaf.
func (v *verifier) judge(trust string, l leaf, now time.Time) verdict {
	cert := v.leaf(l)
	if cert == nil {
		return verdict{problem: "it shows no certificate"}
	}
	issuer := v.issuer(trust, l.cert)
	switch {
	case issuer == nil:
		return verdict{problem: "certificate signed by unknown authority"}
	case now.After(cert.NotAfter):
		return verdict{problem: "the certificate has expired", expired: cert.NotAfter}
	case now.After(issuer.NotAfter):
		return verdict{problem: "the CA has expired", expired: issuer.NotAfter}
	case now.Before(cert.NotBefore) || now.Before(issuer.NotBefore):
		return verdict{problem: "the certificate is not valid yet"}
	}
	return verdict{}
}

// common tells whether two bundles share a CA that is valid.
func (v *verifier) common(a, b string, now time.Time) bool {
	for _, ca := range v.bundle(a).Certificates() {
		if now.Before(ca.NotAfter) && v.bundle(b).Contains(pki.NewBundle(ca)) {
			return true
		}
	}
	return false
}

// lastExpiry is when the last CA of the bundle expires.
func (v *verifier) lastExpiry(trust string) time.Time {
	var last time.Time
	for _, ca := range v.bundle(trust).Certificates() {
		if ca.NotAfter.After(last) {
			last = ca.NotAfter
		}
	}
	return last
}
