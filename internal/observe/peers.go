package observe

import (
	"context"
	"fmt"
	"net"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// readPeers asks the leader to which members it is connected, when a listed member does not answer: one that runs, but
// not for us, is not taken for dead. The health of the members must have been assessed, and is so again.
func (o *Observer) readPeers(ctx context.Context, c *state.Cluster) {
	suspects := silent(c)
	if !c.Formed() || !c.Etcd.Listed || c.Etcd.Leader == 0 || len(suspects) == 0 {
		return
	}
	leader := c.MemberByID(c.Etcd.Leader)
	if leader == nil || leader.Pod == nil || leader.Pod.IP == "" || !leader.Probe.Answered {
		c.Etcd.PeersErr = "the leader does not answer"
		return
	}
	active, err := o.ActivePeers(ctx, etcd.PeersQuestion{
		Address: net.JoinHostPort(leader.Pod.IP, fmt.Sprint(resources.MetricsPort)), Member: leader.ID, Suspects: suspects,
		Heartbeat: resources.HeartbeatInterval(c.Object),
	})
	if err != nil {
		c.Etcd.PeersErr = etcd.Reason(err)
		return
	}
	for _, id := range suspects {
		m := c.MemberByID(id)
		m.Peer = state.PeerInactive
		if active[id] {
			m.Peer = state.PeerActive
		}
	}
	c.Assess()
}

// silent are the listed members that do not answer.
func silent(c *state.Cluster) []uint64 {
	var ids []uint64
	for _, m := range c.Members {
		if m.Listed && !m.Probe.Answered {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// askHashes has every process hash its data up to the revision that all of them have, when an alarm says that data is
// corrupt. etcd accepts no writes then, so that they have the same one soon.
func (a *answers) askHashes(ctx context.Context, clients map[types.UID]etcd.Client) {
	if !slices.ContainsFunc(a.etcd.Alarms, func(alarm state.Alarm) bool { return alarm.Type == string(etcd.AlarmCorrupt) }) {
		return
	}
	type result struct {
		uid  types.UID
		hash etcd.Hash
		err  error
	}
	common := a.commonRevision()
	results := make(chan result, len(clients))
	for uid, client := range clients {
		go func() {
			h, err := client.HashKV(ctx, common)
			results <- result{uid, h, err}
		}()
	}
	a.hashes = map[types.UID]state.Hash{}
	for range clients {
		if r := <-results; r.err == nil {
			a.hashes[r.uid] = state.Hash{Value: r.hash.Value, Revision: r.hash.Revision, Compacted: r.hash.Compacted}
		}
	}
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
