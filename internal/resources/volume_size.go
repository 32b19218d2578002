package resources

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// VolumeRequest is the size that an incarnation's new claim asks for.
func VolumeRequest(c *v1alpha1.EtcdCluster, i state.Incarnation) resource.Quantity {
	return Bytes(c, i.VolumeSize)
}

// Bytes is a number of bytes as a quantity, in the notation of the spec where that asks for the same; 0 stands for what
// the spec asks for.
func Bytes(c *v1alpha1.EtcdCluster, n int64) resource.Quantity {
	for _, q := range []*resource.Quantity{new(StorageSize(c)), c.Spec.Storage.MaxSize} {
		if q != nil && (n == 0 || q.Value() == n) {
			return *q
		}
	}
	return *resource.NewQuantity(n, resource.BinarySI)
}

func sizeInSpec(c *v1alpha1.EtcdCluster, i state.Incarnation) int64 {
	if i.SizeInSpec != 0 {
		return i.SizeInSpec
	}
	return new(StorageSize(c)).Value()
}

// RecordSizeInSpec records the size in the spec, in bytes, that a volume was to have.
func RecordSizeInSpec(pvc *corev1.PersistentVolumeClaim, size int64) {
	setAnnotation(pvc, AnnotationStorageSize, strconv.FormatInt(size, 10))
}

// Grow makes the claim ask for another size. A full volume is recorded with the time, because the end of a container
// that tells of it is remembered by Kubernetes for longer than it is true.
func Grow(pvc *corev1.PersistentVolumeClaim, size resource.Quantity, full bool, now time.Time) {
	if pvc.Spec.Resources.Requests == nil {
		pvc.Spec.Resources.Requests = corev1.ResourceList{}
	}
	pvc.Spec.Resources.Requests[corev1.ResourceStorage] = size
	if full {
		setAnnotation(pvc, AnnotationGrownFull, now.UTC().Format(time.RFC3339))
	}
}

// readSize fills in what the claim asks for, what its volume has, and how its expansion stands.
func readSize(pvc *corev1.PersistentVolumeClaim, v *state.Volume) {
	v.Request = pvc.Spec.Resources.Requests.Storage().Value()
	v.Capacity = pvc.Status.Capacity.Storage().Value()
	for _, cond := range pvc.Status.Conditions {
		failed := cond.Type == corev1.PersistentVolumeClaimControllerResizeError ||
			cond.Type == corev1.PersistentVolumeClaimNodeResizeError
		if cond.Status != corev1.ConditionTrue || v.Growth.Failed {
			continue
		}
		v.Growth.Waiting, v.Growth.Failed = reasonAndMessage(string(cond.Type), cond.Message), failed
	}
	status := string(pvc.Status.AllocatedResourceStatuses[corev1.ResourceStorage])
	switch {
	case strings.HasSuffix(status, "Infeasible"):
		v.Growth.Failed = true
		v.Growth.Waiting = strings.TrimPrefix(v.Growth.Waiting+", "+status, ", ")
	case v.Growth.Waiting == "":
		v.Growth.Waiting = status
	}
}

// quotaSize is the volume size from which the default quota follows.
func quotaSize(c *v1alpha1.EtcdCluster, i state.Incarnation) int64 {
	if i.QuotaSize > 0 {
		return i.QuotaSize
	}
	size := StorageSize(c)
	return size.Value()
}

// DerivesQuota tells that the quota follows from the size of the volume: the spec gives none.
func DerivesQuota(c *v1alpha1.EtcdCluster) bool {
	return c.Spec.Storage.Ephemeral == nil && (c.Spec.Etcd == nil || c.Spec.Etcd.QuotaBackendBytes == nil)
}
