package observe

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// silenceWindow is how long nothing may come from a peer, at least, until the leader counts as hearing nothing of it.
const silenceWindow = time.Second

// readPeers asks the leader from which members it hears, when a listed member does not answer: one that runs, but not
// for us, is not taken for dead. The health of the members must have been assessed, and is so again.
func (o *Observer) readPeers(ctx context.Context, c *state.Cluster) {
	suspects := silent(c)
	if !c.Formed() || !c.Etcd.Listed || c.Etcd.Leader == 0 || len(suspects) == 0 {
		o.heard.forget(clusterKey(c))
		return
	}
	leader := c.MemberByID(c.Etcd.Leader)
	if leader == nil || leader.Pod == nil || leader.Pod.IP == "" || !leader.Probe.Answered {
		c.Etcd.PeersErr = "the leader does not answer"
		return
	}
	begun := o.Now()
	r, err := o.ReadPeers(ctx, net.JoinHostPort(leader.Pod.IP, fmt.Sprint(resources.MetricsPort)), leader.ID)
	if err != nil {
		c.Etcd.PeersErr = etcd.Reason(err)
		return
	}
	taken := reading{PeerReading: r, begun: begun, ended: o.Now(), window: window(c)}
	for id, v := range o.heard.judge(clusterKey(c), suspects, taken) {
		c.MemberByID(id).Peer = v.peer
		if v.again > 0 && (c.Etcd.ListenAgain == 0 || v.again < c.Etcd.ListenAgain) {
			c.Etcd.ListenAgain = v.again
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

// window is long enough for several heartbeats, as the spec wants them and as the members that run were told.
func window(c *state.Cluster) time.Duration {
	heartbeat := resources.HeartbeatInterval(c.Object)
	for _, p := range c.Pods() {
		heartbeat = max(heartbeat, resources.GivenHeartbeat(p.Args))
	}
	return max(silenceWindow, 3*heartbeat)
}

// reading is one of the leader, and when it was taken.
type reading struct {
	etcd.PeerReading
	begun, ended time.Time
	window       time.Duration
}

// hearing is what a leader had received from a peer, and since when, at least, that has not become more.
type hearing struct {
	leadership etcd.Leadership
	received   float64
	since      time.Time
}

// heard remembers, by clusters and peers that do not answer, what their leaders had received, so that no observation
// has to wait in order to prove a silence: it compares what it reads with what one before it read.
type heard struct {
	mu       sync.Mutex
	clusters map[string]map[uint64]hearing
}

// verdict on a peer, and after which time another reading can tell more; zero when none can.
type verdict struct {
	peer  state.Peer
	again time.Duration
}

// judge takes the leader's word that a connection is lost. That there is one it believes unless nothing has come from
// the peer for the window up to this reading, in one and the same leadership: only a leader is answered. What is not
// proven to be silent counts as active.
func (h *heard) judge(cluster string, suspects []uint64, now reading) map[uint64]verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	verdicts, kept := map[uint64]verdict{}, map[uint64]hearing{}
	for _, id := range suspects {
		if !now.Active[id] {
			verdicts[id] = verdict{peer: state.PeerInactive}
			continue
		}
		before, known := h.clusters[cluster][id]
		compares := known && before.leadership == now.Leadership && before.received <= now.Received[id]
		spoke := compares && before.received < now.Received[id]
		if !compares || spoke {
			before = hearing{leadership: now.Leadership, received: now.Received[id], since: now.ended}
		}
		kept[id] = before
		silence := max(now.begun.Sub(before.since), 0)
		switch {
		case spoke:
			verdicts[id] = verdict{peer: state.PeerActive}
		case silence >= now.window:
			verdicts[id] = verdict{peer: state.PeerInactive}
		default:
			verdicts[id] = verdict{peer: state.PeerActive, again: now.window - silence}
		}
	}
	if h.clusters == nil {
		h.clusters = map[string]map[uint64]hearing{}
	}
	h.clusters[cluster] = kept
	return verdicts
}

// forget drops what is remembered of the cluster.
func (h *heard) forget(cluster string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clusters, cluster)
}
