package observe

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
)

// minorsDiffer tells that a member runs another minor than the wanted one: an upgrade or downgrade is asked for or
// going on, or was completed and is not recorded yet.
func (a *answers) minorsDiffer(c *state.Cluster) bool {
	if c.Latch != nil && state.Minor(c.Latch.Version) != state.Minor(c.Version()) {
		return true
	}
	for _, p := range a.probes {
		if p.Answered && state.Minor(p.Version) != state.Minor(c.Version()) {
			return true
		}
	}
	return false
}

// askVersions asks for what an upgrade depends on: the cluster version, and whether all members agree on who they are.
func (a *answers) askVersions(
	ctx context.Context, pods []state.Pod, clients map[types.UID]etcd.Client, speaker types.UID,
) {
	if minor, err := clients[speaker].ClusterVersion(ctx); err == nil {
		a.etcd.ClusterVersion = minor
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range pods {
		client := clients[p.UID]
		if client == nil || !a.probes[p.UID].Answered || a.probes[p.UID].Learner {
			continue
		}
		wg.Go(func() {
			own, err := client.OwnMembers(ctx)
			if err == nil && sameMembers(own.Members, a.list) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			a.etcd.ListsDiffer = append(a.etcd.ListsDiffer, p.Name)
		})
	}
	wg.Wait()
	slices.Sort(a.etcd.ListsDiffer)
}

// sameMembers tells that two lists name the same members in the same roles, in whatever order.
func sameMembers(a, b []etcd.Member) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(m etcd.Member) bool {
		return !slices.ContainsFunc(b, func(o etcd.Member) bool {
			return m.ID == o.ID && m.Learner == o.Learner && slices.Equal(m.PeerURLs, o.PeerURLs)
		})
	})
}
