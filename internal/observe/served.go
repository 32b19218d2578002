package observe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// handshakeTimeout bounds the question which certificate a process serves.
const handshakeTimeout = time.Second

// servedCertificates remember what each process was last seen to serve. Only a process that serves something else than
// what is published is asked again: at rest nobody is.
type servedCertificates struct {
	mu       sync.Mutex
	clusters map[string]map[types.UID]state.Serves
}

func (s *servedCertificates) of(cluster string, pod types.UID) state.Serves {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clusters[cluster][pod]
}

// keep replaces what is known of the cluster, so that Pods that are gone are forgotten.
func (s *servedCertificates) keep(cluster string, pods map[types.UID]state.Serves) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clusters == nil {
		s.clusters = map[string]map[types.UID]state.Serves{}
	}
	if len(pods) == 0 {
		delete(s.clusters, cluster)
		return
	}
	s.clusters[cluster] = pods
}

// readServed finds out which certificates the members serve: only what a new connection meets proves that a renewal
// has arrived.
func (o *Observer) readServed(ctx context.Context, c *state.Cluster) {
	if c.TLS == nil {
		return
	}
	cluster := c.Object.Namespace + "/" + c.Object.Name
	peer, client := o.Credentials.Certificates(cluster)
	known := map[types.UID]state.Serves{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range c.Members {
		m := &c.Members[i]
		if m.Pod == nil || !m.Pod.Running || m.Pod.IP == "" {
			continue
		}
		m.Serves = o.served.of(cluster, m.Pod.UID)
		wg.Go(func() {
			if !c.TLS.Served(*m) {
				m.Serves = o.serves(ctx, m.Pod.IP, peer, client)
			}
			mu.Lock()
			defer mu.Unlock()
			known[m.Pod.UID] = m.Serves
		})
	}
	wg.Wait()
	o.served.keep(cluster, known)
}

// serves asks a process with certificates that it accepts: it would log a complaint about others.
func (o *Observer) serves(ctx context.Context, ip string, peer, client *tls.Certificate) state.Serves {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	ask := func(port int, certificate *tls.Certificate) string {
		fingerprint, err := o.Handshake(ctx, net.JoinHostPort(ip, fmt.Sprint(port)), certificate)
		if err != nil {
			return "" // not running, or not yet: the probe tells why
		}
		return fingerprint
	}
	return state.Serves{Peer: ask(resources.PeerPort, peer), Server: ask(resources.ClientPort, client)}
}

// Forget drops what is held in memory for a cluster that is gone.
func (o *Observer) Forget(cluster string) {
	o.served.keep(cluster, nil)
	o.published.forget(cluster)
	o.heard.forget(cluster)
	o.hashes.forget(cluster)
	o.sightings.forget(cluster)
	o.Credentials.Forget(cluster)
}
