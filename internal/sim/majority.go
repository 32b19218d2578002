package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// voter is a member as it really is. The arithmetic here is the simulation's own: the product's is what it checks.
type voter struct {
	ID      uint64
	Voter   bool
	Healthy bool
}

// standing tells how many voters there are, and how many of them serve.
func standing(members []voter) (voters, healthy int) {
	for _, m := range members {
		if m.Voter {
			voters++
			if m.Healthy {
				healthy++
			}
		}
	}
	return voters, healthy
}

// quorate tells that a majority of the voters serves.
func quorate(members []voter) bool {
	voters, healthy := standing(members)
	return voters > 0 && 2*healthy > voters
}

// changed are the members as they would be after a change of one of them; removed when to is nil.
func (t truth) changed(id uint64, to func(voter) *voter) []voter {
	var list []voter
	for _, m := range t.members {
		if m.ID == id {
			if after := to(m); after != nil {
				list = append(list, *after)
			}
			continue
		}
		list = append(list, m)
	}
	return list
}

func (t truth) without(id uint64) []voter {
	return t.changed(id, func(voter) *voter { return nil })
}

func (t truth) stopped(id uint64) []voter {
	return t.changed(id, func(m voter) *voter { m.Healthy = false; return &m })
}

func (t truth) promoted(id uint64) []voter {
	return t.changed(id, func(m voter) *voter { m.Voter = true; return &m })
}

func (t truth) find(id uint64) (voter, bool) {
	for _, m := range t.members {
		if m.ID == id {
			return m, true
		}
	}
	return voter{}, false
}

// affordable tells that a majority of the voters keep their Pods, their data and each other when these go: what the
// schedule itself destroys is no fault of the operator.
func (w *world) affordable(leaving ...*corev1.Pod) bool {
	staying := map[uint64]bool{}
	for _, pod := range view[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		d := w.kube.diskOf(pod)
		intact := claimOf(pod) == "" || d != nil && !d.lost && !d.damaged && w.kube.claimStays(pod)
		staying[state.MemberID] = pod.DeletionTimestamp == nil && intact &&
			!slices.ContainsFunc(leaving, func(p *corev1.Pod) bool { return p.UID == pod.UID })
	}
	t := w.truth()
	for i, m := range t.members {
		t.members[i].Healthy = m.Healthy && staying[m.ID]
	}
	return quorate(t.members)
}

// claimStays tells that nobody deletes the Pod's claim or volume.
func (k *kube) claimStays(pod *corev1.Pod) bool {
	claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, claimOf(pod))
	return exists && claim.DeletionTimestamp == nil && k.usable(claim.Spec.VolumeName)
}
