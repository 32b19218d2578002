package observe

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/state"
)

// unready is a Pod or, by its name, a node that is not ready since a time that its kubelet or a controller wrote.
type unready struct {
	pod   types.UID
	node  string
	since int64
}

// sightings remember, by clusters, when this operator first saw what is not ready. Its age must not depend on how
// far the clock here is ahead of the clocks of Kubernetes: what is waited for would be given up too early.
type sightings struct {
	mu       sync.Mutex
	clusters map[string]map[unready]time.Time
}

// apply moves the times since when Pods and nodes are not ready to when that was first seen, if that is later.
func (s *sightings) apply(cluster string, c *state.Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[unready]time.Time{}
	seen := func(u unready, since time.Time) time.Time {
		if since.IsZero() {
			return since
		}
		u.since = since.UnixNano()
		first, known := s.clusters[cluster][u]
		if !known {
			first = c.Now
		}
		kept[u] = first
		if first.After(since) {
			return first
		}
		return since
	}
	for i := range c.Members {
		if p := c.Members[i].Pod; p != nil {
			p.NotReadySince = seen(unready{pod: p.UID}, p.NotReadySince)
		}
	}
	for name, n := range c.Nodes {
		n.NotReadySince = seen(unready{node: name}, n.NotReadySince)
		c.Nodes[name] = n
	}
	if s.clusters == nil {
		s.clusters = map[string]map[unready]time.Time{}
	}
	s.clusters[cluster] = kept
}

// forget drops what is remembered of the cluster.
func (s *sightings) forget(cluster string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clusters, cluster)
}
