package plan

import (
	"github.com/quorate/quorate/api/v1alpha1"
)

// operationInFlight leaves the cluster as it is while a member is defragmented or the history compacted: a member that
// does not answer for minutes is one that must not be missed. Members that do not run are started all the same.
func operationInFlight(w *walk) {
	const nothing = membership | cleanup | authority
	for _, m := range w.c.Members {
		if m.Defragmentation.Running {
			w.block(nothing, v1alpha1.ReasonDefragmenting, m.Name+" is being defragmented: nothing else is changed meanwhile")
		}
	}
	if w.c.Etcd.Compaction.Running {
		w.block(nothing, v1alpha1.ReasonAlarm, "etcd's history is being compacted: nothing else is changed meanwhile")
	}
}
