package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/etcd"
)

// disk is what a PersistentVolume stands for: a data directory on the disk of a node, which can be used nowhere else.
type disk struct {
	dir  *etcd.DataDir
	node string
	// lost tells that it does not exist any more; damaged that etcd cannot read it and exits.
	lost, damaged bool
	// copied is what a backup tool copied last; nil when it never did.
	copied *etcd.DataDir
}

func (d *disk) lose() {
	d.lost = true
	d.dir.Wipe()
}

// usable tells that a Pod can be started on it.
func (k *kube) usable(volume string) bool {
	_, exists := get[*corev1.PersistentVolume](k.world.store, "", volume)
	d := k.disks[volume]
	return exists && d != nil && !d.lost
}

// provision makes a volume on the node for the claim and binds them.
func (k *kube) provision(claim *corev1.PersistentVolumeClaim, node string) {
	name := "pv-" + string(claim.UID)
	k.disks[name] = &disk{dir: &etcd.DataDir{}, node: node}
	must(k.world.store.create(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef:                      &corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			Capacity:                      claim.Spec.Resources.Requests,
			NodeAffinity:                  &corev1.VolumeNodeAffinity{Required: onHost(node)},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}))
	claim.Spec.VolumeName = name
	claim.Status.Phase, claim.Status.Capacity = corev1.ClaimBound, claim.Spec.Resources.Requests
	k.world.store.put(claim)
}

func onHost(node string) *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}
}

// finishClaim removes a claim that is being deleted once no Pod uses it (the pvc-protection finalizer), and tells of
// one whose volume is gone.
func (k *kube) finishClaim(claim *corev1.PersistentVolumeClaim) {
	if claim.DeletionTimestamp == nil {
		_, exists := get[*corev1.PersistentVolume](k.world.store, "", claim.Spec.VolumeName)
		if claim.Spec.VolumeName != "" && !exists && claim.Status.Phase != corev1.ClaimLost {
			claim.Status.Phase = corev1.ClaimLost
			k.world.store.put(claim)
		}
		return
	}
	if k.podUsing(claim) == nil {
		k.world.store.drop(refOf(claim))
	}
}

func (k *kube) podUsing(claim *corev1.PersistentVolumeClaim) *corev1.Pod {
	for _, pod := range view[*corev1.Pod](k.world.store) {
		if slices.Contains(claimsOf(pod), claim.Name) && pod.Namespace == claim.Namespace {
			return pod
		}
	}
	return nil
}

// finishVolume removes a volume once its claim is gone: the provisioner deletes the disk (reclaim policy Delete).
func (k *kube) finishVolume(pv *corev1.PersistentVolume) {
	claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name)
	if exists && claim.UID == pv.Spec.ClaimRef.UID {
		return
	}
	k.world.store.drop(refOf(pv))
	if d := k.disks[pv.Name]; d != nil {
		d.lose()
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

// diskOf is the disk on which the Pod's member has its data; nil when it is ephemeral or has none yet.
func (k *kube) diskOf(pod *corev1.Pod) *disk {
	claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, claimOf(pod))
	if !exists {
		return nil
	}
	return k.disks[claim.Spec.VolumeName]
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
		k.unschedulable(pod, "its claim cannot be used")
		return
	}
	node := k.pick(pod)
	if name != "" && claim.Spec.VolumeName != "" {
		node = ""
		if d := k.disks[claim.Spec.VolumeName]; k.usable(claim.Spec.VolumeName) && pinnedTo(pod, d.node) {
			node = d.node
		}
	}
	if node == "" || !k.schedulable(node) || !feasible(node, pod.Spec.Containers[0].Resources) {
		k.unschedulable(pod, "no node can run it")
		return
	}
	if name != "" && claim.Spec.VolumeName == "" {
		k.provision(claim, node)
	}
	k.provisionOthers(pod, node)
	pod.Spec.NodeName = node
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	k.world.store.put(pod)
}

func (k *kube) unschedulable(pod *corev1.Pod, why string) {
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodPending
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: why,
	}}
	if !equal(before.Status, pod.Status) {
		k.world.store.put(pod)
	}
}

func (k *kube) pick(pod *corev1.Pod) string {
	load := map[string]int{}
	for _, p := range view[*corev1.Pod](k.world.store) {
		load[p.Spec.NodeName]++
	}
	best := ""
	for _, n := range k.nodes {
		fits := pinnedTo(pod, n) && feasible(n, pod.Spec.Containers[0].Resources)
		if k.schedulable(n) && (best == "" || load[n] < load[best]) && fits {
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
