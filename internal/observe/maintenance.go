package observe

import (
	"context"
	"slices"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
)

// CompactionKey is the key of the operation that compacts a cluster's history. That of a defragmentation is the UID of
// the member's Pod.
const CompactionKey = "compaction"

// askHistory asks whether a compaction would drop anything, by the latest revision that the member has: only while the
// quota is reached and the spec permits one.
func (a *answers) askHistory(ctx context.Context, c *state.Cluster, client etcd.Client, revision int64) {
	full := slices.ContainsFunc(a.etcd.Alarms, func(a state.Alarm) bool { return a.Type == string(etcd.AlarmNoSpace) })
	if !full || !c.MayCompact() {
		return
	}
	// An error is no answer: it is asked again in the next observation.
	compacted, err := client.Compacted(ctx, revision-c.KeepRevisions())
	if err == nil {
		a.etcd.History = state.History{Known: true, Revision: revision, Compacted: compacted}
	}
}

// recallOperations adds what is remembered of long calls.
func (o *Observer) recallOperations(c *state.Cluster) {
	c.Etcd.Compaction = operation(o.Operations.Of(clusterKey(c), CompactionKey))
	for i := range c.Members {
		if m := &c.Members[i]; m.Pod != nil {
			m.Defragmentation = operation(o.Operations.Of(clusterKey(c), string(m.Pod.UID)))
		}
	}
}

func operation(o etcd.Operation) state.Operation {
	s := state.Operation{Running: o.Running, Ended: o.Ended}
	if o.Err != nil {
		s.Err = etcd.Reason(o.Err)
	}
	return s
}
