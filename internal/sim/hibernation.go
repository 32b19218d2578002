package sim

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// hibernate has the user put the cluster to sleep, or wake it.
func (w *world) hibernate(asleep bool) {
	c := w.cluster()
	if c == nil || ptr.Deref(c.Spec.Hibernated, false) == asleep {
		return
	}
	w.log("the user hibernates the cluster: %t", asleep)
	c.Spec.Hibernated = ptr.To(asleep)
	must(w.store.update(c, false))
}

// hibernated tells that the user wants all members stopped.
func (w *world) hibernated() bool {
	c := w.cluster()
	return c != nil && ptr.Deref(c.Spec.Hibernated, false)
}

// checkSleep: by the user's wish a running member is stopped, but only when its volume is there to stay and records that
// it ran, and no change of the membership is in flight.
func (w *world) checkSleep(pod *corev1.Pod) {
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, pod.Namespace, claimOf(pod))
	switch {
	case !exists || claim.DeletionTimestamp != nil:
		w.fail("Pod %s is stopped to hibernate, although its claim is being deleted", pod.Name)
	case claim.Annotations[resources.AnnotationStarted] == "":
		w.fail("Pod %s is stopped to hibernate, although nothing records that it ran", pod.Name)
	}
	for _, m := range w.truth().members {
		if !m.Voter {
			w.fail("Pod %s is stopped to hibernate, while learner %x is in flight", pod.Name, m.ID)
		}
	}
}

// checkKept: no voter is removed while the members are to be stopped.
func (w *world) checkKept(call etcd.Call) {
	if !w.hibernated() || call.Method != etcd.MethodRemove {
		return
	}
	for _, m := range w.truth().members {
		if m.ID == call.ID && m.Voter {
			w.fail("voter %x is removed, although the cluster is to hibernate", call.ID)
		}
	}
}
