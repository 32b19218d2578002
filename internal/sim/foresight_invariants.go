package sim

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
)

// ended are the members as they will be once the Pods that are being deleted, and the containers whose image was
// changed, have ended.
func (w *world) ended(members []voter) []voter {
	going := map[uint64]bool{}
	for _, pod := range view[*corev1.Pod](w.store) {
		state, known := w.etcd.State(string(pod.UID))
		if known && state.Running && (pod.DeletionTimestamp != nil || w.kube.patched(pod)) {
			going[state.MemberID] = true
		}
	}
	after := make([]voter, 0, len(members))
	for _, m := range members {
		m.Healthy = m.Healthy && !going[m.ID]
		after = append(after, m)
	}
	return after
}

// checkForeseen: what is about to be done does not break the quorum together with evictions that were granted, and
// deletions that were begun, before it. A single voter that is stopped has no others.
func (w *world) checkForeseen(what string, before, after []voter) {
	before, after = w.ended(before), w.ended(after)
	voters, healthy := standing(after)
	if !quorate(before) || quorate(after) || voters <= 1 {
		return
	}
	w.fail("%s breaks the quorum: %d of %d voters would be healthy once the Pods that are being deleted, or were given "+
		"another image, have ended", what, healthy, voters)
}

// checkPatch: another image ends the container of a member, which the majority must not need.
func (w *world) checkPatch(pod *corev1.Pod) {
	live, exists := get[*corev1.Pod](w.store, pod.Namespace, pod.Name)
	if !exists || live.UID != pod.UID || len(pod.Spec.Containers) == 0 ||
		live.Spec.Containers[0].Image == pod.Spec.Containers[0].Image {
		return
	}
	state, known := w.etcd.State(string(pod.UID))
	t := w.truth()
	if !known || !state.Running || !t.quorate || w.formed == 0 || !t.lists(state.MemberID) || w.useless(live) {
		return
	}
	w.checkForeseen("another image for Pod "+pod.Name, t.members, t.stopped(state.MemberID))
}

// checkWanted: a voter that serves is removed only while there are more of them than the spec asks for, as it is now.
func (w *world) checkWanted(call etcd.Call) {
	c, t := w.cluster(), w.provable()
	m, listed := t.find(call.ID)
	if c == nil || !listed || !m.Voter || !m.Healthy || w.interrupted {
		return
	}
	if voters, _ := standing(t.members); voters <= wantedVoters(c) {
		w.fail("voter %x is removed, although it serves and the spec asks for %d of the %d voters", call.ID,
			wantedVoters(c), voters)
	}
}

// written is an own write of an operator, as the API server answered it.
type written struct {
	uid     types.UID
	version string
	deleted bool
}

// remember notes a write that the API server has confirmed to the operator. The cache need not show those of the
// status.
func (op *operator) remember(verb string, obj client.Object) {
	if strings.HasPrefix(verb, "update status") {
		return
	}
	op.own[refOf(obj)] = written{obj.GetUID(), obj.GetResourceVersion(), verb == "delete"}
}

// blindTo names an object that the operator wrote and that its cache shows as it was before; empty when there is none.
// An object that it does not show at all looks like one that lost the label by which it selects.
func (w *world) blindTo(op *operator) string {
	for _, obj := range sorted(op.cache.view, "") {
		own, wrote := op.own[refOf(obj)]
		now := w.store.objects[refOf(obj)]
		if !wrote || now == nil || now.GetUID() != own.uid || obj.GetUID() != own.uid {
			continue
		}
		if own.deleted && obj.GetDeletionTimestamp() == nil || !own.deleted && older(obj.GetResourceVersion(), own.version) {
			return kindOf(obj) + " " + obj.GetName()
		}
	}
	return ""
}

// older compares resource versions, which are numbers.
func older(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// wantedVoters is what the spec asks for now.
func wantedVoters(c *v1alpha1.EtcdCluster) int { return int(ptr.Deref(c.Spec.Replicas, 1)) }
