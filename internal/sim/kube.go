package sim

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
)

// disk is a PersistentVolume: a data directory on a node.
type disk struct {
	dir  *etcd.DataDir
	node string
}

// kube is what runs around the API server: scheduler, kubelets, and the controllers that matter.
type kube struct {
	world      *world
	nodes      []string
	down       map[string]bool // without power
	disks      map[string]*disk
	containers map[types.UID]*container
	ips        map[types.UID]string
	// lag is how late kubelets hear of changes of Secrets and ConfigMaps, resync how often they read the Secrets of their
	// Pods without being told.
	lag, resync time.Duration
}

// tick lets each of them work once.
func (k *kube) tick() {
	k.collect()
	k.endOrphans()
	for _, claim := range all[*corev1.PersistentVolumeClaim](k.world.store) {
		k.finishClaim(claim)
	}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName == "" {
			k.schedule(pod)
			continue
		}
		if !k.down[pod.Spec.NodeName] && !k.world.partitioned[pod.Spec.NodeName] {
			k.runPod(pod)
		}
	}
	for _, node := range all[*corev1.Node](k.world.store) {
		k.reportNode(node)
	}
	for _, pdb := range all[*policyv1.PodDisruptionBudget](k.world.store) {
		k.reportBudget(pdb)
	}
}

// collect removes objects whose owner is gone, as the garbage collector does.
func (k *kube) collect() {
	uids := map[types.UID]bool{}
	for _, obj := range k.world.store.objects {
		uids[obj.GetUID()] = true
	}
	for _, obj := range sorted(k.world.store.objects, "") {
		for _, owner := range obj.GetOwnerReferences() {
			if !uids[owner.UID] && obj.GetDeletionTimestamp() == nil {
				_ = k.world.store.remove(refOf(obj), nil, false)
			}
		}
	}
}

// finishClaim removes a claim that is being deleted once no Pod uses it (the pvc-protection finalizer).
func (k *kube) finishClaim(claim *corev1.PersistentVolumeClaim) {
	if claim.DeletionTimestamp == nil {
		return
	}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if claimOf(pod) == claim.Name && pod.Namespace == claim.Namespace {
			return
		}
	}
	k.world.store.drop(refOf(claim))
	if claim.Spec.VolumeName != "" {
		k.world.store.drop(ref{"PersistentVolume", "", claim.Spec.VolumeName})
	}
}

// persistentVolume is a local one, on the node.
func persistentVolume(claim *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchFields: []corev1.NodeSelectorRequirement{
					{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
				},
			}}}},
		},
	}
}

func claimOf(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// schedule binds the Pod to the node of its volume, or to one with the fewest members, and provisions the volume.
func (k *kube) schedule(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		k.world.store.drop(refOf(pod))
		return
	}
	name := claimOf(pod)
	claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
	if name != "" && (!exists || claim.DeletionTimestamp != nil) {
		return
	}
	node := k.pick(pod)
	if name != "" && claim.Spec.VolumeName != "" {
		node = k.disks[claim.Spec.VolumeName].node
	}
	if node == "" || k.down[node] || k.cordoned(node) {
		return
	}
	if name != "" && claim.Spec.VolumeName == "" {
		claim.Spec.VolumeName = "pv-" + string(claim.UID)
		k.disks[claim.Spec.VolumeName] = &disk{dir: &etcd.DataDir{}, node: node}
		k.world.store.put(claim)
		k.world.store.put(persistentVolume(claim, node))
	}
	pod.Spec.NodeName = node
	k.world.store.put(pod)
}

func (k *kube) pick(pod *corev1.Pod) string {
	load := map[string]int{}
	for _, p := range all[*corev1.Pod](k.world.store) {
		load[p.Spec.NodeName]++
	}
	best := ""
	for _, n := range k.nodes {
		if !k.down[n] && !k.cordoned(n) && (best == "" || load[n] < load[best]) && pinnedTo(pod, n) {
			best = n
		}
	}
	return best
}

func pinnedTo(pod *corev1.Pod, node string) bool {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return true
	}
	required := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		return true
	}
	for _, term := range required.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Values[0] == node {
				return true
			}
		}
	}
	return false
}

func (k *kube) reportNode(node *corev1.Node) {
	status := corev1.ConditionTrue
	if k.down[node.Name] || k.world.partitioned[node.Name] {
		status = corev1.ConditionUnknown
		k.unready(node.Name)
	}
	if len(node.Status.Conditions) == 1 && node.Status.Conditions[0].Status == status {
		return
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	k.world.store.put(node)
}

// unready marks the Pods of a node that is not ready, as the node controller does.
func (k *kube) unready(node string) {
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName != node || !podReady(pod) {
			continue
		}
		pod.Status.Conditions[0].Status = corev1.ConditionFalse
		k.world.store.put(pod)
	}
}

// reportBudget is the disruption controller.
func (k *kube) reportBudget(pdb *policyv1.PodDisruptionBudget) {
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	if err != nil {
		panic(err) // the operator built an invalid selector
	}
	before := pdb.DeepCopy()
	pdb.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: pdb.Generation}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Namespace != pdb.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		pdb.Status.ExpectedPods++
		if podReady(pod) && pod.DeletionTimestamp == nil {
			pdb.Status.CurrentHealthy++
		}
	}
	minAvailable := int32(pdb.Spec.MinAvailable.IntValue()) //nolint:gosec // at most 8
	pdb.Status.DisruptionsAllowed = max(0, pdb.Status.CurrentHealthy-minAvailable)
	if !equal(before.Status, pdb.Status) {
		k.world.store.put(pdb)
	}
}

func podReady(pod *corev1.Pod) bool {
	return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Status == corev1.ConditionTrue
}

// tickLength is how much time passes with a tick.
const tickLength = time.Second
