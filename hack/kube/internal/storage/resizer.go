package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/quorate/quorate/hack/kube/internal/volume"
)

// provisionedBy is how the controller library marks the volumes of a provisioner.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// Resizer expands volumes to what their claims ask for, as the external-resizer of a CSI driver does: online, and also
// when no Pod uses the claim.
type Resizer struct {
	Client kubernetes.Interface
	// Grow makes the volume of a PersistentVolume larger; see volume.Store.
	Grow func(ctx context.Context, node, name string, size int64) error

	claims corelisters.PersistentVolumeClaimLister
	queue  workqueue.TypedRateLimitingInterface[string]
}

// Run expands volumes until ctx ends.
func (r *Resizer) Run(ctx context.Context) error {
	r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](
		100*time.Millisecond, 5*time.Second))
	factory := informers.NewSharedInformerFactory(r.Client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims()
	r.claims = claims.Lister()
	_, err := claims.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.enqueue,
		UpdateFunc: func(_, obj any) { r.enqueue(obj) },
	})
	if err != nil {
		return fmt.Errorf("watch claims: %w", err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go func() {
		<-ctx.Done()
		r.queue.ShutDown()
	}()
	for r.next(ctx) {
	}
	return nil
}

func (r *Resizer) enqueue(obj any) {
	if claim, ok := obj.(*corev1.PersistentVolumeClaim); ok && needsGrowth(claim) {
		r.queue.Add(claim.Namespace + "/" + claim.Name)
	}
}

func (r *Resizer) next(ctx context.Context) bool {
	key, stop := r.queue.Get()
	if stop {
		return false
	}
	defer r.queue.Done(key)
	namespace, name, _ := cache.SplitMetaNamespaceKey(key)
	claim, err := r.claims.PersistentVolumeClaims(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		r.queue.Forget(key)
		return true
	}
	if err == nil {
		err = r.resize(ctx, claim)
	}
	if err != nil {
		r.queue.AddRateLimited(key)
		return true
	}
	r.queue.Forget(key)
	return true
}

// needsGrowth tells that the claim is bound and asks for more than its status says that it has.
func needsGrowth(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Status.Phase == corev1.ClaimBound && claim.Spec.VolumeName != "" &&
		claim.Status.Capacity.Storage().Cmp(*claim.Spec.Resources.Requests.Storage()) < 0
}

// resize makes the file system larger first, then says so in the PersistentVolume, then in the claim.
func (r *Resizer) resize(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if !needsGrowth(claim) {
		return nil
	}
	pv, err := r.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read PersistentVolume %s: %w", claim.Spec.VolumeName, err)
	}
	if pv.Annotations[provisionedBy] != ProvisionerName {
		return nil
	}
	size := volume.Size(claim.Spec.Resources.Requests.Storage().Value())
	capacity := map[string]any{"storage": resource.NewQuantity(size, resource.BinarySI).String()}
	if err := r.Grow(ctx, pv.Annotations[nodeAnnotation], pv.Name, size); err != nil {
		return r.report(ctx, claim, map[string]any{"conditions": []any{map[string]any{
			"type": corev1.PersistentVolumeClaimControllerResizeError, "status": corev1.ConditionTrue,
			"message": err.Error(),
		}}}, err)
	}
	if pv.Spec.Capacity.Storage().Value() != size {
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"capacity": capacity}})
		if err != nil {
			return fmt.Errorf("encode the patch: %w", err)
		}
		_, err = r.Client.CoreV1().PersistentVolumes().Patch(ctx, pv.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return fmt.Errorf("change PersistentVolume %s: %w", pv.Name, err)
		}
	}
	return r.report(ctx, claim, map[string]any{"capacity": capacity, "conditions": nil}, nil)
}

// report writes the claim's status, and returns the cause of the report, if it is a failure.
func (r *Resizer) report(
	ctx context.Context, claim *corev1.PersistentVolumeClaim, status map[string]any, cause error,
) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("encode the patch: %w", err)
	}
	_, err = r.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch,
		metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("write the status of claim %s: %w", claim.Name, err)
	}
	return cause
}
