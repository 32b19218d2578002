package sim

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/quorum"
)

// moveTo has the user name a storage class; an empty one names none.
func (w *world) moveTo(class string) {
	c := w.cluster()
	if c == nil {
		return
	}
	w.log("the user names the storage class %q", class)
	c.Spec.Storage.StorageClassName = nil
	if class != "" {
		c.Spec.Storage.StorageClassName = ptr.To(class)
	}
	must(w.store.update(c, false))
}

// cordon closes a node to new Pods, or opens it again.
func (w *world) cordon(name string, cordoned bool) {
	node, exists := get[*corev1.Node](w.store, "", name)
	if !exists || node.Spec.Unschedulable == cordoned {
		return
	}
	w.log("%s is cordoned: %t", name, cordoned)
	node.Spec.Unschedulable = cordoned
	w.store.put(node)
}

func (k *kube) cordoned(name string) bool {
	node, exists := get[*corev1.Node](k.world.store, "", name)
	return exists && node.Spec.Unschedulable
}

// drain cordons the node and asks once for the eviction of each of its Pods, as kubectl drain does.
func (w *world) drain(node string) {
	w.cordon(node, true)
	for _, pod := range all[*corev1.Pod](w.store) {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			w.evict(pod)
		}
	}
}

// evict is the eviction API (k8s.io/kubernetes pkg/registry/core/pod/storage/eviction.go): it asks the budget, whose
// status must be of its latest generation.
func (w *world) evict(pod *corev1.Pod) {
	protected := false
	for _, pdb := range all[*policyv1.PodDisruptionBudget](w.store) {
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		must(err)
		if !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		protected = true
		observed := pdb.Status.ObservedGeneration == pdb.Generation
		w.kube.reportBudget(pdb) // what else has just happened to the Pods is no matter of the operator's
		healthyEnough := int(pdb.Status.CurrentHealthy) >= pdb.Spec.MinAvailable.IntValue()
		if !observed || pdb.Status.DisruptionsAllowed <= 0 && (podReady(pod) || !healthyEnough) { // IfHealthyBudget
			w.log("the eviction of Pod %s is refused", pod.Name)
			return
		}
	}
	w.log("Pod %s is evicted", pod.Name)
	if protected { // else it is a single member, or somebody has deleted the budget
		w.checkEviction(pod)
	}
	must(w.store.remove(refOf(pod), nil, false))
}

// checkEviction: no eviction that the budget allows costs the majority, as long as Kubernetes knows what really runs.
func (w *world) checkEviction(pod *corev1.Pod) {
	state, known := w.etcd.State(string(pod.UID))
	t := w.truth()
	if !known || !t.quorate || w.formed == 0 || !t.lists(state.MemberID) || !w.wellKnown(t) {
		return
	}
	v := quorum.Project(t.members, quorum.Change{Kind: quorum.Stop, Member: state.MemberID})
	if !v.Allowed && v.Voters > 1 {
		w.fail("the budget lets Pod %s be evicted, which breaks the quorum: %s", pod.Name, v.Reason)
	}
}

// wellKnown tells that each Pod that Kubernetes finds ready runs a healthy member.
func (w *world) wellKnown(t truth) bool {
	healthy := map[uint64]bool{}
	for _, m := range t.members {
		healthy[m.ID] = m.Healthy
	}
	for _, pod := range view[*corev1.Pod](w.store) {
		state, known := w.etcd.State(string(pod.UID))
		if podReady(pod) && pod.DeletionTimestamp == nil && (!known || t.lists(state.MemberID) && !healthy[state.MemberID]) {
			return false
		}
	}
	return true
}
