package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/window"
)

const (
	defaultUnusedPercent = 50
	defaultMinUnused     = 100 << 20
	// defragmentationRest is how long a member is left alone after a defragmentation: where data comes and goes, the
	// space would be used again soon.
	defragmentationRest = time.Hour
	// walReserve is what the write-ahead log may take while a copy of the database is made: the present segment and the
	// next, of 64 MiB each (server/storage/wal/wal.go, SegmentSizeBytes).
	walReserve = 128 << 20
)

// defragmentation gives unused space of the database files back, when all members are healthy and nothing else is to
// be done or waited for. It comes last: it is never urgent. A full quota is another rule's.
func defragmentation(w *walk) {
	c := w.c
	o := ptr.Deref(c.Maintenance().Defragmentation, v1alpha1.Defragmentation{})
	if ptr.Deref(o.Mode, v1alpha1.DefragmentationAutomatic) == v1alpha1.DefragmentationDisabled || !atRest(w) {
		return
	}
	fragmented := membersThat(c, func(m state.Member) bool {
		return isFragmented(m, o) && (m.Defragmentation.Err != "" || !recently(c, m.Defragmentation, defragmentationRest))
	})
	if len(fragmented) == 0 {
		return
	}
	if len(c.Voters()) == 1 && !ptr.Deref(o.SingleMember, false) {
		w.pend(v1alpha1.ReasonDefragmenting, namesOf(fragmented)+" has much unused space in its database file. It is not "+
			"defragmented, because nothing would serve meanwhile: set maintenance.defragmentation.singleMember to permit it")
		return
	}
	win, err := window.Parse(c.Maintenance().Window, c.Now)
	if err != nil {
		return // the spec is refused for it
	}
	if opens := win.Opens(c.Now); opens.After(c.Now) {
		w.wakeAfter(opens.Sub(c.Now))
		w.pend(v1alpha1.ReasonDefragmenting, fmt.Sprintf("%s is defragmented when the maintenance window opens, at %s",
			namesOf(fragmented), opens.UTC().Format(time.RFC3339)))
		return
	}
	w.defragmentNext(fragmented)
}

// defragmentNext defragments one that did not fail just now.
func (w *walk) defragmentNext(fragmented []state.Member) {
	var ready []state.Member
	for _, m := range fragmented {
		switch {
		case recently(w.c, m.Defragmentation, operationRetry):
			w.wakeAfter(operationRetry - w.c.Now.Sub(m.Defragmentation.Ended))
			w.pend(v1alpha1.ReasonDefragmenting, fmt.Sprintf("the defragmentation of %s failed (%s) and is tried again at %s",
				m.Name, m.Defragmentation.Err, m.Defragmentation.Ended.Add(operationRetry).UTC().Format(time.RFC3339)))
		case room(m) < 0:
			w.pend(v1alpha1.ReasonDefragmenting, m.Name+" is not defragmented, because its volume has too little space for "+
				"the copy that this makes: raise storage.size")
		default:
			ready = append(ready, m)
		}
	}
	if len(ready) == 0 {
		return
	}
	m := w.lastLeader(ready)
	if staysWithLeader(w.c, m) {
		w.pend(v1alpha1.ReasonDefragmenting, m.Name+" leads and is defragmented once another voter is on a node "+
			"that is not cordoned")
		return
	}
	w.defragment(m, v1alpha1.ReasonDefragmenting, "much of its database file is unused")
}

// defragment has a member rewrite its database. It answers nothing meanwhile, reads and health checks included, but its
// raft goes on: it votes and stores what the others need a majority for (server/storage/backend/backend.go, defrag,
// locks the backend only). So no budget is announced; but the leader, whose clients would all wait, hands over first.
func (w *walk) defragment(m state.Member, activity, why string) {
	if w.c.Etcd.Leader == m.ID && len(w.c.Voters()) > 1 {
		w.handOver(m, activity, "defragmented")
		return
	}
	w.propose(membership, Defragment{Member: m.Name, ID: m.ID, PodUID: m.Pod.UID}, activity, why)
}

// atRest tells that all members are healthy and ready, and that there is nothing to do or to wait for.
func atRest(w *walk) bool {
	c := w.c
	ready := !slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return m.Learner || m.Pod == nil || !m.Pod.Ready || m.Pod.Terminating
	})
	return w.d.Step == nil && len(w.d.Blocked) == 0 && w.forbidden == 0 && ready && c.Formed() && c.Etcd.Serving &&
		c.Etcd.Listed && c.AllVotersHealthy() && len(c.Etcd.Alarms) == 0 && !growing(c)
}

// isFragmented tells that unused space passes both thresholds.
func isFragmented(m state.Member, o v1alpha1.Defragmentation) bool {
	least := ptr.Deref(o.MinUnused, *resource.NewQuantity(defaultMinUnused, resource.BinarySI))
	return m.Probe.Answered && m.Unused() > least.Value() &&
		percent(m.Unused(), m.Probe.DBSize) >= int64(ptr.Deref(o.UnusedPercent, defaultUnusedPercent))
}

// room is what would be left of the member's volume beside the copy of its data that a defragmentation makes, in bytes;
// with ephemeral storage, whose size is not known, it is enough.
func room(m state.Member) int64 {
	if m.Volume == nil || m.Volume.Capacity == 0 {
		return 0
	}
	return m.Volume.Capacity - m.Probe.DBSize - m.Probe.DBSizeInUse - walReserve
}

// lastLeader is the member to take next: the lowest slot, the leader last.
func (w *walk) lastLeader(members []state.Member) state.Member {
	leads := func(m state.Member) int { return rank(m.ID == w.c.Etcd.Leader) }
	return slices.MinFunc(members, func(a, b state.Member) int { return leads(a) - leads(b) })
}
