package observe

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// processes serve certificates, by their addresses, and count how often they are asked.
type processes struct {
	mu     sync.Mutex
	serve  map[string]string
	asked  map[string]int
	shown  map[string]*tls.Certificate
	noLine []string // addresses that were asked without a deadline
}

func newProcesses(serve map[string]string) *processes {
	return &processes{serve: serve, asked: map[string]int{}, shown: map[string]*tls.Certificate{}}
}

func (p *processes) handshake(ctx context.Context, address string, certificate *tls.Certificate) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[address]++
	p.shown[address] = certificate
	if _, bounded := ctx.Deadline(); !bounded {
		p.noLine = append(p.noLine, address)
	}
	served, runs := p.serve[address]
	if !runs {
		return "half an answer", errors.New("connection refused")
	}
	return served, nil
}

// asks observes once, and returns the addresses that were asked meanwhile.
func (p *processes) asks(t *testing.T, o *Observer, c *state.Cluster) []string {
	t.Helper()
	p.asked = map[string]int{}
	o.readServed(t.Context(), c)
	for address, times := range p.asked {
		if times != 1 {
			t.Errorf("%s was asked %d times at once", address, times)
		}
	}
	return slices.Sorted(maps.Keys(p.asked))
}

// renewedTo is a cluster of three whose published certificates have these fingerprints.
func renewedTo(peer, server string, change ...func(*statetest.Builder)) *state.Cluster {
	b := statetest.Formed(3)
	for _, f := range change {
		f(b)
	}
	return b.With(func(c *state.Cluster) {
		c.TLS = &state.TLS{Certificates: map[state.CertificateName]state.Certificate{
			state.PeerCertificate:   {Exists: true, Fingerprint: peer},
			state.ServerCertificate: {Exists: true, Fingerprint: server},
		}}
	}).Build()
}

func everywhere(peer, server string) map[string]string {
	serve := map[string]string{}
	for _, ip := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.2"} {
		serve[ip+":2380"], serve[ip+":2379"] = peer, server
	}
	return serve
}

func TestAtRestNobodyIsAskedWhatItServes(t *testing.T) {
	p := newProcesses(everywhere("peer-1", "server-1"))
	o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
	all := []string{
		"10.0.0.0:2379", "10.0.0.0:2380", "10.0.0.1:2379", "10.0.0.1:2380", "10.0.0.2:2379", "10.0.0.2:2380",
	}
	c := renewedTo("peer-1", "server-1")
	if diff := cmp.Diff(all, p.asks(t, o, c)); diff != "" {
		t.Errorf("asked at first (-want +got):\n%s", diff)
	}
	for _, m := range c.Members {
		if want := (state.Serves{Peer: "peer-1", Server: "server-1"}); m.Serves != want || !c.TLS.Served(m) {
			t.Errorf("%s serves %+v, want %+v", m.Name, m.Serves, want)
		}
	}
	again := renewedTo("peer-1", "server-1")
	if asked := p.asks(t, o, again); len(asked) != 0 {
		t.Errorf("asked again although all serve what is published: %v", asked)
	}
	for _, m := range again.Members {
		if !again.TLS.Served(m) {
			t.Errorf("%s was forgotten to serve what is published: %+v", m.Name, m.Serves)
		}
	}
	if len(p.noLine) > 0 {
		t.Errorf("a process that hangs holds up the observation: %v had no deadline", p.noLine)
	}
}

func TestAfterARenewalAMemberIsAskedUntilItServesIt(t *testing.T) {
	p := newProcesses(everywhere("peer-1", "server-1"))
	o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
	p.asks(t, o, renewedTo("peer-1", "server-1"))

	p.serve["10.0.0.0:2380"], p.serve["10.0.0.1:2380"] = "peer-2", "peer-2" // the kubelet of the third is late
	c := renewedTo("peer-2", "server-1")
	if asked := p.asks(t, o, c); len(asked) != 6 {
		t.Errorf("after the renewal %v were asked, want all", asked)
	}
	if served := [3]bool{c.TLS.Served(c.Members[0]), c.TLS.Served(c.Members[1]), c.TLS.Served(c.Members[2])}; served != [3]bool{true, true, false} {
		t.Errorf("the renewed certificate is served: %v, want it by all but the third", served)
	}
	if want := (state.Serves{Peer: "peer-1", Server: "server-1"}); c.Members[2].Serves != want {
		t.Errorf("the third serves %+v, want %+v", c.Members[2].Serves, want)
	}
	want := []string{"10.0.0.2:2379", "10.0.0.2:2380"}
	if diff := cmp.Diff(want, p.asks(t, o, renewedTo("peer-2", "server-1"))); diff != "" {
		t.Errorf("asked then (-want +got):\n%s", diff)
	}
	p.serve["10.0.0.2:2380"] = "peer-2"
	c = renewedTo("peer-2", "server-1")
	if asked := p.asks(t, o, c); len(asked) != 2 || !c.TLS.Served(c.Members[2]) {
		t.Errorf("it brought the certificate, %v were asked, and it serves %+v", asked, c.Members[2].Serves)
	}
	if asked := p.asks(t, o, renewedTo("peer-2", "server-1")); len(asked) != 0 {
		t.Errorf("in the end %v are asked still", asked)
	}
}

func TestWhatAProcessServedIsForgottenWithIt(t *testing.T) {
	p := newProcesses(everywhere("peer-1", "server-1"))
	for name, change := range map[string]func(*statetest.Builder){
		"a Pod that is gone":         func(b *statetest.Builder) { b.NoPod(1) },
		"a container that has ended": func(b *statetest.Builder) { b.Crash(1) },
		"a Pod without an address": func(b *statetest.Builder) {
			b.Member(1, func(m *state.Member) { m.Pod.IP = "" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
			p.asks(t, o, renewedTo("peer-1", "server-1"))
			c := renewedTo("peer-1", "server-1", change)
			if asked := p.asks(t, o, c); len(asked) != 0 {
				t.Errorf("%v were asked", asked)
			}
			if c.Members[1].Serves != (state.Serves{}) || c.TLS.Served(c.Members[1]) {
				t.Errorf("it is said to serve %+v", c.Members[1].Serves)
			}
			back := []string{"10.0.0.1:2379", "10.0.0.1:2380"}
			if diff := cmp.Diff(back, p.asks(t, o, renewedTo("peer-1", "server-1"))); diff != "" {
				t.Errorf("asked when it is back (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a Pod in the place of another", func(t *testing.T) {
		o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
		p.asks(t, o, renewedTo("peer-1", "server-1"))
		asked := p.asks(t, o, renewedTo("peer-1", "server-1", func(b *statetest.Builder) {
			b.Member(1, func(m *state.Member) { m.Pod.UID = "uid-another" })
		}))
		if diff := cmp.Diff([]string{"10.0.0.1:2379", "10.0.0.1:2380"}, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	})
	t.Run("a cluster that is gone", func(t *testing.T) {
		o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
		p.asks(t, o, renewedTo("peer-1", "server-1"))
		o.Forget(statetest.Namespace + "/other")
		if asked := p.asks(t, o, renewedTo("peer-1", "server-1")); len(asked) != 0 {
			t.Errorf("another cluster was forgotten, and %v were asked", asked)
		}
		o.Forget(statetest.Namespace + "/" + statetest.Name)
		if asked := p.asks(t, o, renewedTo("peer-1", "server-1")); len(asked) != 6 {
			t.Errorf("its successor is believed to serve what it served: %v were asked", asked)
		}
	})
}

func TestAProcessThatDoesNotAnswerServesNothing(t *testing.T) {
	p := newProcesses(everywhere("peer-1", "server-1"))
	delete(p.serve, "10.0.0.1:2379") // no quorum yet: the client port is not served
	o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
	c := renewedTo("peer-1", "server-1")
	p.asks(t, o, c)
	if want := (state.Serves{Peer: "peer-1"}); c.Members[1].Serves != want || c.TLS.Served(c.Members[1]) {
		t.Errorf("it serves %+v, want %+v", c.Members[1].Serves, want)
	}
}

// A process logs a complaint about a certificate that it does not accept.
func TestAProcessIsAskedWithCertificatesThatItAccepts(t *testing.T) {
	ca := pkitest.CA(t, "demo", statetest.Now)
	asPeer, asClient := pkitest.Leaf(t, ca, statetest.Now), pkitest.Leaf(t, ca, statetest.Now)
	p := newProcesses(nil)
	o := &Observer{Handshake: p.handshake, Credentials: &etcd.Credentials{}}
	const cluster = statetest.Namespace + "/" + statetest.Name
	client, err := tls.X509KeyPair(asClient.Cert, asClient.Key)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := tls.X509KeyPair(asPeer.Cert, asPeer.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.Credentials.Set(cluster, client, pkitest.Bundle(t, ca).Pool())
	o.Credentials.SetPeer(cluster, peer)
	p.asks(t, o, renewedTo("peer-1", "server-1"))
	for address, shown := range p.shown {
		want := asClient
		if strings.HasSuffix(address, ":2380") {
			want = asPeer
		}
		requireCertificate(t, "at "+address, shown, want)
	}
	if len(p.shown) != 6 {
		t.Errorf("%d processes were asked, want 6", len(p.shown))
	}
}

func TestMembersAreAskedAtOnce(t *testing.T) {
	var waiting sync.WaitGroup
	waiting.Add(3)
	o := &Observer{Credentials: &etcd.Credentials{}, Handshake: func(ctx context.Context, address string, _ *tls.Certificate) (string, error) {
		if strings.HasSuffix(address, ":2380") {
			waiting.Done()
		}
		all := make(chan struct{})
		go func() { waiting.Wait(); close(all) }()
		select {
		case <-all:
			return "peer-1", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}
	start := time.Now()
	o.readServed(t.Context(), renewedTo("peer-1", "peer-1"))
	if took := time.Since(start); took >= handshakeTimeout {
		t.Errorf("one waited for the other: %s", took)
	}
}

func TestPlainTextMembersAreNotAsked(t *testing.T) {
	p := newProcesses(nil)
	o := &Observer{Handshake: p.handshake}
	if asked := p.asks(t, o, statetest.Formed(3).Build()); len(asked) != 0 {
		t.Errorf("%v were asked", asked)
	}
}
