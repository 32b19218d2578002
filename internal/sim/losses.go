package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// losses are quorums that are lost for good.
type losses struct {
	// kept are the claims that held data of a cluster when its quorum was lost: nobody but the user deletes them.
	kept map[types.UID]bool
	// lost are the clusters, and gone the volumes of the last one that are missing, and may come back.
	lost map[uint64]bool
	gone map[string]*corev1.PersistentVolume
	// agreed are the IDs of losses to which the user gave a complete consent, and recovered those that were acted on.
	agreed, recovered map[string]bool
}

func newLosses() losses {
	return losses{
		kept: map[types.UID]bool{}, lost: map[uint64]bool{}, gone: map[string]*corev1.PersistentVolume{},
		agreed: map[string]bool{}, recovered: map[string]bool{},
	}
}

// loseQuorum takes the volumes of voters away, and their Pods with them, until no majority of the voters is left.
func (w *world) loseQuorum(left int) {
	t := w.truth()
	voters, _ := standing(t.members)
	if w.formed == 0 || !t.quorate || 2*left >= voters || w.losses.lost[w.formed] {
		return
	}
	w.log("all but %d of %d voters lose their volumes", left, voters)
	w.seen.faults["a majority loses its data"]++
	w.losses.lost[w.formed] = true
	for _, claim := range all[*corev1.PersistentVolumeClaim](w.store) {
		id, err := resources.ParseID(claim.Annotations[resources.AnnotationMemberID])
		if err != nil || claim.Annotations[resources.AnnotationRetired] != "" {
			continue
		}
		w.losses.kept[claim.UID] = true
		if m, listed := t.find(id); listed && m.Voter && left > 0 {
			left--
			continue
		}
		w.detach(claim)
	}
}

// detach takes a volume away without its content.
func (w *world) detach(claim *corev1.PersistentVolumeClaim) {
	for _, pod := range all[*corev1.Pod](w.store) {
		if slices.Contains(claimsOf(pod), claim.Name) {
			w.etcd.Stop(string(pod.UID))
			must(w.store.remove(refOf(pod), nil, true))
		}
	}
	pv, exists := get[*corev1.PersistentVolume](w.store, "", claim.Spec.VolumeName)
	if !exists {
		return
	}
	w.kube.disks[pv.Name].lost = true
	w.losses.gone[pv.Name] = pv
	w.store.drop(refOf(pv))
}

// comeBack gives a volume back that was missing.
func (w *world) comeBack() {
	for _, claim := range all[*corev1.PersistentVolumeClaim](w.store) {
		pv := w.losses.gone[claim.Spec.VolumeName]
		if pv == nil {
			continue
		}
		w.log("the volume of claim %s comes back", claim.Name)
		w.seen.faults["a missing member comes back"]++
		delete(w.losses.gone, pv.Name)
		w.kube.disks[pv.Name].lost = false
		must(w.store.create(pv))
		claim.Status.Phase = corev1.ClaimBound
		w.store.put(claim)
		return
	}
}

// agree has the user consent to the loss in the status: completely, to a wrong one, or without the members that have to
// be named.
func (w *world) agree(how string) {
	c := w.cluster()
	if c == nil || c.Status.QuorumLoss == nil {
		return
	}
	loss, consent := c.Status.QuorumLoss, &v1alpha1.RecoverySpec{QuorumLossID: c.Status.QuorumLoss.ID}
	named := 0
	for _, m := range loss.Missing {
		if m.Fenced == nil || !*m.Fenced {
			named++
			consent.ConfirmMissing = append(consent.ConfirmMissing, m.Name)
		}
	}
	switch {
	case how == wrongID:
		consent.QuorumLossID = "0123456789abcdef"
	case how == incomplete && named > 0:
		consent.ConfirmMissing = consent.ConfirmMissing[1:]
	default:
		w.losses.agreed[loss.ID] = true
	}
	w.editSpec("consent to "+consent.QuorumLossID+", "+how, func(s *v1alpha1.EtcdClusterSpec) { s.Recovery = consent })
}

// ways in which a user consents.
const (
	completely = "complete"
	wrongID    = "of another loss"
	incomplete = "not naming all members"
)

// checkSalvage: nothing of the lost cluster runs beside the salvage, what is salvaged is the newest log, and nothing is
// overwritten but an empty volume.
func (w *world) checkSalvage(pod *corev1.Pod, from, into *disk) {
	if from.dir.InUse() || into.dir.InUse() {
		w.fail("Pod %s works on a volume on which etcd runs", pod.Name)
	}
	chosen, _ := from.dir.Inspect()
	for name, d := range w.kube.disks {
		r, found := d.dir.Inspect()
		if !found || d.lost || d.damaged || r.ClusterID != chosen.ClusterID {
			continue
		}
		if r.LastTerm > chosen.LastTerm || r.LastTerm == chosen.LastTerm && r.LastIndex > chosen.LastIndex {
			w.fail("Pod %s salvages a log that ends at %d in term %d, although that of %s ends at %d in term %d",
				pod.Name, chosen.LastIndex, chosen.LastTerm, name, r.LastIndex, r.LastTerm)
		}
	}
	if r, found := into.dir.Inspect(); found && r.ClusterID == chosen.ClusterID {
		w.fail("Pod %s writes on the volume of member %x", pod.Name, r.MemberID)
	}
}

// checkLatchOf: another cluster takes the place of one that had formed only by a complete consent, once for each.
func (w *world) checkLatchOf(latch state.Latch) {
	if w.formed == 0 || latch.ClusterID == w.formed || w.dataLost {
		return
	}
	for _, cm := range view[*corev1.ConfigMap](w.store) {
		r, err := resources.ParseRecovery(clusterName, cm)
		if err != nil || r.To != latch.Token {
			continue
		}
		if !w.losses.agreed[r.Loss.ID] || w.losses.recovered[r.Loss.ID] {
			w.fail("the cluster is recovered from loss %s, to which the user did not agree, or again", r.Loss.ID)
		}
		w.log("cluster %x takes the place of %x", latch.ClusterID, w.formed)
		w.losses.recovered[r.Loss.ID] = true
		w.user.lost = true // whoever trusted the former CAs is locked out
		w.formed = 0
		if latch.Formed {
			w.formed = latch.ClusterID
		}
		return
	}
	w.fail("the latch speaks of cluster %x, formed was %x", latch.ClusterID, w.formed)
}

// checkLosses: nothing of a lost cluster runs beside the one that took its place.
func (w *world) checkLosses() {
	old, present := "", false
	for _, pod := range view[*corev1.Pod](w.store) {
		s, _ := w.etcd.State(string(pod.UID))
		switch {
		case !s.Running:
		case w.losses.lost[s.ClusterID]:
			old = pod.Name
		case s.ClusterID == w.formed:
			present = true
		}
	}
	if w.losses.lost[w.formed] && w.truth().quorate {
		w.log("a majority came back")
		delete(w.losses.lost, w.formed)
		clear(w.losses.kept)
	}
	if old != "" && present && w.formed != 0 {
		w.fail("%s of the lost cluster runs beside the new one", old)
	}
}
