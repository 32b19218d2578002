package sim

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// truth is the membership as etcd has it, and who really runs; quorate is false when no majority does.
type truth struct {
	quorate bool
	members []voter
}

// truth looks past the operator: at the processes themselves.
func (w *world) truth() truth {
	running := map[uint64]bool{}
	var t truth
	var list []etcd.Member
	for _, pod := range view[*corev1.Pod](w.store) {
		state, known := w.etcd.State(string(pod.UID))
		serves := known && state.Running && state.Ready && !w.discarded[state.ClusterID]
		if !serves || w.partitioned[pod.Spec.NodeName] || w.untrusted[pod.UID] {
			continue
		}
		running[state.MemberID] = true
		target := etcd.Target{Cluster: "truth", PodUID: string(pod.UID), Address: w.kube.address(pod)}
		c, err := w.etcd.Dialer().Client(target)
		if err != nil {
			continue
		}
		if l, err := c.Members(context.Background()); err == nil {
			list = l.Members
		}
	}
	for _, m := range list {
		t.members = append(t.members, voter{ID: m.ID, Voter: !m.Learner, Healthy: running[m.ID]})
	}
	t.quorate = quorate(t.members)
	return t
}

// checkWrite checks a write of an operator just before it is done.
func (w *world) checkWrite(verb string, obj client.Object) {
	switch o := obj.(type) {
	case *corev1.Pod:
		switch verb {
		case "delete":
			w.checkStop(o)
		case "patch":
			w.checkPatch(o)
		}
	case *corev1.PersistentVolumeClaim:
		if verb == "delete" {
			w.checkVolumeDeletion(o)
		}
	case *corev1.ConfigMap:
		switch isTrust := o.Name != resources.LatchName(clusterName); {
		case !isTrust && verb == "update":
			w.checkLatchUpdate(o)
		case isTrust && verb == "delete":
			w.checkTrustDeletion(o)
		case !isTrust && verb == "create":
			w.checkBootstrap()
		}
	}
}

// checkStart: a retired volume is never started again, nor one that holds other data than it records. To read one
// for evidence does no harm.
func (w *world) checkStart(pod *corev1.Pod) {
	if pod.Labels[resources.ComponentLabel] == resources.ComponentInspection {
		return
	}
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, pod.Namespace, claimOf(pod))
	if exists && claim.Annotations[resources.AnnotationRetired] != "" {
		w.fail("Pod %s is created on the retired volume %s", pod.Name, claim.Name)
	}
	if exists {
		recorded := claim.Annotations[resources.AnnotationVolumeName]
		if bound := claim.Spec.VolumeName; recorded != "" && bound != "" && recorded != bound {
			w.fail("Pod %s is created on the claim %s, which is bound to %s and records %s",
				pod.Name, claim.Name, bound, recorded)
		}
	}
}

// checkStop: the operator never stops a running voter that the majority needs, and a listed member that runs only to
// have it load other CAs or another template. A single voter is stopped for that as well: there is no other way. One
// that nobody can use any more may be stopped at any time.
func (w *world) checkStop(pod *corev1.Pod) {
	state, known := w.etcd.State(string(pod.UID))
	t := w.truth()
	if !known || !state.Running || !t.quorate || w.formed == 0 || !t.lists(state.MemberID) {
		return
	}
	live, exists := get[*corev1.Pod](w.store, pod.Namespace, pod.Name)
	if !exists || live.UID != pod.UID || live.DeletionTimestamp != nil {
		return
	}
	if w.hibernated() {
		w.checkSleep(live)
		return
	}
	if !w.outdated(live) && !w.edited(live) && !w.outgrown(live) {
		w.fail("Pod %s is deleted, although its member is listed, runs as the spec wants and trusts what it shall", pod.Name)
	}
	if w.useless(live) {
		return
	}
	after := t.stopped(state.MemberID)
	if voters, healthy := standing(after); !quorate(after) && voters > 1 {
		w.fail("deleting Pod %s breaks the quorum: %d of %d voters would be healthy", pod.Name, healthy, voters)
	}
	w.checkForeseen("deleting Pod "+pod.Name, t.members, after)
}

// edited tells that the spec asks for another template than the Pod was last given.
func (w *world) edited(pod *corev1.Pod) bool {
	c := w.cluster()
	return c != nil && !resources.Compare(pod.Annotations[resources.AnnotationApplied], w.wantedTemplate(c)).None()
}

// wantedTemplate is what a Pod of the wanted version would record.
func (w *world) wantedTemplate(c *v1alpha1.EtcdCluster) string {
	for _, cm := range view[*corev1.ConfigMap](w.store) {
		if latch, err := resources.ParseLatch(cm); err == nil {
			return resources.Applied(c, ptr.Deref(c.Spec.Version, latch.Version))
		}
	}
	return ""
}

func (t truth) lists(id uint64) bool {
	_, listed := t.find(id)
	return listed
}

// checkVolumeDeletion: the volume of a listed member is never deleted, and none while it cannot be known.
func (w *world) checkVolumeDeletion(claim *corev1.PersistentVolumeClaim) {
	live, exists := get[*corev1.PersistentVolumeClaim](w.store, claim.Namespace, claim.Name)
	if exists && w.losses.kept[live.UID] {
		w.fail("volume %s is deleted, which is kept since the quorum was lost", live.Name)
	}
	if !exists || w.formed == 0 {
		return
	}
	id, err := resources.ParseID(live.Annotations[resources.AnnotationMemberID])
	if err != nil {
		w.fail("volume %s has no member ID", live.Name)
		return
	}
	t := w.truth()
	if !t.quorate && live.Annotations[resources.AnnotationRetired] == "" {
		w.fail("volume %s is deleted while the member list is not known", live.Name)
	}
	for _, m := range t.members {
		if m.ID == id {
			w.fail("volume %s is deleted while member %x is listed", live.Name, id)
		}
	}
}

// checkBootstrap: a latch is never created over existing data, but to resume it.
func (w *world) checkBootstrap() {
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		if claim.Annotations[resources.AnnotationRetired] == "" && w.formed == 0 {
			w.log("a latch is created beside volume %s", claim.Name)
		}
	}
}

// checkRetired: no listed member's volume is retired.
func (w *world) checkRetired() {
	t := w.truth()
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		id, err := resources.ParseID(claim.Annotations[resources.AnnotationMemberID])
		if err == nil && claim.Annotations[resources.AnnotationRetired] != "" && t.lists(id) {
			w.fail("volume %s is retired, although member %x is listed", claim.Name, id)
		}
	}
}

// check looks for what must never happen, after every action.
func (w *world) check() {
	for _, cm := range view[*corev1.ConfigMap](w.store) {
		if cm.Name != resources.LatchName(clusterName) {
			continue
		}
		latch, err := resources.ParseLatch(cm)
		if err != nil {
			w.fail("the latch cannot be read: %v", err)
			continue
		}
		if w.discarded[latch.ClusterID] && !w.spared(cm, latch) {
			continue
		}
		delete(w.discarded, latch.ClusterID)
		w.checkOneBootstrap(cm.UID, latch)
		if latch.Formed && w.formed == 0 {
			w.formed = latch.ClusterID
		}
		w.checkLatchOf(latch)
	}
	w.checkEtcd()
	w.checkRetired()
	w.checkLosses()
	w.noteLoss()
	w.checkCertificates()
}

func (w *world) checkEtcd() {
	if w.dataLost {
		return
	}
	for _, v := range w.etcd.Violations() {
		if w.discarded[v.ClusterID] {
			continue
		}
		switch v.Kind {
		case etcd.RemovedStarted, etcd.Reincarnation:
			// The kubelet may restart a removed member until its Pod is deleted, and before the cluster has formed there is
			// nothing to forget. Retired volumes are checked when a Pod is created.
		case etcd.DuplicateMember, etcd.SharedDataDir, etcd.Amnesia, etcd.LostWrite, etcd.TwoLeaders:
			w.fail("%s", v)
		}
	}
	for _, v := range w.etcd.AckedWritesSurvive() {
		if !w.discarded[v.ClusterID] {
			w.fail("%s", v)
		}
	}
	after := false
	for _, id := range w.etcd.Clusters() {
		if after && w.formed != 0 {
			w.fail("a second cluster %x was bootstrapped after %x had formed", id, w.formed)
		}
		after = after || id == w.formed
	}
}
