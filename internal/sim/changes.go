package sim

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What nodes have of cpu: a Pod that asks for more is never given it. One node is larger than all others.
const (
	nodeCPU       = "8"
	largerNode    = "node-0"
	largerNodeCPU = "32"
)

func cpuOf(node string) resource.Quantity {
	if node == largerNode {
		return resource.MustParse(largerNodeCPU)
	}
	return resource.MustParse(nodeCPU)
}

// versionOf the etcd in an image, whose tag is "v" and the version.
func versionOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, version, _ := strings.Cut(image, ":v")
	return version
}

func (k *kube) pullable(image string) bool {
	return !k.unpullable[versionOf(image)] && !strings.HasPrefix(image, badRepository)
}

// change does what a kubelet does when a running Pod asks for another image, and for other resources: only a change of
// the image restarts the container, after a while in which the old process goes on.
func (k *kube) change(pod *corev1.Pod, c *container) {
	spec := pod.Spec.Containers[0]
	if !c.started || spec.Image == c.image && equal(spec.Resources, c.resources) {
		if !c.started {
			c.image = spec.Image
		}
		c.patched = 0
		return
	}
	if c.patched++; c.patched <= k.patchLag {
		return
	}
	c.patched = 0
	if feasible(pod.Spec.NodeName, spec.Resources) {
		c.resources = *spec.Resources.DeepCopy()
	}
	if spec.Image != c.image {
		k.world.log("the kubelet restarts %s for %s", pod.Name, spec.Image)
		k.world.etcd.Stop(string(pod.UID))
		c.end(k.world.now, 0, "")
		c.wait, c.image = 0, spec.Image
	}
}

// patched tells that the Pod's container is about to end, because another image is wanted.
func (k *kube) patched(pod *corev1.Pod) bool {
	c := k.containers[pod.UID]
	return c != nil && c.started && c.image != pod.Spec.Containers[0].Image
}

// feasible tells that the node has as much.
func feasible(node string, r corev1.ResourceRequirements) bool {
	return r.Requests.Cpu().Cmp(cpuOf(node)) <= 0
}

// reportResize tells of resources that the Pod asks for and does not have.
func (k *kube) reportResize(pod *corev1.Pod, c *container) {
	pod.Status.Conditions = slices.DeleteFunc(pod.Status.Conditions, func(cond corev1.PodCondition) bool {
		return cond.Type == corev1.PodResizePending || cond.Type == corev1.PodResizeInProgress
	})
	wanted := pod.Spec.Containers[0].Resources
	switch {
	case !c.started || equal(wanted, c.resources):
	case !feasible(pod.Spec.NodeName, wanted):
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible,
			Message: "Node didn't have enough capacity: cpu",
		})
	default:
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue,
		})
	}
}

// mayChange tells why the API server refuses a change of a Pod; empty when it does not. Of the spec only the image may
// change (and tolerations be added, which nobody here does); cpu and memory change through the subresource "resize".
func mayChange(old, changed *corev1.Pod) string {
	a, b := old.Spec.DeepCopy(), changed.Spec.DeepCopy()
	for i := range b.Containers {
		if i < len(a.Containers) {
			a.Containers[i].Image = b.Containers[i].Image
		}
	}
	if !equal(a, b) {
		return "pod updates may not change fields other than `spec.containers[*].image`"
	}
	return ""
}

// mayResize tells why the API server refuses a resize: it may change nothing else, and not the QoS class.
func mayResize(old, changed *corev1.Pod) string {
	a, b := old.DeepCopy(), changed.DeepCopy()
	for i := range b.Spec.Containers {
		if i < len(a.Spec.Containers) {
			a.Spec.Containers[i].Resources = b.Spec.Containers[i].Resources
		}
	}
	if !equal(a.Spec, b.Spec) {
		return "only cpu and memory resources are mutable"
	}
	if before, after := qosClass(old), qosClass(changed); before != after {
		return fmt.Sprintf("Pod QOS Class may not change as a result of resizing (%s to %s)", before, after)
	}
	return ""
}

// qosClass is Kubernetes' (pkg/apis/core/v1/helper/qos), of a Pod with one container.
func qosClass(pod *corev1.Pod) corev1.PodQOSClass {
	r := pod.Spec.Containers[0].Resources
	if len(r.Requests) == 0 && len(r.Limits) == 0 {
		return corev1.PodQOSBestEffort
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, limited := r.Limits[name]
		request, requested := r.Requests[name]
		if !limited || requested && request.Cmp(limit) != 0 {
			return corev1.PodQOSBurstable
		}
	}
	return corev1.PodQOSGuaranteed
}
