package sim

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/etcd"
)

// action is something that happens. Names are sentences, so that a failed schedule reads as a story.
type action struct {
	name string
	do   func(*rapid.T)
}

func actionsOf(w *world, ephemeral bool) []action {
	list := []action{
		{"time passes and an operator reconciles", func(r *rapid.T) {
			w.step(rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(r, "operator"))
		}},
		{"time passes and an operator reconciles several times", func(r *rapid.T) {
			for range rapid.IntRange(2, 12).Draw(r, "times") {
				w.step(0)
				put(w)
			}
		}},
		{"an operator reconciles on a stale cache", func(r *rapid.T) { reconcileStale(r, w) }},
		{"time passes", func(r *rapid.T) {
			for range rapid.IntRange(1, 8).Draw(r, "ticks") {
				w.tick()
			}
		}},
		{"a client writes", func(*rapid.T) { put(w) }},
		{"the user scales", func(r *rapid.T) { scale(w, size(r)) }},
		{"a fault is due", func(r *rapid.T) { w.faults = append(w.faults, drawFault(r)) }},
		{"a Service or the budget is deleted", func(r *rapid.T) {
			deleteFirst(w, rapid.SampledFrom([]string{"Service", "PodDisruptionBudget"}).Draw(r, "kind"))
		}},
		{"a Pod is deleted", func(r *rapid.T) { losePod(r, w, ephemeral, "delete") }},
		{"a Pod is force-deleted", func(r *rapid.T) { losePod(r, w, ephemeral, "force") }},
		{"etcd is killed", func(r *rapid.T) { losePod(r, w, ephemeral, "kill") }},
		{"the operator restarts", func(*rapid.T) { w.restart(0) }},
		{"minutes pass, and an operator reconciles now and then", func(r *rapid.T) {
			minutesPass(w, rapid.IntRange(1, 8).Draw(r, "minutes"))
		}},
		{"the EtcdCluster is deleted and created again", func(r *rapid.T) {
			how := rapid.SampledFrom([]string{background, orphan}).Draw(r, "how")
			if w.deleteCluster(how) {
				create(w, size(r), ephemeral)
			}
		}},
	}
	list = slices.Concat(list, nodeActions(w), sequenceActions(w), spaceActions(w))
	if w.speaksTLS() {
		list = append(list, tlsActions(w, ephemeral)...)
		list = append(list, action{"the CAs are rotated while kubelets are late", func(r *rapid.T) {
			w.rotateLate(rapid.IntRange(10, 60).Draw(r, "times"))
		}})
	}
	if ephemeral {
		return list
	}
	return slices.Concat(list, durableActions(w), durableSequences(w), editActions(w))
}

// step lets an operator with an up-to-date cache reconcile, and a second pass.
func (w *world) step(operator int) {
	w.operators[operator].cache.sync()
	w.reconcile(operator)
	w.tick()
}

// minutesPass goes on in steps of ten seconds.
func minutesPass(w *world, minutes int) {
	w.pace = 10 * time.Second
	defer func() { w.pace = tickLength }()
	for range 6 * minutes {
		w.step(0)
	}
}

// watched are the kinds that an operator has in its cache.
func watched() []string {
	return []string{
		"Pod", "PersistentVolumeClaim", "ConfigMap", "Secret", "EtcdCluster", "Service", "PodDisruptionBudget",
	}
}

func reconcileStale(r *rapid.T, w *world) {
	i := rapid.IntRange(0, 1).Draw(r, "operator")
	for _, kind := range watched() {
		w.operators[i].cache.advance(kind, rapid.IntRange(0, 4).Draw(r, kind))
	}
	w.reconcile(i)
}

func drawFault(r *rapid.T) fault {
	f := fault{in: rapid.IntRange(1, 12).Draw(r, "calls from now")}
	switch rapid.IntRange(0, 5).Draw(r, "kind") {
	case 0:
		f.crash = true
	case 1:
		f.crash, f.after = true, true
	case 2:
		f.what = etcd.DropRequest
	case 3:
		f.what = etcd.LoseReply
	case 4:
		f.refusal = rapid.SampledFrom(refusals()).Draw(r, "answer")
	default:
		f.other = true
	}
	return f
}

func deleteNamed(w *world, kind, name string) {
	if r := (ref{kind, namespace, name}); w.store.objects[r] != nil {
		w.log("somebody deletes %s %s", kind, name)
		must(w.store.remove(r, nil, false))
	}
}

func deleteFirst(w *world, kind string) {
	for _, obj := range sorted(w.store.objects, kind) {
		w.log("somebody deletes %s %s", kind, obj.GetName())
		must(w.store.remove(refOf(obj), nil, false))
		return
	}
}

// losePod takes a Pod away. One that alone keeps its member's data, in itself or because its volume goes with it, is
// taken away only while the cluster can afford it: what the schedule itself destroys is no fault of the operator.
func losePod(r *rapid.T, w *world, ephemeral bool, how string) {
	pods := all[*corev1.Pod](w.store)
	if len(pods) == 0 {
		return
	}
	pod := pods[rapid.IntRange(0, len(pods)-1).Draw(r, "pod")]
	last := ephemeral && w.formed == 0 || w.formed != 0 && !w.kube.claimStays(pod) && !w.affordable(pod)
	if how != "kill" && last {
		return
	}
	w.log("somebody deletes Pod %s (%s)", pod.Name, how)
	switch how {
	case "kill":
		w.etcd.Stop(string(pod.UID))
	case "force":
		// A node that is cut off goes on running the process until its kubelet hears of the deletion.
		if !w.partitioned[pod.Spec.NodeName] {
			w.etcd.Stop(string(pod.UID))
		}
		must(w.store.remove(refOf(pod), nil, true))
	default:
		must(w.store.remove(refOf(pod), nil, false))
	}
}
