package etcd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// errPoolClosed answers a caller that asks for a client after Close.
var errPoolClosed = errors.New("the pool of etcd clients is closed")

// PoolOptions configure a Pool. The zero value speaks plain text.
type PoolOptions struct {
	// Credentials returns the TLS configuration for the members of a cluster ("namespace/name") that speak TLS.
	// It is asked once for every client that is made; Retain(cluster, nil) drops the clients made with older ones.
	// The pool sets ServerName on a copy. With TLS a Target needs a ServerName. A nil function means plain text.
	Credentials func(cluster string) *tls.Config
}

// Pool implements Dialer over clientv3 with one connection per Pod. It is safe for concurrent use.
type Pool struct {
	opts    PoolOptions
	changes *changes

	mu       sync.Mutex
	closed   bool
	clusters map[string]map[string]*memberClient // cluster -> Pod UID -> client
}

var _ Dialer = (*Pool)(nil)

// NewPool returns a pool without connections. Close releases what it opens.
func NewPool(opts PoolOptions) *Pool {
	return &Pool{opts: opts, changes: newChanges(), clusters: map[string]map[string]*memberClient{}}
}

// Changed names the clusters in which a connection to a member was established or lost, and those given to Wake.
// Changes of one cluster that nobody has received yet are told once. The channel is closed by Close.
func (p *Pool) Changed() <-chan string { return p.changes.out }

// Wake tells of the cluster through Changed, as a change of a connection does.
func (p *Pool) Wake(cluster string) { p.changes.add(cluster) }

// Client returns the client of the process behind the Pod. It is made anew when the Pod's address or server name is
// another than before. The error tells why no client can be made; it is never about the network.
func (p *Pool) Client(t Target) (Client, error) {
	if t.Address == "" || t.PodUID == "" || t.Cluster == "" {
		return nil, fmt.Errorf("etcd client of Pod %q in cluster %q: address %q: all three are needed, wait until the "+
			"Pod has an IP address", t.PodUID, t.Cluster, t.Address)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	pods := p.clusters[t.Cluster]
	old := pods[t.PodUID]
	if old != nil && old.target == t {
		return old, nil
	}
	made, err := p.dial(t)
	if err != nil {
		return nil, fmt.Errorf("etcd client of %s: %w", t.Address, err)
	}
	if pods == nil {
		pods = map[string]*memberClient{}
		p.clusters[t.Cluster] = pods
	}
	pods[t.PodUID] = made
	if old != nil {
		old.close()
	}
	return made, nil
}

// Retain closes the clients of the cluster whose Pods are not among keep; with no keep, all of them. Calls in flight on
// a closed client fail.
func (p *Pool) Retain(cluster string, keep []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pods := p.clusters[cluster]
	for uid, c := range pods {
		if !slices.Contains(keep, uid) {
			delete(pods, uid)
			c.close()
		}
	}
	if len(pods) == 0 {
		delete(p.clusters, cluster)
	}
}

// Close closes every connection and the channel of Changed, and returns when all goroutines of the pool have ended.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	for _, pods := range p.clusters {
		for _, c := range pods {
			c.close()
		}
	}
	p.clusters = nil
	p.mu.Unlock()
	p.changes.close()
}

func (p *Pool) dial(t Target) (*memberClient, error) {
	credentials := (*tls.Config)(nil)
	switch {
	case !t.TLS:
	case p.opts.Credentials == nil || t.ServerName == "":
		return nil, errors.New("TLS needs credentials and the member's DNS name")
	default:
		credentials = p.opts.Credentials(t.Cluster)
	}
	return newMemberClient(t, credentials, func() { p.changes.add(t.Cluster) })
}
