package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/pki"
)

// now is not on a whole second, as no clock is.
var now = time.Date(2027, time.March, 4, 5, 6, 7, 890_000_000, time.UTC)

const (
	hour = time.Hour
	year = 365 * 24 * time.Hour
)

func newCA(t testing.TB, at time.Time) pki.Pair {
	t.Helper()
	p, err := pki.NewCA("demo peers", at, year)
	if err != nil {
		t.Fatalf("make a CA: %v", err)
	}
	return p
}

// peer is the request for a member's certificate, changed by the given functions.
func peer(change ...func(*pki.Request)) pki.Request {
	r := pki.Request{
		CommonName: "0a1b2c3d", DNSNames: []string{"demo-0.demo-peers.shop.svc", "localhost"},
		IPs: []string{"127.0.0.1", "fd00::1"}, Server: true, Client: true, Lifetime: 24 * hour,
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func names(names ...string) func(*pki.Request) {
	return func(r *pki.Request) { r.DNSNames = names }
}

func addresses(ips ...string) func(*pki.Request) {
	return func(r *pki.Request) { r.IPs = ips }
}

func usages(server, client bool) func(*pki.Request) {
	return func(r *pki.Request) { r.Server, r.Client = server, client }
}

func commonName(name string) func(*pki.Request) {
	return func(r *pki.Request) { r.CommonName = name }
}

func organization(name string) func(*pki.Request) {
	return func(r *pki.Request) { r.Organization = name }
}

func lifetime(d time.Duration) func(*pki.Request) {
	return func(r *pki.Request) { r.Lifetime = d }
}

func issue(t testing.TB, ca pki.Pair, r pki.Request, at time.Time) pki.Pair {
	t.Helper()
	p, err := pki.Issue(ca, r, at)
	if err != nil {
		t.Fatalf("issue %+v: %v", r, err)
	}
	return p
}

func certificate(t testing.TB, p pki.Pair) *x509.Certificate {
	t.Helper()
	c, err := pki.ParsePair(p)
	if err != nil {
		t.Fatalf("parse a pair: %v", err)
	}
	return c
}

// trust is the bundle of the CAs.
func trust(t testing.TB, cas ...pki.Pair) pki.Bundle {
	t.Helper()
	var b pki.Bundle
	for _, ca := range cas {
		b = b.With(pki.NewBundle(certificate(t, ca)))
	}
	return b
}

// parent is a CA that others made; nil signs itself.
type parent struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// foreign makes a certificate as others may make it, in ways that Issue and NewCA never do.
func foreign(t testing.TB, by *parent, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foreign"},
		NotBefore: now.Add(-hour), NotAfter: now.Add(year), BasicConstraintsValid: true,
	}
	change(template)
	if by == nil {
		by = &parent{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatalf("make a foreign certificate: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parse a foreign certificate: %v", err)
	}
	return c
}

// foreignCA is a CA of the name that signs at any depth.
func foreignCA(t testing.TB, name string, by *parent, change ...func(*x509.Certificate)) *parent {
	t.Helper()
	key := ecdsaKey(t)
	return &parent{foreign(t, by, key, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage = name, true, x509.KeyUsageCertSign
		for _, f := range change {
			f(c)
		}
	}), key}
}

func (p *parent) pair(t testing.TB) pki.Pair {
	t.Helper()
	return pki.Pair{Cert: chain(p.cert), Key: pkcs8(t, p.key)}
}

func chain(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, block("CERTIFICATE", c.Raw)...)
	}
	return out
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ecdsaKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	return must(rsa.GenerateKey(rand.Reader, 2048))(t)
}

func ed25519Key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)(t)
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))(t))
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// keyOf is the pair as crypto/tls wants it.
func keyOf(t testing.TB, p pki.Pair) tls.Certificate {
	t.Helper()
	return must(tls.X509KeyPair(p.Cert, p.Key))(t)
}

// wantError fails unless the error contains the text; an empty text wants no error.
func wantError(t testing.TB, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("got error %q, want none", err)
	case text != "" && err == nil:
		t.Errorf("got no error, want one with %q", text)
	case text != "" && !strings.Contains(err.Error(), text):
		t.Errorf("got error %q, want one with %q", err, text)
	}
}
