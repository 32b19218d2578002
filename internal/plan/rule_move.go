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

// surging tells that the member was added in the surge slot, and stands in for another.
func surging(c *state.Cluster, m state.Member) bool { return m.Surge() && m.Slot >= c.Replicas() }

// surgeNeed moves the member in the surge slot back to a slot that is left.
func surgeNeed(c *state.Cluster, m state.Member) need {
	l := c.Learner()
	returning := l != nil && l.Slot < c.Replicas()
	if !surging(c, m) || !returning && c.FreeSlot() >= c.Replicas() {
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
