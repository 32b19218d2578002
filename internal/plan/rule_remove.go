package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// finishRemoval ends what a confirmed removal began: it retires the volume, then deletes the Pod. Invariant: etcd's
// linearizable list lacks the member, so raft never lets it vote again, whatever its Pod and volume still do.
func finishRemoval(w *walk) {
	c := w.c
	if !c.Etcd.Listed {
		return
	}
	w.trimLaunched()
	var unretired []string
	for _, v := range c.Leftovers.Volumes {
		if v.Foreign() {
			w.block(0, v1alpha1.ReasonOwnershipConflict, "the claim "+v.Name+" is bound to another volume than it records: "+
				"another tool re-created it; it is left alone")
			continue
		}
		if !v.Retired {
			unretired = append(unretired, v.Name)
		}
	}
	if len(unretired) > 0 {
		w.propose(cleanup, RecordRetired{Volumes: unretired}, v1alpha1.ReasonScalingDown,
			"etcd no longer lists the member: its volume must never be started again")
	}
	for _, p := range c.Leftovers.Pods {
		// The removal is the fence: raft ignores the member from now on, also on a node that nobody can reach.
		n, exists := c.Nodes[p.Node]
		force := exists && !n.Ready || p.Node != "" && gone(c, p.Node)
		if !p.Terminating || force && !p.Forced {
			w.propose(cleanup, DeletePod{Name: p.Name, UID: p.UID, Why: "etcd no longer lists its member", Force: force},
				v1alpha1.ReasonScalingDown, "the member was removed")
		}
		w.block(membership, v1alpha1.ReasonScalingDown, "waiting until Pod "+p.Name+" of a removed member has ended"+
			removedPodHint(c, p))
	}
}

// trimLaunched keeps the record of launched members to those that etcd lists: were others counted, a majority would
// seem lost that is not. Invariant: the list was read after the record, a member is listed before it is recorded, and
// nothing of those that are forgotten could be taken for a member's once the list cannot be read any more.
func (w *walk) trimLaunched() {
	if !w.c.Formed() {
		return
	}
	removed := slices.DeleteFunc(slices.Clone(w.c.Latch.Launched), w.c.Remembered)
	if len(removed) > 0 {
		w.ensure(TrimLaunched{Removed: removed})
	}
}

// removedPodHint tells what keeps the Pod of a removed member, and what a person can do.
func removedPodHint(c *state.Cluster, p state.Pod) string {
	switch {
	case p.Forced:
		return ": only its finalizers keep it"
	case c.Nodes == nil:
		return " (nodes cannot be read: if its node is off for good, delete it with --force)"
	default:
		return ""
	}
}

// remove goes the way of every removal of a listed member: permission by the projection, announcement through the
// disruption budget, leadership handed over, record, and only then the removal, each as a step of its own.
func (w *walk) remove(m state.Member, activity, why string) {
	c := w.c
	if verdict := w.project(quorum.Remove, m.ID); !verdict.Allowed {
		w.block(membership, activity, fmt.Sprintf("%s is to be removed (%s), but %s: waiting for the other members",
			m.Name, why, verdict.Reason))
		return
	}
	if other := terminating(c, m); !m.Learner && m.Pod != nil && other != "" {
		w.block(membership, activity, fmt.Sprintf("%s is to be removed (%s), but Pod %s is being deleted: waiting for it",
			m.Name, why, other))
		return
	}
	w.announce = w.announce || !m.Learner && m.Pod != nil && w.forbidden&membership == 0
	if w.announce {
		if voters := len(c.Voters()); !budgeted(c, voters) {
			w.block(membership, activity, fmt.Sprintf("%s is to be removed (%s): waiting until the disruption controller "+
				"observes minAvailable %d, so that no eviction comes in between", m.Name, why, voters))
			return
		}
	}
	if handsOver(c, m) {
		w.handOver(m, activity, "removed")
		return
	}
	if record, reason := recordBefore(c, m); record != nil {
		w.propose(membership, record, activity, cmp.Or(reason, why))
		return
	}
	w.propose(membership, RemoveMember{Name: m.Name, ID: m.ID, Why: why}, activity, why)
}

// recordBefore is what has to be recorded before the member is removed, with a reason of its own if it has one; nil
// when all is.
func recordBefore(c *state.Cluster, m state.Member) (step Step, reason string) {
	if s := standIn(c, m); s != nil {
		return s, "it stays when " + m.Name + " is removed, and lower slots are free then"
	}
	evidence := m.Volume != nil && (corrupt(c, m) || gaveUp(c, m))
	if m.Volume == nil && m.Pod == nil || m.Retiring() && (!evidence || m.Volume.Evidence) {
		return nil, ""
	}
	r := Retire{Name: m.Name, Volume: volumeName(m), Evidence: evidence}
	if c.Ephemeral() && m.Pod != nil {
		r.PodUID = m.Pod.UID
	}
	return r, ""
}

// terminating names another voter whose Pod is being deleted: an eviction that was granted before the budget
// was raised. Not one on a node that is not ready: the end of its Pod may never be seen, and the projection counts it
// as dead already.
func terminating(c *state.Cluster, leaving state.Member) string {
	for _, m := range c.Voters() {
		if m.ID != leaving.ID && m.Pod != nil && m.Pod.Terminating {
			if n, exists := c.Nodes[m.Pod.Node]; exists && !n.Ready || gone(c, m.Pod.Node) {
				continue
			}
			return m.Name
		}
	}
	return ""
}

// handsOver tells that the member leads and has somebody to hand the leadership to. Only the leader itself can: one
// that locks us out leaves the others to an election.
func handsOver(c *state.Cluster, m state.Member) bool {
	return c.Etcd.Leader == m.ID && len(c.Voters()) > 1 && !lockedOut(c, m)
}

// handOver moves the leadership, before the leader is stopped or removed, which would leave the others to wait for an
// election: to a healthy voter that stays, and stays as it is and where it is, if there is one, and of those to the one
// that has applied most.
func (w *walk) handOver(leader state.Member, activity, fate string) {
	c := w.c
	heirs := slices.DeleteFunc(c.Voters(), func(m state.Member) bool {
		return m.ID == leader.ID || m.Health != state.Healthy
	})
	if len(heirs) == 0 {
		w.block(membership, activity, leader.Name+" leads and no other voter is healthy: waiting for one")
		return
	}
	to := slices.MaxFunc(heirs, func(a, b state.Member) int {
		return cmp.Or(
			cmp.Compare(rank(b.Retiring()), rank(a.Retiring())),
			cmp.Compare(needOf(c, b).how, needOf(c, a).how),
			cmp.Compare(rank(cordoned(c, b)), rank(cordoned(c, a))),
			cmp.Compare(a.Probe.Applied, b.Probe.Applied),
			cmp.Compare(b.Slot, a.Slot),
		)
	})
	w.propose(membership, MoveLeader{From: leader.Name, To: to.Name, FromID: leader.ID, ToID: to.ID}, activity,
		leader.Name+" is about to be "+fate)
}

// resumeUnwanted withdraws the record of removals that are no longer wanted.
func (w *walk) resumeUnwanted(wanted uint64) {
	for _, m := range w.c.Members {
		if !m.Listed || !m.Retiring() || m.ID == wanted {
			continue
		}
		r := Resume{Name: m.Name, Volume: volumeName(m)}
		if w.c.Ephemeral() && m.Pod != nil {
			r.PodUID = m.Pod.UID
		}
		w.propose(membership, r, v1alpha1.ReasonScalingDown, "its removal is no longer wanted")
	}
}

// scaleDown removes voters that are too many, one at a time.
func scaleDown(w *walk) {
	c := w.c
	if !c.Etcd.Listed {
		return
	}
	voters := c.Voters()
	if len(voters) <= c.Replicas() {
		w.resumeUnwanted(0)
		return
	}
	if leaving := movers(c); len(leaving) > 0 && !surging(c, leaving[0]) && len(voters) == goal(c) {
		w.resumeUnwanted(leaving[0].ID)
		w.replaced(leaving[0])
		return
	}
	victim := surplus(c, voters)
	w.resumeUnwanted(victim.ID)
	why := fmt.Sprintf("%d voters are wanted, %d are listed", c.Replicas(), len(voters))
	w.remove(victim, v1alpha1.ReasonScalingDown, why)
	if w.d.Step == nil && !hasReason(w.d.Blocked, v1alpha1.ReasonScalingDown) {
		w.block(0, v1alpha1.ReasonScalingDown, why+": waiting for the above")
	}
}

// surplus chooses the voter to remove, in this order: one that is unhealthy, one whose removal was begun, one that
// would have to be moved, the one with the highest slot. A voter of unknown health is not blamed for it.
func surplus(c *state.Cluster, voters []state.Member) state.Member {
	return slices.MaxFunc(voters, func(a, b state.Member) int {
		for _, key := range []func(state.Member) int{
			func(m state.Member) int { return rank(m.Health == state.Unhealthy) },
			func(m state.Member) int { return rank(m.Retiring()) },
			func(m state.Member) int { return rank(needOf(c, m).how == moved && !surging(c, m)) },
			func(m state.Member) int { return m.Slot },
		} {
			if d := key(a) - key(b); d != 0 {
				return d
			}
		}
		return 0
	})
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cleanUp deletes retired volumes once the cluster is healthy without them. Invariant: the volume's record says
// retired, which was written only after a linearizable list lacked its member.
func cleanUp(w *walk) {
	c := w.c
	if !c.Etcd.Listed || !c.AllVotersHealthy() || len(c.Voters()) < c.Replicas() {
		return
	}
	for _, v := range c.Leftovers.Volumes {
		if v.Retired && !v.Evidence && !v.Foreign() && !v.Terminating && !c.SlotHeld(v.Slot) {
			w.propose(cleanup, DeleteVolume{Name: v.Name, UID: v.UID}, v1alpha1.ReasonScalingDown,
				"the cluster is healthy without it")
		}
	}
}
