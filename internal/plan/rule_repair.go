package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// A voter that is lost is replaced on a new volume in the same slot: it is removed, which fences it, and scale-up fills
// the slot. The dead first, one at a time, and nothing is added before: etcd refuses to add beside a dead member of
// three (server/etcdserver/server.go, mayAddMember), and each removal of a dead one brings the rest further from the
// loss of the majority.

// replaceLost removes the lost voters, one at a time. Invariant: the projection shows a proven-healthy majority without
// it (remove), the member is not healthy and not unknown, and its data is gone, out of reach or broken. Manual repair
// waits for a person, and a cluster that is to hibernate until it wakes.
func replaceLost(w *walk) {
	c := w.c
	if c.Hibernated() {
		return
	}
	reportEndangered(w)
	reportCrashLoops(w)
	waits, due := losses(c)
	for _, m := range waits {
		w.awaitLoss(m)
	}
	for i, m := range due {
		l := lossOf(c, m)
		switch {
		case len(c.Voters()) == 1:
			w.block(membership, reasonOf(m), fmt.Sprintf("%s is lost: %s. It is the only member: there is nothing to repair "+
				"it from", m.Name, l.why))
		case !replaceable(c, m):
			w.reportLost(m, l)
		case i > 0:
			w.block(membership, v1alpha1.ReasonReplacingMember, fmt.Sprintf("%s is lost too (%s) and is replaced after %s",
				m.Name, l.why, due[0].Name))
		default:
			w.remove(m, v1alpha1.ReasonReplacingMember, l.why)
			w.block(membership, v1alpha1.ReasonReplacingMember, m.Name+" is replaced: "+l.why)
		}
	}
}

// losses are the listed members that count as lost in a while unless they come back, and the voters that are lost:
// those first that may be replaced, of them the one whose removal was begun.
func losses(c *state.Cluster) (waits, due []state.Member) {
	for _, m := range c.Members {
		switch l := lossOf(c, m); {
		case !m.Listed || l.why == "":
		case l.pending(c) || l.doubt(c, m) != "":
			waits = append(waits, m)
		case !m.Learner:
			due = append(due, m)
		}
	}
	slices.SortStableFunc(due, func(a, b state.Member) int {
		return cmp.Or(cmp.Compare(rank(!replaceable(c, a)), rank(!replaceable(c, b))),
			cmp.Compare(rank(b.Retiring()), rank(a.Retiring())))
	})
	return waits, due
}

// awaitLoss tells what a member is waited for that may be lost, and until when.
func (w *walk) awaitLoss(m state.Member) {
	l := lossOf(w.c, m)
	fate := "it is replaced"
	if !replaceable(w.c, m) {
		fate = "it is reported as lost"
	}
	if l.pending(w.c) {
		w.wakeAfter(l.at.Sub(w.c.Now))
		w.block(0, v1alpha1.ReasonMemberUnhealthy, fmt.Sprintf("%s: %s; unless it comes back, %s after %s",
			m.Name, l.why, fate, l.at.UTC().Format(time.RFC3339)))
		return
	}
	w.block(0, v1alpha1.ReasonMemberUnhealthy, fmt.Sprintf("%s: %s. It is not replaced: %s", m.Name, l.why,
		l.doubt(w.c, m)))
}

// reportLost tells how a person has a lost member replaced.
func (w *walk) reportLost(m state.Member, l loss) {
	forbid := membership
	if len(w.c.Voters()) > w.c.Replicas() {
		forbid = 0 // scaling down removes the lost one first
	}
	w.block(forbid, reasonOf(m), fmt.Sprintf("%s is lost: %s. spec.repair.mode is Manual: to have it replaced, run %s",
		m.Name, l.why, askCommand(w.c, m)))
}

// askCommand is the command by which a person asks for the replacement of the member.
func askCommand(c *state.Cluster, m state.Member) string {
	return fmt.Sprintf("kubectl -n %s annotate --overwrite etcdcluster %s %s=%s", c.Object.Namespace, c.Object.Name,
		v1alpha1.AnnotationReplaceMember, resources.FormatID(m.ID))
}

func reasonOf(m state.Member) string {
	if m.Wiped() {
		return v1alpha1.ReasonVolumeWiped
	}
	return v1alpha1.ReasonMemberLost
}

// replaceable tells that a lost member is replaced without being asked for, or that a person asked. One that never
// served has nothing to lose.
func replaceable(c *state.Cluster, m state.Member) bool {
	return resources.RepairsAutomatically(c.Object) || !m.Started || requested(c, m)
}

// repairNeed moves a healthy member whose volume is about to be lost, or that a person asked to have replaced: while it
// runs it is of use, and its Pod keeps its data.
func repairNeed(c *state.Cluster, m state.Member) need {
	why := endangered(c, m)
	switch {
	case m.Health != state.Healthy:
		return need{}
	case requested(c, m):
		why = "a person asked for its replacement"
	case why == "" || !replaceable(c, m):
		return need{}
	}
	return need{how: moved, activity: v1alpha1.ReasonMovingMember, why: why}
}

// endangered says why a member that runs would be lost once its Pod ends; empty when it would not.
func endangered(c *state.Cluster, m state.Member) string {
	switch {
	case m.Volume != nil:
		return m.Volume.Endangered()
	case c.Ephemeral() || c.Held("PersistentVolumeClaim", resources.VolumeName(c.Object.Name, m.Slot, m.ID)):
		return ""
	default:
		return "its volume is gone"
	}
}

// reportEndangered tells of healthy members that a person has to have replaced before their volumes are lost.
func reportEndangered(w *walk) {
	for _, m := range w.c.Voters() {
		why := endangered(w.c, m)
		if m.Listed && m.Health == state.Healthy && why != "" && !replaceable(w.c, m) {
			w.block(0, v1alpha1.ReasonMemberLost, fmt.Sprintf("%s is lost once its Pod ends: %s. spec.repair.mode is "+
				"Manual: to have it moved before, run %s", m.Name, why, askCommand(w.c, m)))
		}
	}
}
