// Package pkitest makes certificates for tests, and looks for private keys in texts that must not hold any.
package pkitest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/pki"
)

const caLifetime = 10 * 365 * 24 * time.Hour

// CA is a new certificate authority that lives for ten years.
func CA(t testing.TB, name string, now time.Time) pki.Pair {
	t.Helper()
	ca, err := pki.NewCA(name, now, caLifetime)
	if err != nil {
		t.Fatalf("make the CA %s: %v", name, err)
	}
	return ca
}

// Issue issues the certificate that is requested.
func Issue(t testing.TB, ca pki.Pair, r pki.Request, now time.Time) pki.Pair {
	t.Helper()
	pair, err := pki.Issue(ca, r, now)
	if err != nil {
		t.Fatalf("issue %+v: %v", r, err)
	}
	return pair
}

// Leaf is a certificate for servers and clients at the names, valid for a day.
func Leaf(t testing.TB, ca pki.Pair, now time.Time, names ...string) pki.Pair {
	t.Helper()
	return Issue(t, ca, pki.Request{
		CommonName: "test", DNSNames: names, Server: len(names) > 0, Client: true, Lifetime: 24 * time.Hour,
	}, now)
}

// Certificate is the certificate of the pair.
func Certificate(t testing.TB, p pki.Pair) *x509.Certificate {
	t.Helper()
	cert, err := pki.ParsePair(p)
	if err != nil {
		t.Fatalf("parse a pair: %v", err)
	}
	return cert
}

// Bundle is what somebody trusts who trusts the CAs.
func Bundle(t testing.TB, cas ...pki.Pair) pki.Bundle {
	t.Helper()
	var bundle pki.Bundle
	for _, ca := range cas {
		bundle = bundle.With(pki.NewBundle(Certificate(t, ca)))
	}
	return bundle
}

// Leak is how the text shows the private key, which is an ECDSA key of PKCS #8 as PEM; empty when it does not.
// It knows the key as text, as bytes in each notation of fmt, and as JSON.
func Leak(text string, keyPEM []byte) string {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return "unknown: what was looked for is no PEM block"
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return "unknown: what was looked for is no ECDSA key of PKCS #8"
	}
	secret, err := key.Bytes()
	if err != nil {
		return "unknown: " + err.Error()
	}
	notations := map[string]string{
		"JSON":           base64.StdEncoding.EncodeToString(keyPEM),
		"decimal scalar": new(big.Int).SetBytes(secret).String(),
	}
	// The lines of the PEM that hold the secret number: the others hold the public key, which certificates hold as well.
	const bytesInLine = 48
	first := bytes.Index(block.Bytes, secret)
	for i := first / bytesInLine; i <= (first+len(secret)-1)/bytesInLine; i++ {
		line := block.Bytes[i*bytesInLine : min((i+1)*bytesInLine, len(block.Bytes))]
		notations[fmt.Sprintf("line %d of the PEM", i+1)] = base64.StdEncoding.EncodeToString(line)
	}
	for what, content := range map[string][]byte{"PEM": keyPEM, "DER": block.Bytes, "scalar": secret} {
		notations[what+" in decimals"] = strings.Trim(fmt.Sprintf("%d", content), "[]")
		notations[what+" in Go notation"] = strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", content), "[]byte"), "{}")
		notations[what+" in hexadecimal"] = hex.EncodeToString(content)
		notations[what+" in upper-case hexadecimal"] = strings.ToUpper(hex.EncodeToString(content))
	}
	for notation, form := range notations {
		if strings.Contains(text, form) {
			return notation
		}
	}
	return ""
}
