package sim

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// disruptionTimeout is how long an eviction that was granted counts although its Pod is not being deleted
// (pkg/controller/disruption, DeletionTimeout).
const disruptionTimeout = 2 * time.Minute

// drain evicts the Pods of the node, again and again until all are gone, as kubectl drain does.
func (k *kube) drain(node string) {
	k.cordon(node, true)
	if !slices.Contains(k.draining, node) {
		k.world.log("an administrator drains %s", node)
		k.draining = append(k.draining, node)
	}
}

// uncordon ends the maintenance of a node.
func (k *kube) uncordon(node string) {
	k.draining = slices.DeleteFunc(k.draining, func(n string) bool { return n == node })
	k.cordon(node, false)
}

func (k *kube) goOnDraining() {
	for _, node := range k.draining {
		for _, pod := range k.podsOf(node) {
			if pod.DeletionTimestamp == nil && !k.onlyCopy(pod) {
				k.evict(pod)
			}
		}
	}
}

// onlyCopy tells that a Pod keeps all the data of its cluster in itself, or that it keeps data and somebody has deleted
// the budget, or that a majority of the data goes with it because its volume does: nobody means to evict that.
func (k *kube) onlyCopy(pod *corev1.Pod) bool {
	if claimOf(pod) != "" {
		return k.world.formed != 0 && !k.claimStays(pod) && !k.world.affordable(pod)
	}
	voters, _ := standing(k.world.truth().members)
	return voters <= 1 || !k.world.budgeted(pod)
}

// evictOne asks for the eviction of one of the Pods.
func (k *kube) evictOne(n int) {
	pods := all[*corev1.Pod](k.world.store)
	if len(pods) == 0 {
		return
	}
	if pod := pods[(n-1)%len(pods)]; pod.DeletionTimestamp == nil && !k.onlyCopy(pod) {
		k.evict(pod)
	}
}

// evict asks for the eviction of a Pod, which the budgets may refuse (pkg/registry/core/pod/storage/eviction.go).
func (k *kube) evict(pod *corev1.Pod) {
	for _, pdb := range all[*policyv1.PodDisruptionBudget](k.world.store) {
		if !selects(pdb, pod) {
			continue
		}
		// What somebody else has just done to the Pods is no matter of the operator's: only its budget is.
		observed := pdb.Status.ObservedGeneration >= pdb.Generation
		k.reportBudget(pdb)
		// IfHealthyBudget: a Pod that is not ready may go while the budget is met without it.
		if s := pdb.Status; !podReady(pod) && s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0 {
			continue
		}
		if !observed || pdb.Status.DisruptionsAllowed <= 0 {
			k.world.seen.faults["an eviction is refused"]++
			return
		}
		pdb.Status.DisruptionsAllowed--
		if pdb.Status.DisruptedPods == nil {
			pdb.Status.DisruptedPods = map[string]metav1.Time{}
		}
		pdb.Status.DisruptedPods[pod.Name] = metav1.NewTime(k.world.now)
		k.world.store.put(pdb)
	}
	k.world.log("Pod %s is evicted", pod.Name)
	k.world.seen.faults["an eviction is granted"]++
	k.world.checkEviction(pod)
	must(k.world.store.remove(refOf(pod), nil, false))
}

func selects(pdb *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	must(err) // the operator built it
	return pdb.Namespace == pod.Namespace && selector.Matches(labels.Set(pod.Labels))
}

// reportBudget is the disruption controller (pkg/controller/disruption/disruption.go, updatePdbStatus).
func (k *kube) reportBudget(pdb *policyv1.PodDisruptionBudget) {
	before := pdb.DeepCopy()
	pdb.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: pdb.Generation}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if !selects(pdb, pod) {
			continue
		}
		granted, evicted := before.Status.DisruptedPods[pod.Name]
		evicted = evicted && pod.DeletionTimestamp == nil && k.world.now.Sub(granted.Time) < disruptionTimeout
		if evicted {
			if pdb.Status.DisruptedPods == nil {
				pdb.Status.DisruptedPods = map[string]metav1.Time{}
			}
			pdb.Status.DisruptedPods[pod.Name] = granted
		}
		pdb.Status.ExpectedPods++
		if podReady(pod) && pod.DeletionTimestamp == nil && !evicted {
			pdb.Status.CurrentHealthy++
		}
	}
	pdb.Status.DesiredHealthy = int32(pdb.Spec.MinAvailable.IntValue()) //nolint:gosec // at most 8
	pdb.Status.DisruptionsAllowed = max(0, pdb.Status.CurrentHealthy-pdb.Status.DesiredHealthy)
	if !equal(before.Status, pdb.Status) {
		k.world.store.put(pdb)
	}
}
