// Package pki makes, reads and compares the certificates of a cluster: certificate authorities, leaf certificates and
// bundles of trusted authorities. It is pure: the time is passed in, and nothing is read or written.
//
// Everything that it reads may come from a user. What it says about that is bounded in length and never repeats a key.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

const (
	certificateType = "CERTIFICATE"
	privateKeyType  = "PRIVATE KEY"
)

// Pair is a certificate and its private key, PEM encoded as in a Secret of type kubernetes.io/tls. Cert may go on with
// the intermediates that lead to a trusted CA.
//
// Printed or marshalled it shows the subject and the fingerprint of the certificate, never the key. Go's fmt does not
// ask the values of unexported fields how they print: keep a Pair out of those of a struct that is printed.
type Pair struct {
	Cert, Key []byte
}

// String is the subject and the fingerprint of the certificate, or "no certificate".
func (p Pair) String() string {
	c, err := ParseCertificate(p.Cert)
	if err != nil {
		return "no certificate"
	}
	return describe(c) + " sha256:" + Fingerprint(c)
}

// GoString is the same as String.
func (p Pair) GoString() string { return p.String() }

// Format prints the same as String, whatever the verb: %x of a struct would show the bytes of the key.
func (p Pair) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, p.String()) // as in fmt itself, the printer keeps the error of its writer
}

// MarshalJSON is String as a JSON string.
func (p Pair) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// ParsePair returns the certificate of the pair, which is the first of its chain. It fails when the certificate or the
// key cannot be read or the key does not belong to the certificate. The key may be PKCS #8, SEC 1 or PKCS #1; RSA,
// ECDSA or Ed25519. Whether the certificate is valid at some time, and who signed it, is not looked at.
func ParsePair(p Pair) (*x509.Certificate, error) {
	c, _, err := loadPair(p)
	return c, err
}

func loadPair(p Pair) (*x509.Certificate, crypto.Signer, error) {
	chain, err := parseChain(p.Cert)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := parseKey(p.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	for i, c := range chain {
		switch {
		case !belongs(key, c):
		case i == 0:
			return c, key, nil
		default:
			return nil, nil, fmt.Errorf("the private key belongs to certificate %d of the chain: put that one first", i+1)
		}
	}
	return nil, nil, fmt.Errorf("the private key does not belong to the certificate %s", describe(chain[0]))
}

func belongs(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// parseKey reads the only private key of the data. Errors do not wrap those of the parsers, to be sure that they show
// nothing of the key.
func parseKey(data []byte) (crypto.Signer, error) {
	blocks, err := decode(data)
	if err != nil {
		return nil, err
	}
	// `openssl ecparam -genkey` writes the curve in a block before the key, which names it again.
	if blocks[0].Type == "EC PARAMETERS" && len(blocks) > 1 {
		blocks = blocks[1:]
	}
	b := blocks[0]
	_, encrypted := b.Headers["DEK-Info"]
	switch {
	case len(blocks) > 1:
		return nil, errors.New("there must be only one PEM block, the key")
	case encrypted || b.Type == "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the key is encrypted: store it without a passphrase")
	default:
		return signer(b)
	}
}

func signer(b *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch b.Type {
	case privateKeyType:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	default:
		return nil, fmt.Errorf("the PEM block is %s, not a private key", kind(b))
	}
	if err != nil {
		return nil, fmt.Errorf("the %s cannot be parsed: it is damaged or of an unsupported kind", b.Type)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errors.New("the key cannot sign: use ECDSA, RSA or Ed25519")
}

// Fingerprint is the SHA-256 of the certificate, in 64 hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
