package sim

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// provable is the truth as far as operators can prove it: what they cannot reach gives no permission.
func (w *world) provable() truth {
	t := w.truth()
	for _, pod := range view[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		for i := range t.members {
			if t.members[i].ID == state.MemberID && w.hidden[pod.UID] {
				t.members[i].Healthy = false
			}
		}
	}
	return t
}

// checkMembership checks a change of the membership just before etcd gets it.
func (w *world) checkMembership(call etcd.Call) {
	w.checkKept(call)
	t := w.provable()
	if !w.truth().quorate {
		return
	}
	target, listed := t.find(call.ID)
	after := t.members
	switch {
	case !listed:
		return // etcd refuses it
	case call.Method == etcd.MethodPromote && !target.Voter:
		after = t.promoted(call.ID)
		if !target.Healthy {
			w.fail("learner %x is promoted, although it is not healthy", call.ID)
		}
	case call.Method == etcd.MethodRemove:
		after = t.without(call.ID)
		w.checkForeseen(fmt.Sprintf("the removal of member %x", call.ID), t.members, after)
	}
	if voters, healthy := standing(after); !quorate(after) {
		w.fail("%s of member %x breaks the quorum: %d of %d voters would be healthy", call.Method, call.ID, healthy, voters)
	}
}

// checkIntent checks a change of the membership by what the operator could know when it sent it: of two operators that
// send one at the same time, raft refuses the second.
func (w *world) checkIntent(call etcd.Call) {
	switch call.Method {
	case etcd.MethodAddLearner:
		w.checkOneLearner(w.truth())
	case etcd.MethodRemove:
		w.checkRetiring(call.ID)
		w.checkWanted(call)
	case etcd.MethodDisarm:
		w.checkDisarm()
	default:
	}
}

// checkOneLearner: one change of the membership at a time.
func (w *world) checkOneLearner(t truth) {
	for _, m := range t.members {
		if !m.Voter {
			w.fail("a learner is added, although learner %x is in flight", m.ID)
		}
	}
}

// checkRetiring: before a member is removed, its volume or Pod records it, so that whoever comes next knows what a
// removal without an answer may have done. What goes with a deleted EtcdCluster belongs to nobody any more.
func (w *world) checkRetiring(id uint64) {
	recorded, found := false, false
	look := func(obj client.Object) {
		if !w.ownerless(obj) && obj.GetAnnotations()[resources.AnnotationMemberID] == resources.FormatID(id) {
			found = true
			recorded = recorded || obj.GetAnnotations()[resources.AnnotationRetiring] != ""
		}
	}
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		look(claim)
	}
	if !found {
		for _, pod := range view[*corev1.Pod](w.store) {
			look(pod)
		}
	}
	if found && !recorded {
		w.fail("member %x is removed, although nothing records that it is retiring", id)
	}
}
