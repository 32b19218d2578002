package sim

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// mishap is a way to lose the data of one member.
type mishap string

const (
	claimDeleted  mishap = "its claim is deleted"
	volumeDeleted mishap = "its PersistentVolume is deleted"
	volumeGone    mishap = "its PersistentVolume is gone for good"
	volumeWiped   mishap = "its volume is wiped"
	dataDamaged   mishap = "its data is damaged"
	volumeForeign mishap = "a backup tool puts an older copy in place of its volume"
)

// mishaps are all but the one that a backup tool causes.
func mishaps() []mishap {
	return []mishap{claimDeleted, volumeDeleted, volumeGone, volumeWiped, dataDamaged}
}

// suffer has the member in the Pod lose its data, if the others can afford it.
func (w *world) suffer(pod *corev1.Pod, what mishap) {
	claim, exists := get[*corev1.PersistentVolumeClaim](w.store, pod.Namespace, claimOf(pod))
	d := w.kube.diskOf(pod)
	if !exists || d == nil || w.formed == 0 || !w.kube.claimStays(pod) || !w.affordable(pod) {
		return
	}
	records := map[mishap]string{volumeWiped: resources.AnnotationStarted, volumeForeign: resources.AnnotationVolumeName}
	if record := records[what]; record != "" && claim.Annotations[record] == "" {
		return // until that is recorded, nobody can tell it from a volume that was never used
	}
	w.log("%s: %s", pod.Name, what)
	w.seen.faults[string(what)]++
	switch what {
	case claimDeleted:
		must(w.store.remove(refOf(claim), nil, false))
	case volumeDeleted:
		must(w.store.remove(ref{kind: "PersistentVolume", name: claim.Spec.VolumeName}, nil, false))
	case volumeGone:
		w.store.drop(ref{kind: "PersistentVolume", name: claim.Spec.VolumeName})
		d.lost = true
	case volumeWiped:
		d.dir.Wipe()
	case dataDamaged:
		d.damaged = true
		w.etcd.Stop(string(pod.UID))
	case volumeForeign:
		w.replaceByCopy(pod, claim, d)
	}
}

// snapshot copies the data of all members, as a backup tool does.
func (w *world) snapshot() {
	w.log("a backup tool copies all volumes")
	for _, d := range w.kube.disks {
		if !d.lost {
			d.copied = d.dir.Clone()
		}
	}
}

// replaceByCopy deletes Pod and claim, and makes a claim of the same name and with the same records that is bound to
// another volume: the last copy, or an empty one.
func (w *world) replaceByCopy(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim, d *disk) {
	w.etcd.Stop(string(pod.UID))
	must(w.store.remove(refOf(pod), nil, true))
	w.store.drop(refOf(claim))
	copied := claim.DeepCopy()
	copied.ObjectMeta = metav1.ObjectMeta{
		Namespace: claim.Namespace, Name: claim.Name, Labels: claim.Labels, Annotations: claim.Annotations,
	}
	copied.Spec.VolumeName = ""
	must(w.store.create(copied))
	w.kube.provision(copied, d.node)
	if d.copied != nil {
		w.kube.disks[copied.Spec.VolumeName].dir = d.copied.Clone()
	}
	d.lose()
}

// removeNode takes a machine away with its disks, if the members on the others can afford it.
func (w *world) removeNode(name string) {
	pods := w.kube.podsOf(name)
	if len(w.kube.nodes) < 4 || w.formed == 0 || !w.affordable(pods...) {
		return
	}
	w.seen.faults["a node is gone for good"]++
	w.kube.removeNode(name)
	w.joined++
	w.kube.addNode(fmt.Sprintf("node-new-%d", w.joined))
}

// alarm raises NOSPACE for the member in the Pod, or ends all alarms.
func (w *world) alarm(pod *corev1.Pod) {
	state, known := w.etcd.State(string(pod.UID))
	if known && w.formed != 0 && state.ClusterID == w.formed {
		w.log("%s raises the alarm NOSPACE", pod.Name)
		w.etcd.SetAlarms(w.formed, etcd.Alarm{MemberID: state.MemberID, Type: etcd.AlarmNoSpace})
	}
}

func (w *world) disarm() {
	if w.formed != 0 {
		w.etcd.SetAlarms(w.formed)
	}
}

// ways in which an EtcdCluster is deleted.
const (
	background = "background"
	orphan     = "orphan"
)

// deleteCluster deletes the EtcdCluster. What it owns goes with it, unless it is orphaned. It tells whether it did:
// with only a part of the data owned, as right after an edit of the reclaim policy, what is left is not to be foreseen.
func (w *world) deleteCluster(how string) bool {
	c := w.cluster()
	if c == nil {
		return false
	}
	owned, free := 0, 0
	for _, obj := range sorted(w.store.objects, "") {
		_, isClaim := obj.(*corev1.PersistentVolumeClaim)
		if !isClaim && obj.GetName() != resources.LatchName(clusterName) {
			continue
		}
		if metav1.IsControlledBy(obj, c) {
			owned++
		} else {
			free++
		}
	}
	if owned > 0 && free > 0 && how != orphan {
		return false
	}
	w.log("the user deletes the EtcdCluster (%s)", how)
	w.seen.faults["the EtcdCluster is deleted: "+how]++
	// What goes with it, such as the record of an authority that was about to change, is missing in what is adopted.
	w.interrupted = w.interrupted || w.unsettled() != ""
	switch {
	case how == orphan:
		w.disown(c.UID)
	case owned > 0:
		w.discard()
	}
	w.store.drop(refOf(c))
	return true
}

// disown takes the references to the owner off everything, as the garbage collector does for an orphaning deletion.
func (w *world) disown(owner types.UID) {
	for _, obj := range sorted(w.store.objects, "") {
		if ref := metav1.GetControllerOf(obj); ref != nil && ref.UID == owner {
			free := clone(obj)
			free.SetOwnerReferences(nil)
			w.store.put(free)
		}
	}
}

// spared tells that latch and data that the user had deleted stay and go on being used: before the garbage collector
// came, an operator that did not know of the deletion had given them another owner, or none; or they were an orphan's,
// which none had taken over yet. Members that keep their data in their Pods may be lost as long as a majority stays.
func (w *world) spared(cm *corev1.ConfigMap, latch state.Latch) bool {
	kept, tolerated := map[uint64]bool{}, 0
	for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
		if v, err := resources.ParseVolume(clusterName, claim); err == nil && w.stays(claim) {
			kept[v.MemberID] = true
		}
	}
	if c := w.cluster(); c != nil && c.Spec.Storage.Ephemeral != nil {
		tolerated = (len(latch.Launched) - 1) / 2
		for _, pod := range view[*corev1.Pod](w.store) {
			if s, known := w.etcd.State(string(pod.UID)); known && w.stays(pod) && s.ClusterID == latch.ClusterID {
				kept[s.MemberID] = true
			}
		}
	}
	lost := slices.DeleteFunc(slices.Clone(latch.Launched), func(id uint64) bool { return kept[id] })
	return w.stays(cm) && len(lost) <= tolerated
}

// stays tells that an object is not being deleted, nor about to be.
func (w *world) stays(obj client.Object) bool {
	return obj.GetDeletionTimestamp() == nil && !w.ownerless(obj)
}

// ownerless tells that an object's owner is gone, so that the garbage collector is about to delete it.
func (w *world) ownerless(obj client.Object) bool {
	c := w.cluster()
	return slices.ContainsFunc(obj.GetOwnerReferences(),
		func(owner metav1.OwnerReference) bool { return c == nil || owner.UID != c.UID })
}

// discard notes that the user has all data deleted.
func (w *world) discard() {
	for _, id := range w.etcd.Clusters() {
		w.discarded[id] = true
	}
	for _, cm := range view[*corev1.ConfigMap](w.store) {
		if latch, err := resources.ParseLatch(cm); err == nil {
			w.discarded[latch.ClusterID] = true
		}
	}
	w.formed = 0
}
