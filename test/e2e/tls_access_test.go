//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

func TestOnlyCertificatesOfTheClustersOwnCAsGetIn(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	neighbour := newWorld(t).create("demo", spec(1)) // its name is the same, its namespace another
	c.ready()
	neighbour.ready()

	t.Run("clients", func(t *testing.T) { onlyClientsGetIn(t, c, neighbour) })
	t.Run("members", func(t *testing.T) { onlyMembersGetIn(t, c, neighbour) })
	t.Run("plain text", func(t *testing.T) { plainTextIsTurnedAway(t, c) })
	t.Run("the port for metrics holds no data", func(t *testing.T) { metricsHoldNoData(t, c) })
	c.ready()
}

func onlyClientsGetIn(t *testing.T, c, neighbour *cluster) {
	for name, id := range map[string]framework.Identity{
		"the users of the cluster":             c.identity(state.ClientCertificate),
		"the operator":                         c.identity(state.OperatorCertificate),
		"members, for etcdctl in their Pods":   c.identity(state.ServerCertificate),
		"whoever the client CA has signed for": c.signed(state.ClientSide, "somebody", time.Now()),
	} {
		t.Run(name+" get in", func(t *testing.T) {
			c.everyMember(func(member string) {
				address, host := c.address(member, resources.ClientPort)
				if err := id.Use(t.Context(), address, host, "/who/"+name); err != nil {
					t.Errorf("%s: %v", member, err)
				}
			})
		})
	}
	c.turnedAway(t, resources.ClientPort, map[string]framework.Identity{
		"a client without a certificate":                          {},
		"a client with a certificate of another cluster's CA":     neighbour.identity(state.ClientCertificate),
		"the operator with its certificate for another cluster":   neighbour.identity(state.OperatorCertificate),
		"a member with its certificate for other members":         c.identity(state.PeerCertificate),
		"a client with a certificate of a CA that anybody made":   stranger(t, "client"),
		"a client with a certificate that is no longer valid":     c.signed(state.ClientSide, "late", time.Now().Add(-3*time.Minute)),
		"a client with a certificate that only a server may show": c.serverOnly(state.ClientSide),
	})
}

func onlyMembersGetIn(t *testing.T, c, neighbour *cluster) {
	t.Run("members get in", func(t *testing.T) {
		id := c.identity(state.PeerCertificate)
		c.everyMember(func(member string) {
			address, host := c.address(member, resources.PeerPort)
			code, body, err := id.Get(t.Context(), "https://"+address+"/version", host)
			if err != nil || code != http.StatusOK || !strings.Contains(body, "etcdserver") {
				t.Errorf("%s answers %d %q (%v), want its version", member, code, body, err)
			}
		})
	})
	c.turnedAway(t, resources.PeerPort, map[string]framework.Identity{
		"a peer without a certificate":                             {},
		"a peer with a client's certificate":                       c.identity(state.ClientCertificate),
		"a peer with the operator's certificate":                   c.identity(state.OperatorCertificate),
		"a peer with a member's certificate for clients":           c.identity(state.ServerCertificate),
		"a member of another cluster":                              neighbour.identity(state.PeerCertificate),
		"a peer with a certificate of a CA that anybody made":      stranger(t, c.peerName()),
		"a peer with a certificate of the CA in another's name":    c.signed(state.PeerSide, "etcd-peer-other", time.Now()),
		"a peer with a certificate that is no longer valid":        c.signed(state.PeerSide, c.peerName(), time.Now().Add(-3*time.Minute)),
		"a peer with a certificate that only a server may present": c.serverOnly(state.PeerSide),
	})
}

// turnedAway checks that every member refuses each of the identities in the handshake.
func (c *cluster) turnedAway(t *testing.T, port int, who map[string]framework.Identity) {
	t.Helper()
	for name, id := range who {
		t.Run(name+" is turned away", func(t *testing.T) {
			c.everyMember(func(member string) {
				address, _ := c.address(member, port)
				if err := id.TurnedAway(t.Context(), address); err != nil {
					t.Errorf("%s of %s: %v", address, member, err)
				}
			})
		})
	}
}

// signed is a certificate that the cluster's CA really signed at that time, for two minutes.
func (c *cluster) signed(side state.Side, commonName string, at time.Time) framework.Identity {
	c.t.Helper()
	return c.issued(side, pki.Request{CommonName: commonName, Client: true, Lifetime: 2 * time.Minute}, at)
}

// serverOnly is a certificate of the CA for servers alone.
func (c *cluster) serverOnly(side state.Side) framework.Identity {
	c.t.Helper()
	return c.issued(side, pki.Request{
		CommonName: c.peerName(), DNSNames: []string{"localhost"}, Server: true, Lifetime: time.Hour,
	}, time.Now())
}

func (c *cluster) issued(side state.Side, r pki.Request, at time.Time) framework.Identity {
	c.t.Helper()
	ca := c.secret(resources.AuthorityName(c.key.Name, side))
	pair, err := pki.Issue(pki.Pair{Cert: ca.Data[corev1.TLSCertKey], Key: ca.Data[corev1.TLSPrivateKeyKey]}, r, at)
	c.must(err)
	id, err := framework.IdentityOf(pair)
	c.must(err)
	return id
}

// peerName is the common name that members demand of one another.
func (c *cluster) peerName() string { return resources.PeerCommonName(c.get()) }

func stranger(t *testing.T, commonName string) framework.Identity {
	t.Helper()
	now := time.Now()
	ca := pkitest.CA(t, "demo client", now)
	id, err := framework.IdentityOf(pkitest.Issue(t, ca, pki.Request{
		CommonName: commonName, Client: true, Lifetime: time.Hour,
	}, now))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func plainTextIsTurnedAway(t *testing.T, c *cluster) {
	c.everyMember(func(member string) {
		for _, port := range []int{resources.ClientPort, resources.PeerPort} {
			address, _ := c.address(member, port)
			code, body, err := framework.PlainHTTP(t.Context(), http.MethodGet, "http://"+address+"/version", nil)
			if err == nil && code != http.StatusBadRequest {
				t.Errorf("%s of %s answers plain HTTP with %d %q, want it to be refused", address, member, code, body)
			}
		}
	})
}

func metricsHoldNoData(t *testing.T, c *cluster) {
	c.holds(c.fill())
	c.everyMember(func(member string) {
		address, _ := c.address(member, resources.MetricsPort)
		code, _, err := framework.PlainHTTP(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil || code != http.StatusOK {
			t.Errorf("%s answers %d (%v), want metrics in plain HTTP", address, code, err)
		}
		everything := strings.NewReader(`{"key":"AA==","range_end":"AA=="}`)
		code, body, err := framework.PlainHTTP(t.Context(), http.MethodPost, "http://"+address+"/v3/kv/range", everything)
		if err != nil || code != http.StatusNotFound {
			t.Errorf("%s answers a read with %d %q (%v), want %d", address, code, body, err, http.StatusNotFound)
		}
		if err := readPlain(t, address); err == nil {
			t.Errorf("%s serves the API of etcd without TLS", address)
		}
	})
}

func readPlain(t *testing.T, address string) error {
	t.Helper()
	const long = 2 * time.Second // a connection that does not speak gRPC is tried again until then
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, Logger: zap.NewNop()})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = etcd.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	_, err = etcd.Get(ctx, "/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	return err
}
