package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxChain is how many certificates a leaf's chain may have. It bounds the work of finding the way to a CA.
const maxChain = 16

// ParseCertificate returns the first certificate of a PEM chain. It fails when any block of the chain is something else
// than a certificate, or when the chain has more than 16. Text before a block is a comment, as OpenSSL writes them.
func ParseCertificate(chainPEM []byte) (*x509.Certificate, error) {
	chain, err := parseChain(chainPEM)
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

func parseChain(data []byte) ([]*x509.Certificate, error) {
	chain, err := parseCertificates(data)
	if err == nil && len(chain) > maxChain {
		return nil, fmt.Errorf("a chain of %d certificates: at most %d are allowed", len(chain), maxChain)
	}
	return chain, err
}

// parseCertificates returns at least one certificate, or an error.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := decode(data)
	if err != nil {
		return nil, err
	}
	certs := make([]*x509.Certificate, 0, len(blocks))
	for i, b := range blocks {
		if b.Type != certificateType {
			return nil, fmt.Errorf("PEM block %d is %s, not a certificate", i+1, kind(b))
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			// The parser quotes what it read, which may be long: what goes before says what is wrong.
			why, _, _ := strings.Cut(err.Error(), `"`)
			return nil, fmt.Errorf("PEM block %d is not a valid certificate: %s", i+1, strings.TrimSpace(why))
		}
		certs = append(certs, c)
	}
	return certs, nil
}

const (
	beginMark = "-----BEGIN"
	endMark   = "-----END"
	// base64OfPEM is how "-----BEGIN " begins in base64.
	base64OfPEM = "LS0tLS1CRUdJTi"
)

// decode returns the PEM blocks of the data, at least one. Unlike pem.Decode it does not skip what it cannot read: a
// bundle with a damaged certificate would otherwise silently trust less than it says.
func decode(data []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for len(bytes.TrimSpace(data)) > 0 {
		b, rest := pem.Decode(data)
		// Each block that was read has one mark of each kind, and what is left without a block has none.
		marks, read := 1, data[:len(data)-len(rest)]
		if b == nil {
			marks, read = 0, data
		}
		switch {
		case bytes.Count(read, []byte(beginMark)) != marks, bytes.Count(read, []byte(endMark)) != marks:
			return nil, fmt.Errorf("PEM block %d is damaged, or does not begin at the start of a line", len(blocks)+1)
		case b == nil && len(blocks) > 0:
			return nil, fmt.Errorf("something follows PEM block %d that is no PEM block", len(blocks))
		case b == nil && bytes.HasPrefix(bytes.TrimSpace(data), []byte(base64OfPEM)):
			return nil, errors.New("no PEM block: it is encoded in base64 once more")
		case b == nil:
			return nil, errors.New("no PEM block")
		}
		blocks, data = append(blocks, b), rest
	}
	if len(blocks) == 0 {
		return nil, errors.New("no PEM block: it is empty")
	}
	return blocks, nil
}

// kind is the type of a block with an article. Unknown types are not repeated: they may be anything.
func kind(b *pem.Block) string {
	switch b.Type {
	case certificateType, privateKeyType, "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "DH PARAMETERS":
		return "a " + b.Type
	case "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PARAMETERS",
		"X509 CRL":
		return "an " + b.Type
	}
	return "of an unknown type"
}

func encode(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}
