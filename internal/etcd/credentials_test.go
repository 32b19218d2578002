package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
)

const memberHost = "demo-0.demo-peers.ns.svc"

// member is what a member shows and trusts; it may change while the member runs.
type member struct {
	mu     sync.Mutex
	shows  pki.Pair
	trusts pki.Bundle
	met    []string // common names of the clients
}

func (m *member) set(t *testing.T, shows pki.Pair, trusts pki.Bundle) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shows, m.trusts = shows, trusts
}

// config demands a certificate of each client, as --client-cert-auth does.
func (m *member) config(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		certificate, err := tls.X509KeyPair(m.shows.Cert, m.shows.Key)
		return &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{certificate},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.trusts.Pool(),
			VerifyConnection: func(state tls.ConnectionState) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.met = append(m.met, state.PeerCertificates[0].Subject.CommonName)
				return nil
			},
		}, err
	}}
}

func (m *member) clients() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.met...)
}

// keyPair is the pair as crypto/tls wants it.
func keyPair(t *testing.T, p pki.Pair) tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func operatorCertificate(t *testing.T, ca pki.Pair) tls.Certificate {
	t.Helper()
	return keyPair(t, pkitest.Issue(t, ca, pki.Request{CommonName: "root", Client: true, Lifetime: time.Hour}, time.Now()))
}

// startMember starts a server that speaks mutual TLS, and a pool that knows the credentials.
func startMember(t *testing.T, m *member, held *Credentials) (*server, Client) {
	t.Helper()
	s := startServer(t, &server{options: []grpc.ServerOption{grpc.Creds(credentials.NewTLS(m.config(t)))}})
	pool := NewPool(PoolOptions{Credentials: held.Config})
	t.Cleanup(pool.Close)
	target := targetOf(s, "pod-a")
	target.TLS, target.ServerName = true, memberHost
	return s, mustClient(t, pool, target)
}

// requireRead waits until a read succeeds: a connection that was refused is dialled again a little later.
func requireRead(t *testing.T, what string, c Client) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = c.Read(ctx)
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func TestARenewalTakesEffectWithoutANewClient(t *testing.T) {
	t.Parallel()
	first, second := pkitest.CA(t, "first", time.Now()), pkitest.CA(t, "second", time.Now())
	m := &member{}
	m.set(t, pkitest.Leaf(t, first, time.Now(), memberHost), pkitest.Bundle(t, first))
	held := &Credentials{}
	held.Set("ns/demo", operatorCertificate(t, first), pkitest.Bundle(t, first).Pool())
	s, c := startMember(t, m, held)
	requireRead(t, "at first", c)

	m.set(t, pkitest.Leaf(t, second, time.Now(), memberHost), pkitest.Bundle(t, second))
	s.stop()
	s.start(t)
	requireRefusal(t, "a member of a CA that the operator does not know", c, "unknown authority")
	held.Set("ns/demo", operatorCertificate(t, second), pkitest.Bundle(t, second).Pool())
	requireRead(t, "after the operator got a certificate of the new CA, with the same client", c)
	if met := m.clients(); len(met) < 2 || met[0] != "root" {
		t.Errorf("the member met the clients %v, want the operator", met)
	}

	held.Forget("ns/demo")
	s.stop()
	s.start(t)
	requireRefusal(t, "after the credentials were forgotten", c, "no certificate for this cluster")
}

// requireRefusal waits until reads fail for the reason: the first ones may find the end of the former connection.
func requireRefusal(t *testing.T, what string, c Client, reason string) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = c.Read(ctx)
		cancel()
		if err == nil {
			t.Fatalf("%s: a read succeeds", what)
		}
		if strings.Contains(err.Error(), reason) {
			return
		}
	}
	t.Fatalf("%s: got error %v, want one that tells %q", what, err, reason)
}

func TestTheOperatorBelievesOnlyMembersOfTheClustersCA(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ours, theirs := pkitest.CA(t, "demo client", now), pkitest.CA(t, "demo client", now)
	expired := pkitest.Issue(t, ours, pki.Request{
		CommonName: "x", DNSNames: []string{memberHost}, Server: true, Lifetime: time.Second,
	}, now.Add(10*time.Second))
	for name, tc := range map[string]struct {
		shows  pki.Pair
		reason string
	}{
		"a certificate of a CA of the same name": {pkitest.Leaf(t, theirs, now, memberHost), "authority"},
		"a certificate for another member":       {pkitest.Leaf(t, ours, now, "demo-1.demo-peers.ns.svc"), "demo-1"},
		"a client's certificate":                 {pkitest.Leaf(t, ours, now), "certificate is not valid for any names"},
		"a certificate that is not valid now":    {expired, "expired or is not yet valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &member{}
			m.set(t, tc.shows, pkitest.Bundle(t, ours))
			held := &Credentials{}
			held.Set("ns/demo", operatorCertificate(t, ours), pkitest.Bundle(t, ours).Pool())
			_, c := startMember(t, m, held)
			requireReason(t, name, c, tc.reason)
		})
	}
}

func TestCredentialsOfAClusterThatIsNotKnown(t *testing.T) {
	held := &Credentials{}
	ca := pkitest.CA(t, "demo", time.Now())
	held.Set("ns/other", operatorCertificate(t, ca), pkitest.Bundle(t, ca).Pool())
	if _, err := held.Config("ns/demo").GetClientCertificate(nil); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("its certificate comes with the error %v", err)
	}
	shown := tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{pkitest.Certificate(t, pkitest.Leaf(t, ca, time.Now(), memberHost))},
		ServerName:       memberHost,
	}
	if err := held.Config("ns/demo").VerifyConnection(shown); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a member of it is verified with the error %v", err)
	}
	if err := held.Config("ns/other").VerifyConnection(shown); err != nil {
		t.Errorf("a member of the other cluster is refused: %v", err)
	}
	if err := held.Config("ns/other").VerifyConnection(tls.ConnectionState{ServerName: memberHost}); err == nil {
		t.Error("a member that shows no certificate is believed")
	}
	peer, client := held.Certificates("ns/demo")
	if len(peer.Certificate)+len(client.Certificate) != 0 {
		t.Error("it has certificates")
	}
}

func TestServedIsTheFingerprintOfWhatANewConnectionMeets(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, other := pkitest.CA(t, "demo", now), pkitest.CA(t, "other", now)
	before, after := pkitest.Leaf(t, ca, now, memberHost), pkitest.Leaf(t, other, now, "elsewhere.example")
	m := &member{}
	m.set(t, before, pkitest.Bundle(t, ca))
	address := listen(t, m.config(t))
	certificate := operatorCertificate(t, ca)
	for what, shows := range map[string]pki.Pair{
		"before the renewal":                            before,
		"after it, whoever signed it and for what name": after,
	} {
		m.set(t, shows, pkitest.Bundle(t, ca))
		got, err := Served(t.Context(), address, &certificate)
		if want := pki.Fingerprint(pkitest.Certificate(t, shows)); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
		}
	}
}

// listen accepts TLS connections and reads from them.
func listen(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			go func() {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func TestServedTellsWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	certificate := operatorCertificate(t, pkitest.CA(t, "demo", time.Now()))
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = plain.Close(), hanging.Close() })
	go func() {
		for conn, err := plain.Accept(); err == nil; conn, err = plain.Accept() {
			_, _ = fmt.Fprintln(conn, "I speak no TLS")
			_ = conn.Close()
		}
	}()
	for name, address := range map[string]string{
		"nobody listens": "127.0.0.1:1", "it speaks plain text": plain.Addr().String(), "it hangs": hanging.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			got, err := Served(ctx, address, &certificate)
			if err == nil || got != "" || !strings.Contains(err.Error(), "handshake with "+address) {
				t.Errorf("got %q, %v; want an error that names the address", got, err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
