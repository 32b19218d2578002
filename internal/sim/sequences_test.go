package sim

import (
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// sequenceActions are several things in a row.
func sequenceActions(w *world) []action {
	times := func(r *rapid.T, most int) int { return rapid.IntRange(1, most).Draw(r, "times") }
	return []action{
		{"a fault is due at a certain call", func(r *rapid.T) { w.faults = append(w.faults, drawTargeted(r)) }},
		{"two operators bootstrap at once", func(*rapid.T) { w.race() }},
		{"operators reach only one member for a while", func(r *rapid.T) {
			w.untilLed()
			if pod := anyPod(r, w); pod != nil {
				w.hideAllBut(pod, times(r, 8))
			}
		}},
		{"the user scales down and thinks better of it", func(r *rapid.T) {
			w.thinkBetter(times(r, 10), rapid.IntRange(1, 3).Draw(r, "late"))
		}},
		{"a Pod is evicted in the middle of a removal", func(r *rapid.T) {
			w.evictDuringRemoval(rapid.IntRange(1, 5).Draw(r, "Pod"), times(r, 12))
		}},
		{"the watch of a kind stands still", func(r *rapid.T) {
			w.standStill(rapid.SampledFrom(watched()).Draw(r, "kind"), times(r, 8))
		}},
	}
}

// durableSequences are those that only a cluster with volumes survives.
func durableSequences(w *world) []action {
	how := func(r *rapid.T) mishap {
		return rapid.SampledFrom([]mishap{claimDeleted, volumeWiped}).Draw(r, "how")
	}
	return []action{
		{"all nodes lose power, and a volume its data", func(r *rapid.T) {
			w.untilLed()
			if pod := anyPod(r, w); pod != nil {
				w.outage(pod, how(r), rapid.IntRange(2, 6).Draw(r, "alone"), rapid.IntRange(0, 10).Draw(r, "together"))
			}
		}},
		{"a volume loses its data while the cluster sleeps", func(r *rapid.T) {
			if pod := anyPod(r, w); pod != nil {
				w.loseAsleep(pod, how(r), rapid.IntRange(2, 12).Draw(r, "times"))
			}
		}},
	}
}

// calls of operators at which something is most likely to go wrong.
func calls() []string {
	return []string{
		"create ConfigMap " + resources.LatchName(clusterName), "update ConfigMap " + resources.LatchName(clusterName),
		"create Pod", "create PersistentVolumeClaim", "patch Pod", "patch PersistentVolumeClaim", "delete Pod",
		"delete PersistentVolumeClaim", "apply PodDisruptionBudget", string(etcd.MethodAddLearner),
		string(etcd.MethodPromote), string(etcd.MethodRemove), string(etcd.MethodMoveLeader),
	}
}

// drawTargeted draws a fault at a certain call.
func drawTargeted(r *rapid.T) fault {
	f := fault{evicted: rapid.IntRange(0, 5).Draw(r, "evicted Pod")}
	if f.evicted == 0 {
		f = drawFault(r)
	}
	f.in = rapid.IntRange(1, 3).Draw(r, "such calls from now")
	f.at = rapid.SampledFrom(calls()).Draw(r, "call")
	return f
}
