package pki_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/pki"
)

// serverOf demands client certificates of the trusted CAs, as etcd does. Its clock stands still.
func serverOf(t *testing.T, trusted pki.Bundle, p pki.Pair, clock time.Time) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates: []tls.Certificate{keyOf(t, p)}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted.Pool(),
		Time: func() time.Time { return clock },
	}
}

// clientOf always presents the certificate, even if the server names none of its CAs; none for the empty pair.
func clientOf(t *testing.T, trusted pki.Bundle, p pki.Pair, clock time.Time) *tls.Config {
	t.Helper()
	var key tls.Certificate
	if p.Cert != nil {
		key = keyOf(t, p)
	}
	return &tls.Config{
		RootCAs: trusted.Pool(), ServerName: "demo-0.demo-peers.shop.svc", MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &key, nil },
		Time:                 func() time.Time { return clock },
	}
}

// handshake returns what either side says of the other. The client reads a byte, as in TLS 1.3 it is done before the
// server has seen its certificate.
func handshake(t *testing.T, server, client *tls.Config) (ofServer, ofClient error) {
	t.Helper()
	a, b := net.Pipe()
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatalf("set the deadline of the pipe: %v", err)
		}
	}
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(a, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte{1})
		}
		_ = a.Close()
		done <- err
	}()
	conn := tls.Client(b, client)
	_, ofClient = io.ReadFull(conn, make([]byte, 1))
	_ = b.Close()
	return <-done, ofClient
}

func TestHandshakes(t *testing.T) {
	oldCA, nextCA := newCA(t, now), newCA(t, now)
	twin := foreignCA(t, certificate(t, oldCA).Subject.CommonName, nil).pair(t)
	old, next := trust(t, oldCA), trust(t, nextCA)
	both := old.With(next)
	of := func(ca pki.Pair, change ...func(*pki.Request)) pki.Pair { return issue(t, ca, peer(change...), now) }
	const late, early = 4 * time.Minute, -4 * time.Minute

	type side struct {
		trusts pki.Bundle
		shows  pki.Pair
		clock  time.Duration // ahead of the issuer's
	}
	for name, test := range map[string]struct {
		server, client             side
		serverRefuses, clientFinds string
	}{
		"two members of one CA talk":                     {side{old, of(oldCA), 0}, side{old, of(oldCA), 0}, "", ""},
		"a client of the old CA after phase one talks":   {side{both, of(oldCA), 0}, side{both, of(oldCA), 0}, "", ""},
		"old and new leaf talk when all trust both":      {side{both, of(oldCA), 0}, side{both, of(nextCA), 0}, "", ""},
		"new and old leaf talk when all trust both":      {side{both, of(nextCA), 0}, side{both, of(oldCA), 0}, "", ""},
		"new leaves talk while one trusts both":          {side{next, of(nextCA), 0}, side{both, of(nextCA), 0}, "", ""},
		"a backdated client at a server four min behind": {side{old, of(oldCA), early}, side{old, of(oldCA), 0}, "", ""},
		"a backdated server at a client four min behind": {side{old, of(oldCA), 0}, side{old, of(oldCA), early}, "", ""},
		"short leaves at a peer one minute behind": {
			side{old, of(oldCA, lifetime(3*time.Minute)), 0}, side{old, of(oldCA, lifetime(3*time.Minute)), -time.Minute}, "", "",
		},
		"a backdated client at a server six minutes behind is refused": {
			side{old, of(oldCA), -6 * time.Minute}, side{old, of(oldCA), 0}, "is not yet valid", "expired certificate",
		},
		"a client without certificate is refused": {
			side{old, of(oldCA), 0}, side{old, pki.Pair{}, 0}, "client didn't provide a certificate", "certificate required",
		},
		"a client of another CA is refused": {
			side{old, of(oldCA), 0}, side{both, of(nextCA), 0}, "signed by unknown authority", "unknown certificate authority",
		},
		"a client of another CA of the same name is refused": {
			side{old, of(oldCA), 0}, side{old, of(twin), 0}, "signed by unknown authority", "unknown certificate authority",
		},
		"a client of the old CA is refused after phase three": {
			side{next, of(nextCA), 0}, side{both, of(oldCA), 0}, "signed by unknown authority", "unknown certificate authority",
		},
		"an expired client is refused": {
			side{old, of(oldCA), late}, side{old, of(oldCA, lifetime(3*time.Minute)), 0}, "has expired", "expired certificate",
		},
		"a certificate for servers is refused as a client": {
			side{old, of(oldCA), 0}, side{old, of(oldCA, usages(true, false)), 0}, "incompatible key usage", "bad certificate",
		},
		"a server of another CA of the same name is refused": {
			side{old, of(twin), 0}, side{old, of(oldCA), 0}, "bad certificate", "signed by unknown authority",
		},
		"an expired server is refused": {
			side{old, of(oldCA, lifetime(3*time.Minute)), 0}, side{old, of(oldCA), late}, "bad certificate", "has expired",
		},
		"a certificate for clients is refused as a server": {
			side{old, of(oldCA, usages(false, true)), 0}, side{old, of(oldCA), 0}, "bad certificate", "incompatible key usage",
		},
		"a server of another name is refused": {
			side{old, of(oldCA, names("demo-1.demo-peers.shop.svc")), 0}, side{old, of(oldCA), 0},
			"bad certificate", "not demo-0.demo-peers.shop.svc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ofServer, ofClient := handshake(t,
				serverOf(t, test.server.trusts, test.server.shows, now.Add(test.server.clock)),
				clientOf(t, test.client.trusts, test.client.shows, now.Add(test.client.clock)))
			wantError(t, ofServer, test.serverRefuses)
			wantError(t, ofClient, test.clientFinds)
		})
	}
}

func TestAServerAnnouncesTheCAsThatItTrusts(t *testing.T) {
	oldCA, newCA := newCA(t, now), newCA(t, now)
	for name, trusted := range map[string][]pki.Pair{
		"the old CA": {oldCA}, "both": {oldCA, newCA}, "the new CA": {newCA},
	} {
		t.Run(name, func(t *testing.T) {
			var announced [][]byte
			client := clientOf(t, trust(t, oldCA), pki.Pair{}, now)
			client.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
				announced = info.AcceptableCAs
				return &tls.Certificate{}, nil
			}
			_, _ = handshake(t, serverOf(t, trust(t, trusted...), issue(t, oldCA, peer(), now), now), client)
			for _, ca := range []pki.Pair{oldCA, newCA} {
				c := certificate(t, ca)
				got := slices.ContainsFunc(announced, func(name []byte) bool { return bytes.Equal(name, c.RawSubject) })
				if want := trust(t, trusted...).Contains(pki.NewBundle(c)); got != want || len(announced) != len(trusted) {
					t.Errorf("%s is among the %d announced: %t, want %t", c.Subject, len(announced), got, want)
				}
			}
		})
	}
}
