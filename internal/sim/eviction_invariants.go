package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// checkEviction: whenever Kubernetes grants an eviction on what the budget says, a majority stays. What the kubelets
// have not reported yet nobody could know.
func (w *world) checkEviction(pod *corev1.Pod) {
	state, _ := w.etcd.State(string(pod.UID))
	t := w.truth()
	leaving, listed := t.find(state.MemberID)
	if !t.quorate || w.formed == 0 || !w.budgeted(pod) || !listed || !leaving.Voter || !leaving.Healthy || !w.reported(t) {
		return
	}
	after := t.stopped(state.MemberID)
	if voters, healthy := standing(after); !quorate(after) && voters > 1 {
		w.fail("the budget lets Pod %s be evicted, after which %d of %d voters would be healthy", pod.Name, healthy, voters)
	}
}

// budgeted tells that there is a budget for the Pod: somebody may have deleted it.
func (w *world) budgeted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(view[*policyv1.PodDisruptionBudget](w.store), func(pdb *policyv1.PodDisruptionBudget) bool {
		return selects(pdb, pod)
	})
}

// reported tells that the Pods that are ready are exactly the healthy voters.
func (w *world) reported(t truth) bool {
	for _, pod := range view[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		m, listed := t.find(state.MemberID)
		if podReady(pod) != (listed && m.Voter && m.Healthy) {
			return false
		}
	}
	return true
}
