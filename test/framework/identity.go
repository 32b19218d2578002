package framework

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/pki"
)

// patience is how long a server may take to answer, on a machine that runs several tests.
const patience = 15 * time.Second

// Identity is what a client shows to a server, and whom it trusts.
type Identity struct {
	// Certificate is shown whatever the server asks for. Without one, none is shown.
	Certificate tls.Certificate
	// Roots are trusted. Nil trusts every server, as one does who wants to get in anyhow.
	Roots *x509.CertPool
}

// IdentityIn is what a Secret of type kubernetes.io/tls holds now.
func (e *Environment) IdentityIn(ctx context.Context, secret types.NamespacedName) (Identity, error) {
	certificate, roots, err := e.loadCertificate(ctx, secret)
	return Identity{Certificate: certificate, Roots: roots}, err
}

// IdentityOf is a certificate that a test has made; it trusts every server.
func IdentityOf(p pki.Pair) (Identity, error) {
	certificate, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return Identity{}, fmt.Errorf("make an identity: %w", err)
	}
	return Identity{Certificate: certificate}, nil
}

// config is that of a client. The certificate is shown even when the server names other CAs than its own: crypto/tls
// would show none.
func (i Identity) config(serverName string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: serverName, RootCAs: i.Roots,
		InsecureSkipVerify: i.Roots == nil, //nolint:gosec // only what the server thinks of the client is of interest
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &i.Certificate, nil
		},
	}
}

// TurnedAway returns an error unless the server refuses the identity in the TLS handshake.
func (i Identity) TurnedAway(ctx context.Context, address string) error {
	i.Roots = nil // what the client thinks of the server is of no interest
	dialer := tls.Dialer{Config: i.config("")}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		// In TLS 1.3 the client is done before the server has looked at its certificate: what it sends next tells.
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	var operation *net.OpError
	switch {
	case err == nil:
		return errors.New("it was let in: the server sent data")
	case errors.As(err, &operation) && operation.Op == "remote error": // an alert of TLS
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("it was let in: the server waits for requests")
	default:
		return fmt.Errorf("want a refusal in the handshake, not: %w", err)
	}
}

// Served is the fingerprint of the certificate by which the server at the address makes itself known.
func (i Identity) Served(ctx context.Context, address, serverName string) (string, error) {
	dialer := tls.Dialer{Config: i.config(serverName)}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("see what %s serves: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	return pki.Fingerprint(conn.(*tls.Conn).ConnectionState().PeerCertificates[0]), nil
}

// Use writes a key through a new connection to the member at the address, reads it back, and closes the connection.
func (i Identity) Use(ctx context.Context, address, serverName, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := i.connect(ctx, serverName, func(ctx context.Context) (net.Conn, error) { return dial(ctx, address) })
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	value := time.Now().Format(time.RFC3339Nano)
	if _, err := c.Put(ctx, key, value); err != nil {
		return fmt.Errorf("write through a new connection to %s: %w", address, err)
	}
	found, err := c.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read through a new connection to %s: %w", address, err)
	}
	if len(found.Kvs) != 1 || string(found.Kvs[0].Value) != value {
		return fmt.Errorf("%s holds %v for %s, want %q", address, found.Kvs, key, value)
	}
	return nil
}

// connect returns a client of the member of that name, which is reached by dial.
func (i Identity) connect(
	ctx context.Context, serverName string, dial func(context.Context) (net.Conn, error),
) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		// The name of the endpoint is the one that the certificate is checked for.
		Endpoints: []string{"https://" + serverName}, TLS: i.config(serverName), Logger: zap.NewNop(), Context: ctx,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dial(ctx)
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", serverName, err)
	}
	return c, nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

// Get sends an HTTPS request and returns the code and the body of the answer.
func (i Identity) Get(ctx context.Context, url, serverName string) (int, string, error) {
	transport := &http.Transport{TLSClientConfig: i.config(serverName), DisableKeepAlives: true}
	return get(ctx, transport, http.MethodGet, url, nil)
}

// PlainHTTP sends a request without TLS, and returns the code and the body of the answer.
func PlainHTTP(ctx context.Context, method, url string, body io.Reader) (int, string, error) {
	return get(ctx, &http.Transport{DisableKeepAlives: true}, method, url, body)
}

func get(ctx context.Context, transport *http.Transport, method, url string, body io.Reader) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w", method, url, err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, "", fmt.Errorf("%s %s: %w", method, url, err)
	}
	return response.StatusCode, string(answer), nil
}
