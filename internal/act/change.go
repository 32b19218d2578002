package act

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// changeInPlace changes a running Pod.
func changeInPlace(ctx context.Context, w *writer, c *state.Cluster, step plan.Step) error {
	switch s := step.(type) {
	case plan.ApplyPodMetadata:
		return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.ChangeMetadata(p, w.cluster) })
	case plan.PatchPod:
		return patchPod(ctx, w, c, s)
	case plan.ResizePod:
		return resizePod(ctx, w, s)
	default:
		return fmt.Errorf("no executor for step %T", step)
	}
}

// patchPod changes the image of exactly the Pod that was observed live, in the state in which it was observed. What is
// about to run is recorded on the volume before: a Pod that is created in between gets the version that is recorded.
func patchPod(ctx context.Context, w *writer, c *state.Cluster, s plan.PatchPod) error {
	if s.Image != resources.Image(c.Object, s.Version) {
		return fmt.Errorf("the image: %w", errChanged)
	}
	if s.Volume != "" {
		err := changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) { resources.RecordVersion(v, s.Version) })
		if err != nil {
			return err
		}
	}
	pod, err := livePod(ctx, w, s.Member, s.PodUID)
	if err != nil {
		return err
	}
	if pod.ResourceVersion != podVersion(c, s.PodUID) {
		return fmt.Errorf("pod %s: %w", s.Member, errChanged)
	}
	before := pod.DeepCopy()
	resources.ChangeImage(pod, c.Object, s.Version)
	if err := w.Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("change the image of Pod %s: %w", s.Member, err)
	}
	w.expect.Wrote(w.key(), pod)
	if !resources.KeepsImage(before, pod) {
		return nil
	}
	before = pod.DeepCopy() // as the API server answered: the cache does not show it yet
	resources.ForgetPatchedContainer(pod)
	if err := w.Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("change Pod %s, whose image a webhook has kept: %w", s.Member, err)
	}
	w.expect.Wrote(w.key(), pod)
	return nil
}

// resizePod changes cpu and memory, and then records that: after a crash in between, the same change is sent again and
// does nothing. What Kubernetes refuses is recorded too, so that the Pod is created again instead; except where it
// would refuse the new Pod as well.
func resizePod(ctx context.Context, w *writer, s plan.ResizePod) error {
	pod, err := livePod(ctx, w, s.Member, s.PodUID)
	if err != nil {
		return err
	}
	template := resources.Applied(w.cluster, pod.Annotations[resources.AnnotationVersion])
	if resources.TemplateHash(template) != s.Template {
		return fmt.Errorf("the template of Pod %s: %w", s.Member, errChanged)
	}
	before := pod.DeepCopy()
	resources.ChangeResources(pod, w.cluster)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err = w.SubResource("resize").Patch(ctx, pod, patch)
	switch {
	case refusedForGood(err):
		nodeTooSmall := apierrors.HasStatusCause(err, causeNodeCapacity)
		if err := changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) {
			resources.RefuseResize(p, w.cluster, nodeTooSmall)
		}); err != nil {
			return err
		}
		return fmt.Errorf("kubernetes cannot resize Pod %s (%s): %w", s.Member, err.Error(), errChanged)
	case err != nil:
		return fmt.Errorf("resize Pod %s: %w", s.Member, err)
	}
	w.expect.Wrote(w.key(), pod)
	before = pod.DeepCopy()
	resources.RecordResources(pod, w.cluster)
	if err := w.Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("record the size of Pod %s: %w", s.Member, err)
	}
	w.expect.Wrote(w.key(), pod)
	return nil
}

// Why the API server refuses a resize from Kubernetes 1.36 on: the node has less than the Pod asks for, or cannot do it
// (plugin/pkg/admission/podresize/admission.go). Earlier ones leave that to the kubelet.
const (
	causeNodeCapacity        metav1.CauseType = "NodeCapacity"
	causeUnsupportedPlatform metav1.CauseType = "UnsupportedPlatform"
)

// refusedForGood tells that the Pod can never be resized like this: its node or its QoS class does not allow it, or the
// Kubernetes is too old to know how.
func refusedForGood(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsNotFound(err) ||
		apierrors.HasStatusCause(err, causeNodeCapacity) || apierrors.HasStatusCause(err, causeUnsupportedPlatform)
}

func livePod(ctx context.Context, w *writer, name string, uid types.UID) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	if err := w.live.Get(ctx, clientKey(w.cluster.Namespace, name), pod); err != nil {
		return nil, fmt.Errorf("read Pod %s: %w", name, err)
	}
	if pod.UID != uid || pod.DeletionTimestamp != nil {
		return nil, fmt.Errorf("pod %s: %w", name, errChanged)
	}
	return pod, nil
}
