package sim

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// What this file does is several things in a row, each of which schedules draw anyway, but hardly ever in the one order
// and at the one moment that matters.

// leads tells that some member has a leader.
func (w *world) leads() bool {
	for _, pod := range view[*corev1.Pod](w.store) {
		if state, known := w.etcd.State(string(pod.UID)); known && state.Running && state.Leader != 0 {
			return true
		}
	}
	return false
}

// untilLed goes on until a member leads. Of a cluster that forms, no operator knows it then.
func (w *world) untilLed() bool {
	for range 10 {
		if w.leads() {
			return true
		}
		w.step(0)
	}
	return false
}

func (w *world) steps(n int) {
	for range n {
		w.step(0)
		put(w)
	}
}

// race has the second operator bootstrap the cluster in the very moment at which the first one does. It does nothing
// when there is a latch.
func (w *world) race() {
	latch := resources.LatchName(clusterName)
	if w.store.objects[ref{"ConfigMap", namespace, latch}] != nil {
		return
	}
	w.faults = append(w.faults, fault{in: 1, at: "create ConfigMap " + latch, other: true})
	w.steps(6)
}

// hideAllBut lets operators reach only one member for a while.
func (w *world) hideAllBut(seen *corev1.Pod, ticks int) {
	for _, pod := range all[*corev1.Pod](w.store) {
		w.hide(pod, pod.UID != seen.UID)
	}
	w.steps(ticks)
	for _, pod := range all[*corev1.Pod](w.store) {
		w.hide(pod, false)
	}
}

// outage takes the power away everywhere. The volume of one member is lost, or comes back empty, and its Pod is given
// up; its node boots first, and the others when it has had the time to start.
func (w *world) outage(victim *corev1.Pod, what mishap, alone, together int) {
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, victim.Namespace, claimOf(victim))
	d := w.kube.diskOf(victim)
	spared := w.formed == 0 || w.kube.claimStays(victim) && w.affordable(victim)
	if !exists || d == nil || d.lost || !spared || w.kube.node(d.node) == nil {
		return
	}
	var dark []string
	for _, node := range w.kube.nodes {
		if !w.kube.down[node] {
			dark = append(dark, node)
			w.kube.powerOff(node)
		}
	}
	w.log("%s is force-deleted", victim.Name)
	must(w.store.remove(refOf(victim), nil, true))
	w.loseUnused(claim, what)
	w.kube.powerOn(d.node)
	w.steps(alone)
	for _, node := range dark {
		if w.kube.down[node] && w.kube.node(node) != nil {
			w.kube.powerOn(node)
		}
	}
	w.steps(together)
}

// loseUnused loses the data on a claim that no Pod uses.
func (w *world) loseUnused(claim *corev1.PersistentVolumeClaim, what mishap) {
	if claim.Annotations[resources.AnnotationStarted] == "" {
		what = claimDeleted // before that is recorded, nobody can tell an emptied volume from one that was never used
	}
	w.log("%s: %s", claim.Name, what)
	w.seen.faults[string(what)]++
	switch d := w.kube.disks[claim.Spec.VolumeName]; what {
	case claimDeleted:
		must(w.store.remove(refOf(claim), nil, false))
	default:
		d.dir.Wipe()
	}
}

// loseAsleep has the user hibernate the cluster, and wake it when one member's data is gone.
func (w *world) loseAsleep(victim *corev1.Pod, what mishap, ticks int) {
	name, t := claimOf(victim), w.truth()
	voters, _ := standing(t.members)
	learning := voters < len(t.members) // a learner may still become one that the cluster cannot do without
	if w.formed == 0 || learning || !w.kube.claimStays(victim) || !w.affordable(victim) {
		return
	}
	w.hibernate(true)
	for range 60 {
		if len(view[*corev1.Pod](w.store)) == 0 {
			break
		}
		w.step(0)
	}
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, namespace, name)
	asleep := len(view[*corev1.Pod](w.store)) == 0 && exists && claim.DeletionTimestamp == nil
	if asleep && w.kube.usable(claim.Spec.VolumeName) && claim.Annotations[resources.AnnotationRetired] == "" {
		w.loseUnused(claim, what)
	}
	w.hibernate(false)
	w.steps(ticks)
}

// thinkBetter has the user scale down, and take that back some time later. The operator hears late of it.
func (w *world) thinkBetter(after, late int) {
	c := w.cluster()
	if c == nil || ptr.Deref(c.Spec.Replicas, 0) < 3 {
		return
	}
	before := *c.Spec.Replicas
	scale(w, before-2)
	w.steps(after)
	scale(w, before)
	for range late {
		w.operators[0].cache.syncBut("EtcdCluster")
		w.reconcile(0)
		w.tick()
	}
}

// evictDuringRemoval has the user scale down, and somebody evict a Pod in the moment at which a member is removed.
func (w *world) evictDuringRemoval(pod, ticks int) {
	c := w.cluster()
	if c == nil || ptr.Deref(c.Spec.Replicas, 0) < 3 {
		return
	}
	w.faults = append(w.faults, fault{in: 1, at: string(etcd.MethodRemove), evicted: pod})
	scale(w, *c.Spec.Replicas-2)
	w.steps(ticks)
}

// rotateLate rotates the CAs while kubelets hear late of changes and seldom look by themselves. Clients load at once
// whatever they are asked to.
func (w *world) rotateLate(ticks int) {
	w.kube.lag, w.kube.resync = max(w.kube.lag, tickLength), defaultResync
	w.askForRotation()
	for range ticks {
		w.user.acknowledge()
		w.step(0)
	}
}

// standStill stops an operator's watch of one kind for a while.
func (w *world) standStill(kind string, ticks int) {
	w.log("the watch of %s stands still", kind)
	for range ticks {
		w.operators[0].cache.syncBut(kind)
		w.reconcile(0)
		w.tick()
	}
}
