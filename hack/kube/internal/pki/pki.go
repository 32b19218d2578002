// Package pki makes the certificate authorities and certificates of the local Kubernetes.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// validity is long enough for any test cluster.
const validity = 365 * 24 * time.Hour

// Authority signs certificates and writes them into one directory.
type Authority struct {
	dir         string
	name        string
	certificate *x509.Certificate
	key         crypto.Signer
}

// Pair names the files of a certificate and its key.
type Pair struct{ Certificate, Key string }

// Subject says for whom a certificate is. Names and Addresses make it one that can also serve.
type Subject struct {
	File         string // base name of the files
	CommonName   string
	Organization string
	Names        []string
	Addresses    []netip.Addr
}

// NewAuthority creates an authority in dir.
func NewAuthority(dir, name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create authority %s: %w", name, err)
	}
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, fmt.Errorf("create authority %s: %w", name, err)
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create authority %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("create authority %s: %w", name, err)
	}
	authority := &Authority{dir: dir, name: name, certificate: certificate, key: key}
	return authority, writePair(authority.Files(), der, key)
}

// LoadAuthority reads an authority that NewAuthority has written.
func LoadAuthority(dir, name string) (*Authority, error) {
	files := pairIn(dir, name)
	certPEM, certErr := os.ReadFile(files.Certificate)
	keyPEM, keyErr := os.ReadFile(files.Key)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, fmt.Errorf("load authority %s: %w", name, err)
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("load authority %s: its files hold no PEM", name)
	}
	certificate, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("load authority %s: %w", name, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("load authority %s: %w", name, err)
	}
	return &Authority{dir: dir, name: name, certificate: certificate, key: key}, nil
}

// Files are the authority's own certificate and key.
func (a *Authority) Files() Pair { return pairIn(a.dir, a.name) }

// Issue writes a certificate and key for subject.
func (a *Authority) Issue(subject Subject) (Pair, error) {
	files := pairIn(a.dir, subject.File)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, fmt.Errorf("issue %s: %w", subject.File, err)
	}
	name := pkix.Name{CommonName: subject.CommonName}
	if subject.Organization != "" {
		name.Organization = []string{subject.Organization}
	}
	template, err := newTemplate(name)
	if err != nil {
		return files, fmt.Errorf("issue %s: %w", subject.File, err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(subject.Names)+len(subject.Addresses) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	template.DNSNames = subject.Names
	for _, address := range subject.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return files, fmt.Errorf("issue %s: %w", subject.File, err)
	}
	return files, writePair(files, der, key)
}

// NewSigningKey writes a key pair for signing service account tokens.
func NewSigningKey(dir, name string) (Pair, error) {
	files := Pair{Certificate: filepath.Join(dir, name+".pub"), Key: filepath.Join(dir, name+".key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, fmt.Errorf("create key %s: %w", name, err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return files, fmt.Errorf("create key %s: %w", name, err)
	}
	if err := writePEM(files.Certificate, "PUBLIC KEY", public); err != nil {
		return files, err
	}
	return files, writeKey(files.Key, key)
}

// newTemplate backdates the certificate a little, as clocks may differ.
func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(validity),
	}, nil
}

func pairIn(dir, name string) Pair {
	return Pair{Certificate: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

func writePair(files Pair, der []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(files.Certificate, "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(files.Key, key)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
