package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// drain moves the leadership away from a node that is cordoned, before an eviction stops the leader there: an orderly
// transfer costs no election. Where all nodes are cordoned it stays where it is. It goes on beside other changes,
// which none of its heirs has to undergo: so nobody hands it back.
func drain(w *walk) {
	c := w.c
	leader := c.MemberByID(c.Etcd.Leader)
	if leader == nil || !c.Etcd.Listed || !c.Etcd.Serving || !cordoned(c, *leader) || !handsOver(c, *leader) {
		return
	}
	if !w.project(quorum.None, 0).Allowed {
		return
	}
	heirs := slices.DeleteFunc(c.Voters(), func(m state.Member) bool { return !mayInherit(c, m) })
	if len(heirs) == 0 {
		return
	}
	to := slices.MaxFunc(heirs, func(a, b state.Member) int {
		return cmp.Or(cmp.Compare(a.Probe.Applied, b.Probe.Applied), cmp.Compare(b.Slot, a.Slot))
	})
	w.propose(leadership, MoveLeader{From: leader.Name, To: to.Name, FromID: leader.ID, ToID: to.ID},
		v1alpha1.ReasonMovingLeader, "node "+leader.Pod.Node+" is cordoned, so that it is about to be drained")
}

// mayInherit tells that the voter is healthy and there to stay, on a node that takes new Pods.
func mayInherit(c *state.Cluster, m state.Member) bool {
	if m.Health != state.Healthy || !m.Pod.Ready || m.Retiring() || needOf(c, m).how != untouched {
		return false
	}
	if voters := c.Voters(); len(voters) > c.Replicas() && surplus(c, voters).ID == m.ID {
		return false
	}
	n, known := c.Nodes[m.Pod.Node]
	return known && n.Ready && !n.Unschedulable
}

// cordoned tells that the member runs on a node that takes no new Pods any more: it is most likely about to be drained.
func cordoned(c *state.Cluster, m state.Member) bool {
	return m.Pod != nil && c.Nodes[m.Pod.Node].Unschedulable
}

// marooned says that a learner that ran was evicted and cannot come back, because its volume can be attached only to
// nodes that are cordoned or not ready, or that the spec does not admit. It has nothing that the voters lack: another
// one is added where it can run. Empty when it can come back, or nobody knows.
func marooned(c *state.Cluster, l state.Member) string {
	v := l.Volume
	if v == nil || v.Node == "" || l.Pod == nil || l.Pod.Node != "" || v.Disk == nil || !v.Disk.Searched ||
		len(v.Disk.Hosts) == 0 {
		return ""
	}
	switch hosts := " (" + strings.Join(v.Disk.Hosts, ", ") + ")"; {
	case v.Disk.Unfit:
		return "its volume can be attached only to nodes that spec.podTemplate does not admit" + hosts
	case !c.Attachable(v, ""):
		return "its volume can be attached only to nodes that take no Pods now" + hosts
	default:
		return ""
	}
}

// drainPatience is how long a learner that runs may keep the single voter, from which it learns, from being evicted.
const drainPatience = 10 * time.Minute

// teaching tells that a learner gets its data from the only voter: no budget protects a single member, but an eviction
// would stop both for nothing. Not for ever: a learner that makes no progress does not hold up a drain.
func teaching(c *state.Cluster) bool {
	l := c.Learner()
	return l != nil && len(c.Voters()) == 1 && l.Pod != nil && l.Pod.Running && l.Pod.RunningFor < drainPatience
}

// promotable tells that the learner in the Pod is labelled as a voter, and may become one at any moment, also by a call
// whose answer got lost. One that does not run is not promoted by etcd, and must not hold up a drain for ever.
func promotable(c *state.Cluster, p *state.Pod) bool {
	if p == nil || !p.Voter {
		return false
	}
	return p.Running || p.Ready || p.LastExit != nil && c.Now.Sub(p.LastExit.At) < time.Minute
}

// ending tells that the Pod of a voter is about to end on a node whose kubelet will see to that. Until then the budget
// stays as high as it was raised for it: lowered at once, it could let an eviction pass before the disruption
// controller has noticed that a Pod is missing.
func ending(c *state.Cluster) bool {
	return slices.ContainsFunc(c.Voters(), func(m state.Member) bool {
		if m.Pod == nil || !m.Pod.Terminating {
			return false
		}
		n, known := c.Nodes[m.Pod.Node]
		return !known || n.Ready
	})
}
