package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
)

const gib = 1 << 30

// space is what databases and volumes may come to.
type space struct {
	// expandable tells that the StorageClass permits expansions; stuck that the storage provider fails to do them.
	expandable, stuck bool
	// frees tells that the person who is asked for either deletes data, else volumes are made larger.
	frees bool
	// quotaEdited tells that the user ever gave a quota; else it only rises.
	quotaEdited bool
	quotas      map[uint64]int64 // by member ID
	// smaller is when another member last had a smaller volume, by the UID of the claim.
	smaller map[types.UID]time.Time
	helped  time.Time
}

func newSpace() space {
	return space{expandable: true, quotas: map[uint64]int64{}, smaller: map[types.UID]time.Time{}}
}

// expand is the storage provider: a volume becomes as large as its claim asks for, a tick after it does.
func (k *kube) expand(claim *corev1.PersistentVolumeClaim) {
	wanted, has := claim.Spec.Resources.Requests.Storage(), claim.Status.Capacity.Storage()
	pv, exists := get[*corev1.PersistentVolume](k.world.store, "", claim.Spec.VolumeName)
	if !exists || wanted.Cmp(*has) <= 0 && len(claim.Status.Conditions) == 0 {
		return
	}
	before := claim.DeepCopy()
	claim.Status.Conditions = nil
	switch {
	case wanted.Cmp(*has) <= 0:
	case k.world.space.stuck:
		claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
			Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, Message: "no room",
		}}
	default:
		k.world.log("volume %s is expanded to %s", pv.Name, wanted)
		pv.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: *wanted}
		k.world.store.put(pv)
		claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: *wanted}
	}
	if !equal(before.Status, claim.Status) {
		k.world.store.put(claim)
	}
}

// refuseSize tells why the API server refuses another size of a claim; empty when it does not.
func (w *world) refuseSize(old, now *corev1.PersistentVolumeClaim) (why string, forbidden bool) {
	was, wanted := old.Spec.Resources.Requests.Storage(), now.Spec.Resources.Requests.Storage()
	switch {
	case was.Cmp(*wanted) == 0:
		return "", false
	case old.Spec.VolumeName == "":
		return "spec is immutable after creation except resources.requests for bound claims", false
	case wanted.Cmp(*was) > 0 && !w.space.expandable:
		return "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support " +
			"resize", true
	case wanted.Cmp(*was) < 0 && wanted.Cmp(*old.Status.Capacity.Storage()) <= 0:
		return "field can not be less than status.capacity", false
	}
	return "", false
}

// servingPods are those through which a client reaches the cluster.
func (w *world) servingPods() []*corev1.Pod {
	var list []*corev1.Pod
	for _, pod := range all[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		ours := w.formed != 0 && state.ClusterID == w.formed
		if ours && state.Ready && !state.Learner && !w.partitioned[pod.Spec.NodeName] {
			list = append(list, pod)
		}
	}
	return list
}

// fill writes a large value over the one before, which stays as history.
func (w *world) fill(bytes int64) {
	for _, pod := range w.servingPods() {
		err := w.etcd.Overwrite(string(pod.UID), bytes)
		if err == nil {
			w.log("a client writes %d MiB through %s", bytes>>20, pod.Name)
			return
		}
		if strings.Contains(err.Error(), "space exceeded") {
			w.log("a client is told by %s that the quota is reached", pod.Name)
			w.seen.faults["the quota is reached"]++
			return
		}
	}
}

// freeSpace has the user delete the data that takes most, and compact.
func (w *world) freeSpace() {
	for _, pod := range w.servingPods() {
		target := etcd.Target{Cluster: "user", PodUID: string(pod.UID), Address: w.kube.address(pod)}
		c, err := w.etcd.Dialer().Client(target)
		if err != nil || w.hidden[pod.UID] || w.etcd.Delete(string(pod.UID)) != nil {
			continue
		}
		_, _, revision, _ := w.etcd.Space(string(pod.UID))
		w.log("the user deletes data and compacts (%v)", c.Compact(context.Background(), revision))
		return
	}
}

// editStorage has the user edit the sizes of volumes.
func (w *world) editStorage(size, maxSize int64) {
	c := w.cluster()
	if c == nil || c.Spec.Storage.Ephemeral != nil {
		return
	}
	w.editSpec(fmt.Sprintf("storage.size %d GiB, maxSize %d GiB", size, maxSize), func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage.Size = resource.NewQuantity(size*gib, resource.BinarySI)
		s.Storage.MaxSize = nil
		if maxSize > 0 {
			s.Storage.MaxSize = resource.NewQuantity(maxSize*gib, resource.BinarySI)
		}
	})
}

// editQuota has the user give the quota; it follows from the volumes when it is 0.
func (w *world) editQuota(bytes int64) {
	w.editSpec(fmt.Sprintf("quota %d MiB", bytes>>20), func(s *v1alpha1.EtcdClusterSpec) {
		w.space.quotaEdited = true
		if s.Etcd == nil {
			s.Etcd = &v1alpha1.EtcdOptions{}
		}
		s.Etcd.QuotaBackendBytes = nil
		if bytes > 0 {
			s.Etcd.QuotaBackendBytes = resource.NewQuantity(bytes, resource.BinarySI)
		}
	})
}

// editMaintenance has the user permit compactions, or no longer.
func (w *world) editMaintenance(compact bool, keep int64) {
	w.editSpec(fmt.Sprintf("compactOnNoSpace %t, keepRevisions %d", compact, keep), func(s *v1alpha1.EtcdClusterSpec) {
		s.Maintenance = &v1alpha1.MaintenanceSpec{CompactOnNoSpace: ptr.To(compact), KeepRevisions: ptr.To(keep)}
	})
}

// makeRoom does what the status asks a person for when the quota is reached, or when volumes cannot grow. It tells
// whether it did anything.
func (w *world) makeRoom(status string) bool {
	asked := func(what string) bool { return strings.Contains(status, what) }
	c := w.cluster()
	size := ptr.Deref(c.Spec.Storage.Size, resource.MustParse("8Gi"))
	maxSize := ptr.Deref(c.Spec.Storage.MaxSize, resource.Quantity{})
	grow := !w.space.frees && c.Spec.Storage.Ephemeral == nil
	switch {
	case w.now.Sub(w.space.helped) < time.Minute:
		return false
	case asked("that is tried again in 10m"), asked("it is tried again every 5m") && w.space.expandable:
		w.sleepUntil(w.now.Add(10 * time.Minute))
	case asked("allowVolumeExpansion: true"):
		w.log("a person lets the StorageClass permit expansions")
		w.space.expandable = true
	case grow && asked("raise etcd.quotaBackendBytes") && w.space.quotaEdited:
		w.editQuota(0)
	case asked("defragment by hand") && w.space.quotaEdited:
		w.editQuota(0)
	case grow && asked("raise storage.maxSize"):
		w.editStorage(size.Value()/gib, maxSize.Value()/gib+16)
	case grow && asked("raise storage.size"):
		w.editStorage(size.Value()/gib+8, maxSize.Value()/gib)
	case asked("elete data"):
		w.freeSpace()
	default:
		return false
	}
	w.space.helped = w.now
	return true
}

func (w *world) sleepUntil(to time.Time) {
	w.log("no operator runs until %s", to.Format(time.DateTime))
	w.outages = append(w.outages, outage{w.now, to})
	w.now = to
	w.restart(0)
	w.restart(1)
	w.tick()
}
