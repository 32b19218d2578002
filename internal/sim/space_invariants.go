package sim

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// roomPercent of its quota is what a member may take when an alarm is disarmed.
const roomPercent = 80

// checkQuota: a quota that follows from the volumes is never above what the member's own volume can hold, and it only
// rises, unless another member has got a smaller volume since, because the user asked for that.
func (w *world) checkQuota(pod *corev1.Pod, quota int64) {
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, pod.Namespace, claimOf(pod))
	if !exists || w.space.quotaEdited {
		return
	}
	if has := claim.Status.Capacity.Storage().Value(); quota > has/5*2 {
		w.fail("%s starts with a quota of %d bytes on a volume of %d", pod.Name, quota, has)
	}
	d := w.kube.diskOf(pod)
	if d == nil || d.dir.Empty() {
		return
	}
	if before := w.space.quotas[d.dir.MemberID()]; quota < before && !w.followsSmaller(claim) {
		w.fail("%s starts with a quota of %d bytes, after %d", pod.Name, quota, before)
	}
	w.space.quotas[d.dir.MemberID()] = quota
}

// followsSmaller tells that the quota of a Pod may have been planned while a member had a volume smaller than this one,
// even if that has been deleted since.
func (w *world) followsSmaller(claim *corev1.PersistentVolumeClaim) bool {
	seen, ever := w.space.smaller[claim.UID]
	return ever && w.now.Sub(seen) <= time.Minute
}

// noteSizes remembers which volumes were not the smallest, and when.
func (w *world) noteSizes() {
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		if w.hasSmaller(claim) {
			w.space.smaller[claim.UID] = w.now
		}
	}
}

// hasSmaller tells that a member may run on a volume smaller than this one.
func (w *world) hasSmaller(claim *corev1.PersistentVolumeClaim) bool {
	for _, other := range view[*corev1.PersistentVolumeClaim](w.store) {
		inUse := other.Labels[resources.LabelCluster] == clusterName && other.Annotations[resources.AnnotationRetired] == ""
		if inUse && other.Status.Capacity.Storage().Cmp(*claim.Status.Capacity.Storage()) < 0 {
			return true
		}
	}
	return false
}

// checkDisarm: an alarm is disarmed only when every member that runs has room to spare.
func (w *world) checkDisarm() {
	for _, pod := range view[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		file, quota, _, running := w.etcd.Space(string(pod.UID))
		listed := w.truth().lists(state.MemberID)
		if running && listed && state.ClusterID == w.formed && file >= quota/100*roomPercent {
			w.fail("an alarm is disarmed while %s takes %d of its quota of %d bytes", pod.Name, file, quota)
		}
	}
}

// checkOperation checks a compaction or a defragmentation that begins.
func (w *world) checkOperation(o *operation) {
	state, _ := w.etcd.State(o.target.PodUID)
	t := w.truth()
	switch {
	case o.method == etcd.MethodCompact:
		m := ptr.Deref(w.cluster().Spec.Maintenance, v1alpha1.MaintenanceSpec{})
		if !ptr.Deref(m.CompactOnNoSpace, false) {
			w.fail("history is compacted, although the spec does not permit it")
		}
		return
	case slices.ContainsFunc(w.operations, w.goesOn):
		w.fail("member %x is defragmented while another operation goes on", state.MemberID)
	}
	voters, _ := standing(t.members)
	if voters > 1 && state.Leader == state.MemberID {
		w.fail("member %x is defragmented while it leads", state.MemberID)
	}
	if len(w.etcd.Alarms(w.formed)) > 0 {
		return // every member that runs may be what fills the quota
	}
	for _, m := range t.members {
		if !m.Healthy {
			w.fail("member %x is defragmented while %x is not healthy", state.MemberID, m.ID)
		}
	}
}

// goesOn tells that the process in which an operation was begun still runs: it ends with the process.
func (w *world) goesOn(o *operation) bool {
	state, known := w.etcd.State(o.target.PodUID)
	return known && state.Running
}

// outgrown tells that the Pod's quota is smaller than the one that follows from the smallest volume, or that it was
// given another than the spec's, which was held back when it was created.
func (w *world) outgrown(pod *corev1.Pod) bool {
	c := w.cluster()
	if c == nil {
		return false
	}
	if !resources.DerivesQuota(c) {
		return quotaOf(pod) != resources.QuotaBackendBytes(c, 0)
	}
	smallest := int64(0)
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		v, err := resources.ParseVolume(clusterName, claim)
		if has := v.Capacity; err == nil && !v.Retired && !v.Foreign() && has > 0 && (smallest == 0 || has < smallest) {
			smallest = has
		}
	}
	return quotaOf(pod) < resources.QuotaBackendBytes(c, smallest)
}
