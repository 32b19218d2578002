package observe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
)

// hashRetry is how long a hash that could not be had is not asked for again.
const hashRetry = 10 * time.Second

// hashOf is what is hashed: the data of one process, which cannot change unnoticed while it runs, up to a revision.
type hashOf struct {
	pod       types.UID
	container string
	revision  int64
}

func (h hashOf) key() string { return fmt.Sprintf("hash of %s %s %d", h.pod, h.container, h.revision) }

// hashes remember, by clusters, what is known while an alarm says that data is corrupt. etcd accepts no writes then, so
// that what was hashed stays the same; to hash a large database takes minutes, longer than a reconcile.
type hashes struct {
	mu       sync.Mutex
	clusters map[string]map[hashOf]etcd.Hash
}

// askHashes has every process hash its data up to the revision that all of them have, when an alarm says that data is
// corrupt: in the background, whose end wakes the reconciler.
func (o *Observer) askHashes(
	cluster string, a *answers, pods []state.Pod, clients map[types.UID]etcd.Client,
) {
	corrupt := func(alarm state.Alarm) bool { return alarm.Type == string(etcd.AlarmCorrupt) }
	if !slices.ContainsFunc(a.etcd.Alarms, corrupt) {
		o.hashes.forget(cluster)
		return
	}
	common := a.commonRevision()
	var asked []hashOf
	for _, p := range pods {
		if clients[p.UID] != nil {
			asked = append(asked, hashOf{p.UID, p.ContainerID, common})
		}
	}
	o.hashes.retain(cluster, asked)
	a.hashes = map[types.UID]state.Hash{}
	for _, of := range asked {
		o.beginHash(cluster, of, clients[of.pod])
		if h, known := o.hashes.of(cluster, of); known {
			a.hashes[of.pod] = state.Hash{Value: h.Value, Revision: h.Revision, Compacted: h.Compacted}
		}
		a.etcd.Hashing = a.etcd.Hashing || o.Operations.Of(cluster, of.key()).Running
	}
}

// beginHash has a process hash its data, unless that is known, goes on, or has just failed.
func (o *Observer) beginHash(cluster string, of hashOf, client etcd.Client) {
	last := o.Operations.Of(cluster, of.key())
	if _, known := o.hashes.of(cluster, of); known || last.Err != nil && o.Now().Sub(last.Ended) < hashRetry {
		return
	}
	o.Operations.Start(cluster, of.key(), func(ctx context.Context) error {
		h, err := client.HashKV(ctx, of.revision)
		if err == nil {
			o.hashes.add(cluster, of, h)
		}
		return err
	})
}

// commonRevision is the latest that all have that answered, but for those called corrupt.
func (a *answers) commonRevision() int64 {
	called := state.Cluster{Etcd: a.etcd}
	common := int64(0)
	for _, p := range a.probes {
		if p.Answered && !called.CalledCorrupt(p.MemberID) && (common == 0 || p.Revision < common) {
			common = p.Revision
		}
	}
	return common
}

func (h *hashes) of(cluster string, of hashOf) (etcd.Hash, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hash, known := h.clusters[cluster][of]
	return hash, known
}

// retain drops all hashes but these, and takes in these only from now on.
func (h *hashes) retain(cluster string, asked []hashOf) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := map[hashOf]etcd.Hash{}
	for _, of := range asked {
		if hash, known := h.clusters[cluster][of]; known {
			kept[of] = hash
		}
	}
	if h.clusters == nil {
		h.clusters = map[string]map[hashOf]etcd.Hash{}
	}
	h.clusters[cluster] = kept
}

// add keeps a hash unless the cluster was forgotten meanwhile.
func (h *hashes) add(cluster string, of hashOf, hash etcd.Hash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kept, asked := h.clusters[cluster]; asked {
		kept[of] = hash
	}
}

func (h *hashes) forget(cluster string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clusters, cluster)
}
