package sim

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// bootstrapped is what a latch said when it was seen last.
type bootstrapped struct {
	generation int64
	cluster    uint64
	formed     bool
}

// checkOneBootstrap: as long as the latch is the same object it stands for the same bootstrap: another one begins only
// as a later generation, which no latch does that says formed.
func (w *world) checkOneBootstrap(uid types.UID, latch state.Latch) {
	before, known := w.latches[uid]
	w.latches[uid] = bootstrapped{latch.Generation, latch.ClusterID, latch.Formed}
	if known && !before.formed && latch.ClusterID != before.cluster && latch.Generation <= before.generation {
		w.fail("the latch speaks of cluster %x, and spoke of %x before, which was bootstrapped first", latch.ClusterID,
			before.cluster)
	}
}

// checkLatchUpdate checks what is about to be written over the latch.
func (w *world) checkLatchUpdate(cm *corev1.ConfigMap) {
	live, exists := get[*corev1.ConfigMap](w.store, cm.Namespace, cm.Name)
	if !exists || cm.ResourceVersion != "" && live.ResourceVersion != cm.ResourceVersion {
		return // it is refused
	}
	before, err := resources.ParseLatch(live)
	if err != nil || w.discarded[before.ClusterID] {
		return
	}
	after, err := resources.ParseLatch(cm)
	if err != nil {
		w.fail("the latch is overwritten with one that cannot be read: %v", err)
		return
	}
	w.checkOneBootstrap(live.UID, before)
	w.checkOneBootstrap(live.UID, after)
	if after.Formed && !before.Formed {
		w.checkFormation(after)
	}
}

// checkFormation: the latch says formed, from when on clients find the cluster, only when a majority of its members
// cannot start empty any more.
func (w *world) checkFormation(after state.Latch) {
	sealed := 0
	members := resources.LatchMembers(w.cluster(), after)
	for _, in := range members {
		if !w.mayStartEmpty(resources.FormatID(in.MemberID)) {
			sealed++
		}
	}
	if 2*sealed <= len(members) {
		w.fail("the cluster is said to have formed, although only %d of %d members cannot start empty", sealed, len(members))
	}
}

// mayStartEmpty tells that the member's Pod would bootstrap on an empty volume, or would be created so.
func (w *world) mayStartEmpty(id string) bool {
	for _, pod := range view[*corev1.Pod](w.store) {
		if isOf(pod, id) {
			return pod.Annotations[resources.AnnotationInitialClusterState] != "existing"
		}
	}
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		if isOf(claim, id) {
			return claim.Annotations[resources.AnnotationStarted] == ""
		}
	}
	return false // the latch records that it was launched
}

func isOf(obj client.Object, id string) bool {
	return obj.GetAnnotations()[resources.AnnotationMemberID] == id
}
