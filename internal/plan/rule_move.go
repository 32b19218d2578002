package plan

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// A healthy member is moved without ever being missed: one voter more than wanted is added, in the lowest free slot
// (the surge slot), then the member is removed, and its slot is free for the next one. In the end the member in the
// surge slot is moved to the slot that is left, so that slots and endpoints end as they began.

// goal is the number of voters that members are added for: one more than wanted while one has to be moved.
func goal(c *state.Cluster) int {
	if len(movers(c)) > 0 {
		return c.Replicas() + 1
	}
	return c.Replicas()
}

// movers are the voters that have to be moved, in the order in which they leave: the one in the surge slot last, so
// that it stands in for all of them, and before it the leader.
func movers(c *state.Cluster) []state.Member {
	list := slices.DeleteFunc(c.Voters(), func(m state.Member) bool { return needOf(c, m).how != moved })
	slices.SortStableFunc(list, func(a, b state.Member) int {
		return cmp.Or(
			cmp.Compare(rank(surging(c, a)), rank(surging(c, b))),
			cmp.Compare(rank(a.ID == c.Etcd.Leader), rank(b.ID == c.Etcd.Leader)),
			cmp.Compare(b.Slot, a.Slot),
		)
	})
	return list
}

// awaited tells that a voter which had to be moved got into trouble: it is moved once it is healthy, or replaced once
// it is lost. The learner that takes its place is kept meanwhile, and not removed and added each time.
func awaited(c *state.Cluster) bool {
	return slices.ContainsFunc(c.Voters(), func(m state.Member) bool {
		return m.Listed && m.Health != state.Healthy && lost(c, m) == "" &&
			(requested(c, m) || endangered(c, m) != "" && replaceable(c, m))
	})
}

// standIn is the record that is made before a removal that leaves as many voters as wanted, one of them in a slot
// beyond: it stands in for the one that is left, and is moved back. It may have been added for another reason, before
// the wanted number was edited. Nil when there is nothing to record.
func standIn(c *state.Cluster, leaving state.Member) Step {
	voters := c.Voters()
	if leaving.Learner || len(voters) != c.Replicas()+1 {
		return nil
	}
	for _, m := range voters {
		if m.ID == leaving.ID || m.Slot < c.Replicas() || m.Surge() || m.Volume == nil && (m.Pod == nil || !c.Ephemeral()) {
			continue
		}
		r := RecordSurge{Member: m.Name, Volume: volumeName(m)}
		if c.Ephemeral() {
			r.PodUID = m.Pod.UID
		}
		return r
	}
	return nil
}

// surging tells that the member was added in the surge slot, and stands in for another.
func surging(c *state.Cluster, m state.Member) bool { return m.Surge() && m.Slot >= c.Replicas() }

// vacancy is the lowest slot that nothing holds, of those that the members shall have in the end.
func vacancy(c *state.Cluster) (slot int, vacant bool) {
	for slot := range c.Replicas() {
		if !c.SlotOccupied(slot) {
			return slot, true
		}
	}
	return 0, false
}

// slotToFill is the slot of a member that is added: for one that stands in the slot that it left, else one whose name
// clients know.
func slotToFill(c *state.Cluster) int {
	if moving := movers(c); len(c.Voters()) >= c.Replicas() && len(moving) > 0 && surging(c, moving[0]) {
		if slot, vacant := vacancy(c); vacant {
			return slot
		}
	}
	return c.FreeSlot()
}

// surgeNeed moves the member in the surge slot back to a slot that is left.
func surgeNeed(c *state.Cluster, m state.Member) need {
	l := c.Learner()
	returning := l != nil && l.Slot < c.Replicas()
	if _, vacant := vacancy(c); !surging(c, m) || !returning && !vacant {
		return need{}
	}
	return need{
		how: moved, activity: v1alpha1.ReasonMovingMember,
		why: "it stood in for members that were moved, and slots below are free",
	}
}

// replaced removes the voter that is to be moved, now that there is one more than wanted. Invariant: all others are
// proven healthy, ready and there to stay.
func (w *walk) replaced(m state.Member) {
	if n := needOf(w.c, m); w.mayStop(m, quorum.Remove, n.activity, n.why) {
		w.remove(m, n.activity, n.why)
	}
}
