package etcd

import (
	"slices"
	"time"
)

// Partition cuts the member in the Pod off from all other members, or joins it again. It holds for later processes of
// the Pod too.
func (m *Model) Partition(podUID string, isolated bool) {
	m.isolated[podUID] = isolated
	m.reconnect()
}

// Unreachable cuts the operator off from the Pod, or joins it again; clients of Put are not concerned.
func (m *Model) Unreachable(podUID string, unreachable bool) { m.unreachable[podUID] = unreachable }

// linked tells whether two processes of one cluster can speak to each other over the network.
func (m *Model) linked(a, b *process) bool {
	return a != b && a.disk.cluster == b.disk.cluster && !a.shadowed && !b.shadowed &&
		!m.isolated[a.cfg.PodUID] && !m.isolated[b.cfg.PodUID]
}

// connected tells whether raft messages pass: a member does not hear one that it knows to be removed
// (etcdserver.EtcdServer.Process, rafthttp).
func (m *Model) connected(a, b *process) bool {
	return a == b || m.linked(a, b) && !a.disk.view.hasRemoved(b.disk.member) && !b.disk.view.hasRemoved(a.disk.member)
}

// peerTimeout is how long a member takes to notice that nothing comes from a peer any more (rafthttp.ConnReadTimeout).
// The end of a process is noticed at once.
const peerTimeout = 5 * time.Second

// connection is a peer that a member holds for active (rafthttp's ActiveSince).
type connection struct {
	peer  *process
	since time.Time
	cut   time.Time // since when nothing arrives; zero when all is well
}

// reconnect brings the connections of all processes up to date with the network.
func (m *Model) reconnect() {
	now := m.opts.Now()
	for _, p := range m.running {
		p.active = slices.DeleteFunc(p.active, func(c connection) bool {
			if c.peer.ended || c.peer.shadowed || p.disk.view.hasRemoved(c.peer.disk.member) {
				return true
			}
			return !m.connected(p, c.peer) && !c.cut.IsZero() && now.Sub(c.cut) >= peerTimeout
		})
		for i := range p.active {
			c := &p.active[i]
			if m.connected(p, c.peer) {
				c.cut = time.Time{}
			} else if c.cut.IsZero() {
				c.cut = now
			}
		}
		for _, peer := range m.running {
			if peer != p && m.connected(p, peer) && p.activeSince(peer.disk.member).IsZero() {
				p.active = append(p.active, connection{peer: peer, since: now})
			}
		}
	}
}

// activeSince is when the connection to a member was made; zero when there is none.
func (p *process) activeSince(id uint64) time.Time {
	for _, c := range p.active {
		if c.peer.disk.member == id {
			return c.since
		}
	}
	return time.Time{}
}

// at returns the process that answers at a peer URL when a Pod asks.
func (m *Model) at(peerURL, askingPod string) *process {
	if m.isolated[askingPod] {
		return nil
	}
	for i := len(m.running) - 1; i >= 0; i-- {
		if p := m.running[i]; p.cfg.PeerURL == peerURL && p.cfg.PodUID != askingPod {
			if m.isolated[p.cfg.PodUID] {
				return nil
			}
			return p
		}
	}
	return nil
}

// member returns the running process of a member, as the process p reaches it.
func (m *Model) member(p *process, id uint64) *process {
	if p.disk.member == id {
		return p
	}
	for _, c := range p.active {
		if c.peer.disk.member == id && m.connected(p, c.peer) {
			return c.peer
		}
	}
	return nil
}

// leaderFor returns the leader that a process forwards proposals to; nil when it knows or reaches none.
func (m *Model) leaderFor(p *process) *process {
	if p.lead == 0 {
		return nil
	}
	if leader := m.member(p, p.lead); leader != nil && leader.leading {
		return leader
	}
	return nil
}

// hasQuorum tells whether a leader is connected to a majority of the voters.
func (m *Model) hasQuorum(leader *process) bool {
	n := 0
	for _, member := range leader.disk.view.members {
		if !member.learner && m.member(leader, member.id) != nil {
			n++
		}
	}
	return n >= leader.disk.view.quorum()
}
