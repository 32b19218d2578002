package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func TestAPodKeepsItsClientUntilItsAddressChanges(t *testing.T) {
	first, second := startServer(t, &server{}), startServer(t, &server{})
	pool := NewPool(PoolOptions{})
	defer pool.Close()

	a := mustClient(t, pool, targetOf(first, "pod-a"))
	if again := mustClient(t, pool, targetOf(first, "pod-a")); again != a {
		t.Error("the same target got another client")
	}
	if other := mustClient(t, pool, targetOf(first, "pod-b")); other == a {
		t.Error("another Pod at the same address got the same client")
	}
	moved := mustClient(t, pool, targetOf(second, "pod-a"))
	if err := moved.Read(context.Background()); err != nil {
		t.Fatalf("reading at the new address: %v", err)
	}
	if calls, _, _ := second.seen(); len(calls) != 1 {
		t.Errorf("the new address saw %v, want the read", calls)
	}
	if err := a.Read(context.Background()); err == nil {
		t.Error("the client of the old address still works")
	}
}

func TestATargetWithoutAnAddressIsRefused(t *testing.T) {
	pool := NewPool(PoolOptions{})
	defer pool.Close()
	_, err := pool.Client(Target{Cluster: "ns/demo", PodUID: "pod-a"})
	if err == nil || !strings.Contains(err.Error(), "wait until the Pod has an IP address") {
		t.Errorf("got error %v, want one that tells to wait for the address", err)
	}
}

func TestCallsShareOneConnection(t *testing.T) {
	s := startServer(t, &server{})
	c := clientOf(t, s)
	for range 3 {
		for _, call := range calls {
			if err := call.do(context.Background(), c); err != nil {
				t.Fatalf("%s: %v", call.name, err)
			}
		}
	}
	if _, accepted, _ := s.seen(); accepted != 1 {
		t.Errorf("the server accepted %d connections, want 1", accepted)
	}
}

func TestAClientIsMadeWithoutTheNetwork(t *testing.T) {
	pool := NewPool(PoolOptions{})
	defer pool.Close()
	start := time.Now()
	mustClient(t, pool, Target{Cluster: "ns/demo", PodUID: "pod-a", Address: "127.0.0.1:1"})
	if took := time.Since(start); took > time.Second {
		t.Errorf("a client of an address where nothing listens took %v", took)
	}
}

func TestALostAndARegainedConnectionIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t, &server{})
	pool := NewPool(PoolOptions{})
	defer pool.Close()
	mustClient(t, pool, targetOf(s, "pod-a"))
	receive(t, pool, "the connection is established")
	s.stop()
	receive(t, pool, "the connection is lost")
	s.start(t)
	receive(t, pool, "the connection is established again")
	select {
	case <-pool.Changed():
		t.Error("a change was told though the connection stands")
	case <-time.After(300 * time.Millisecond):
	}
}

func receive(t *testing.T, p *Pool, what string) {
	t.Helper()
	select {
	case cluster := <-p.Changed():
		if cluster != "ns/demo" {
			t.Errorf("%s: told for cluster %q, want ns/demo", what, cluster)
		}
	case <-time.After(backoffMax + 3*time.Second):
		t.Fatalf("%s: not told", what)
	}
}

func TestACallThatFoundNoConnectionTellsWhy(t *testing.T) {
	t.Parallel()
	s := startServer(t, &server{})
	c := clientOf(t, s)
	s.stop()
	_, err := c.Status(context.Background())
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got error %v, want connection refused", err)
	}
}

func TestACallFindsAServerThatCameBackWithoutWaitingForTheBackOff(t *testing.T) {
	t.Parallel()
	s := startServer(t, &server{})
	c := clientOf(t, s)
	s.stop()
	time.Sleep(6100 * time.Millisecond) // let the back-off grow, and end between two attempts 3 s apart
	s.start(t)
	start := time.Now()
	if _, err := c.Status(context.Background()); err != nil {
		t.Fatalf("got error %v", err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("Status took %v", took)
	}
}

func TestAServerThatClosesEveryConnectionIsNotDialledInALoop(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	var accepted atomic.Int64
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			accepted.Add(1)
			// With its settings sent the server counts as connected; then it goes away.
			_ = http2.NewFramer(conn, conn).WriteSettings()
			time.AfterFunc(20*time.Millisecond, func() { _ = conn.Close() })
		}
	}()
	pool := NewPool(PoolOptions{})
	defer pool.Close()
	mustClient(t, pool, Target{Cluster: "ns/demo", PodUID: "pod-a", Address: listener.Addr().String()})
	time.Sleep(3500 * time.Millisecond)
	if n := accepted.Load(); n < 2 || n > 5 {
		t.Errorf("dialled %d times in 3.5 s, want about one a second", n)
	}
}

func TestRetainClosesTheClientsOfOtherPods(t *testing.T) {
	s := startServer(t, &server{})
	pool := NewPool(PoolOptions{})
	defer pool.Close()
	kept, dropped := mustClient(t, pool, targetOf(s, "pod-a")), mustClient(t, pool, targetOf(s, "pod-b"))
	elsewhere := targetOf(s, "pod-c")
	elsewhere.Cluster = "ns/other"
	other := mustClient(t, pool, elsewhere)

	pool.Retain("ns/demo", []string{"pod-a", "pod-z"})
	requireWorks(t, "the kept client", kept, true)
	requireWorks(t, "the dropped client", dropped, false)
	requireWorks(t, "the client of another cluster", other, true)

	pool.Retain("ns/demo", nil)
	requireWorks(t, "a client of the cluster without Pods", kept, false)
	requireWorks(t, "the client of another cluster", other, true)
	requireWorks(t, "a client made anew", mustClient(t, pool, targetOf(s, "pod-a")), true)
}

func requireWorks(t *testing.T, what string, c Client, want bool) {
	t.Helper()
	if err := c.Read(context.Background()); (err == nil) != want {
		t.Errorf("%s: works = %v (error %v), want %v", what, err == nil, err, want)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	s := startServer(t, &server{})
	before := runtime.NumGoroutine()
	pool := NewPool(PoolOptions{})
	clients := []Client{mustClient(t, pool, targetOf(s, "pod-a")), mustClient(t, pool, targetOf(s, "pod-b"))}
	clients = append(clients, mustClient(t, pool, Target{Cluster: "ns/x", PodUID: "pod-d", Address: "127.0.0.1:1"}))
	for _, c := range clients[:2] {
		requireWorks(t, "a client before Close", c, true)
	}
	pool.Close()
	pool.Close() // a second time is harmless

	if _, open := <-pool.Changed(); open {
		t.Error("the channel of changes is open")
	}
	if _, err := pool.Client(targetOf(s, "pod-a")); !errors.Is(err, errPoolClosed) {
		t.Errorf("a client after Close: got error %v, want %v", err, errPoolClosed)
	}
	pool.Retain("ns/demo", nil)
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(),
				stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestChangesThatNobodyReceivesAreToldOnceAndBlockNobody(t *testing.T) {
	c := newChanges()
	defer c.close()
	for range 1000 {
		c.add("ns/a")
		c.add("ns/b")
	}
	got := map[string]int{}
	for done := false; !done; {
		select {
		case name := <-c.out:
			got[name]++
		case <-time.After(200 * time.Millisecond):
			done = true
		}
	}
	// The one that is being handed over no longer waits, so it may be told again.
	if got["ns/a"] < 1 || got["ns/a"] > 2 || got["ns/b"] < 1 || got["ns/b"] > 2 {
		t.Errorf("told %v, want each once or twice", got)
	}
}

func TestTLSVerifiesTheMembersNameThoughItsAddressIsDialled(t *testing.T) {
	certificate, roots := selfSigned(t, "demo-0.demo-peers.ns.svc")
	s := startServer(t, &server{options: []grpc.ServerOption{
		grpc.Creds(credentials.NewServerTLSFromCert(&certificate)),
	}})
	held := &Credentials{}
	held.Set("ns/demo", certificate, roots)
	pool := NewPool(PoolOptions{Credentials: held.Config})
	defer pool.Close()
	target := func(pod string) Target {
		t := targetOf(s, pod)
		t.TLS = true
		return t
	}

	requireWorks(t, "a member under its name", mustClient(t, pool, target("pod-a")), true)
	wrong := target("pod-b")
	wrong.ServerName = "demo-1.demo-peers.ns.svc"
	requireReason(t, "a member under another name", mustClient(t, pool, wrong), "demo-1")
	nameless := target("pod-d")
	nameless.ServerName = ""
	if _, err := pool.Client(nameless); err == nil || !strings.Contains(err.Error(), "DNS name") {
		t.Errorf("a member without a name: got error %v, want a refusal", err)
	}
	unknown := target("pod-c")
	unknown.Cluster = "ns/other"
	requireReason(t, "a cluster without credentials", mustClient(t, pool, unknown), "no certificate")
	held.Set("ns/other", certificate, roots)
	requireWorks(t, "a member once the operator has a certificate", mustClient(t, pool, unknown), true)
}

func requireReason(t *testing.T, what string, c Client, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := c.Read(ctx); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: got error %v, want one that tells %q", what, err, reason)
	}
}

func selfSigned(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
