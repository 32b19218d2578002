package etcd

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
)

// errNoCredentials tells that a member speaks TLS and the operator has no certificate for its cluster (yet).
var errNoCredentials = errors.New("the operator has no certificate for this cluster yet")

// Credentials hold the operator's certificate for each cluster, and the CAs of its members. They are asked at every
// handshake, so that a renewal takes effect without a new client. Safe for concurrent use.
type Credentials struct {
	mu       sync.Mutex
	clusters map[string]credential
	peers    map[string]tls.Certificate
}

type credential struct {
	certificate tls.Certificate
	roots       *x509.CertPool
}

// SetPeer keeps the certificate that the members of the cluster show one another, for Served only.
func (c *Credentials) SetPeer(cluster string, certificate tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		c.peers = map[string]tls.Certificate{}
	}
	c.peers[cluster] = certificate
}

// Set keeps the certificate for the cluster ("namespace/name"), and the CAs that its members' must come from.
func (c *Credentials) Set(cluster string, certificate tls.Certificate, roots *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clusters == nil {
		c.clusters = map[string]credential{}
	}
	c.clusters[cluster] = credential{certificate, roots}
}

// Forget drops what is held for the cluster.
func (c *Credentials) Forget(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.clusters, cluster)
	delete(c.peers, cluster)
}

// Certificates that a member of the cluster accepts of a peer and of a client; empty ones when none are held.
func (c *Credentials) Certificates(cluster string) (peer, client *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, held := c.peers[cluster], c.clusters[cluster]
	return &p, &held.certificate
}

func (c *Credentials) of(cluster string) (credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held, found := c.clusters[cluster]
	if !found {
		return credential{}, errNoCredentials
	}
	return held, nil
}

// Config is the TLS configuration for the members of the cluster. Certificates are verified by VerifyConnection, with
// the CAs of the time of the handshake, for the ServerName that the pool sets.
func (c *Credentials) Config(cluster string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			held, err := c.of(cluster)
			return &held.certificate, err
		},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, with the CAs of the time
		VerifyConnection: func(conn tls.ConnectionState) error {
			held, err := c.of(cluster)
			if err != nil {
				return err
			}
			return verify(conn, held.roots)
		},
	}
}

func verify(conn tls.ConnectionState, roots *x509.CertPool) error {
	if len(conn.PeerCertificates) == 0 {
		return errors.New("the member shows no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range conn.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := conn.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: conn.ServerName, Roots: roots, Intermediates: intermediates,
	})
	if err != nil {
		return fmt.Errorf("the member's certificate: %w", err)
	}
	return nil
}

// Served is the SHA-256 fingerprint of the certificate that a process serves at the address, whoever signed it: what
// is asked is whether a renewed one has arrived. The process sees a handshake with the given certificate and nothing
// more.
func Served(ctx context.Context, address string, certificate *tls.Certificate) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent and nothing is believed but the fingerprint
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate, nil
		},
	}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("handshake with %s: %w", address, err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	state, ok := conn.(*tls.Conn)
	if !ok || len(state.ConnectionState().PeerCertificates) == 0 {
		return "", fmt.Errorf("handshake with %s: no certificate", address)
	}
	sum := sha256.Sum256(state.ConnectionState().PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:]), nil
}
