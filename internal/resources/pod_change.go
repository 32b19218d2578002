package resources

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// Flags are the flags that etcd of the incarnation's version is given, when it is started as start says.
func Flags(c *v1alpha1.EtcdCluster, i state.Incarnation, start state.Start) []string {
	return args(c, i, start)
}

// ChangeMetadata brings the user's labels and annotations of the Pod up to date, and takes off those that were applied
// before and are wanted no more. Keys of others, and the operator's own, stay as they are.
func ChangeMetadata(pod *corev1.Pod, c *v1alpha1.EtcdCluster) {
	applied, desired := pod.Annotations[AnnotationApplied], Applied(c, pod.Annotations[AnnotationVersion])
	a, errA := decode(applied)
	b, errB := decode(desired)
	if errA != nil || errB != nil {
		return
	}
	pod.Labels = edited(pod.Labels, a.metadata().Labels, b.metadata().Labels)
	pod.Annotations = edited(pod.Annotations, a.metadata().Annotations, b.metadata().Annotations)
	setAnnotation(pod, AnnotationApplied, withMetadata(applied, desired))
}

func edited(seen, applied, desired map[string]string) map[string]string {
	out := merged(seen, nil)
	for key := range applied {
		if !ownKey(key) {
			delete(out, key)
		}
	}
	for key, value := range desired {
		if !ownKey(key) {
			out[key] = value
		}
	}
	return out
}

// ownKey tells that the key of a label or annotation is the operator's. The API refuses such keys; this is for specs
// from before it did.
func ownKey(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	_, label := objectLabels("", "")[key]
	return label || prefix == "quorate.dev" || strings.HasSuffix(prefix, ".quorate.dev")
}

// ChangeImage gives the running Pod the image of the version, and records which container ran until then: the new one
// runs once another does.
func ChangeImage(pod *corev1.Pod, c *v1alpha1.EtcdCluster, version string) {
	container := etcdContainer(pod)
	if container == nil {
		return
	}
	before := container.Image
	container.Image = Image(c, version)
	setAnnotation(pod, AnnotationApplied, withImage(pod.Annotations[AnnotationApplied], Applied(c, version)))
	setAnnotation(pod, AnnotationVersion, version)
	if container.Image == before {
		return // another way to write the same, or what a webhook had made of it: the kubelet restarts nothing for it
	}
	setFlag(pod, AnnotationPatchedContainer, false)
	if s := etcdStatus(pod); s != nil && s.State.Running != nil {
		setAnnotation(pod, AnnotationPatchedContainer, s.ContainerID)
	}
}

// KeepsImage tells that a Pod whose image was changed has the one that it had: an admission webhook maps both to it. No
// container ends then.
func KeepsImage(before, changed *corev1.Pod) bool {
	old, now := etcdContainer(before), etcdContainer(changed)
	return old != nil && now != nil && old.Image == now.Image
}

// ForgetPatchedContainer takes back the record that a container is about to end.
func ForgetPatchedContainer(pod *corev1.Pod) { setFlag(pod, AnnotationPatchedContainer, false) }

// ChangeResources gives the Pod the cpu and memory that are wanted, for its subresource "resize". What admission added
// to it stays, and a limit without a request is one as well, as when the Pod was created.
func ChangeResources(pod *corev1.Pod, c *v1alpha1.EtcdCluster) {
	container := etcdContainer(pod)
	if container == nil {
		return
	}
	wanted := containerResources(podTemplateSpec(c).Resources)
	container.Resources.Requests = mergedQuantities(container.Resources.Requests, requested(wanted))
	container.Resources.Limits = mergedQuantities(container.Resources.Limits, wanted.Limits)
}

func mergedQuantities(base, over corev1.ResourceList) corev1.ResourceList {
	out := maps.Clone(base)
	if out == nil && len(over) > 0 {
		out = corev1.ResourceList{}
	}
	maps.Copy(out, over)
	return out
}

// RecordResources records that cpu and memory of the Pod were changed.
func RecordResources(pod *corev1.Pod, c *v1alpha1.EtcdCluster) {
	desired := Applied(c, pod.Annotations[AnnotationVersion])
	setAnnotation(pod, AnnotationApplied, withResources(pod.Annotations[AnnotationApplied], desired))
	setFlag(pod, AnnotationResizeRefused, false)
}

// tooLarge marks the record of a resize that was refused because the node does not have so much.
const tooLarge = "too-large"

// RefuseResize records that Kubernetes refuses to change cpu and memory of the Pod to what this template wants, and
// whether that is because its node does not have so much.
func RefuseResize(pod *corev1.Pod, c *v1alpha1.EtcdCluster, nodeTooSmall bool) {
	record := TemplateHash(Applied(c, pod.Annotations[AnnotationVersion]))
	if nodeTooSmall {
		record += " " + tooLarge
	}
	setAnnotation(pod, AnnotationResizeRefused, record)
}

// Requests are the cpu and memory that a member's Pod asks for; where there is a limit alone, that.
func Requests(c *v1alpha1.EtcdCluster) corev1.ResourceList {
	return requested(containerResources(podTemplateSpec(c).Resources))
}

// TemplateHash names a template.
func TemplateHash(applied string) string { return shortHash(applied) }

func etcdContainer(pod *corev1.Pod) *corev1.Container {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == EtcdContainer {
			return &pod.Spec.Containers[i]
		}
	}
	return nil
}

// readChange fills in what became of changes in place.
func readChange(pod *corev1.Pod, p *state.Pod) {
	container := etcdContainer(pod)
	if container == nil {
		return
	}
	p.Args = container.Args
	template, cause, _ := strings.Cut(pod.Annotations[AnnotationResizeRefused], " ")
	p.Resize.Refused, p.Resize.TooLarge = template, cause == tooLarge
	for _, cond := range pod.Status.Conditions {
		if cond.Status != corev1.ConditionTrue {
			continue
		}
		switch cond.Type {
		case corev1.PodResizePending:
			p.Resize.Pending = reasonAndMessage(cond.Reason, cond.Message)
			p.Resize.Infeasible = cond.Reason == corev1.PodReasonInfeasible
		case corev1.PodResizeInProgress:
			p.Resize.Pending = reasonAndMessage("in progress", cond.Message)
		}
	}
	// A deletion counts as a generation, too.
	if p.Resize.Pending == "" && p.Running && pod.DeletionTimestamp == nil && !seen(pod, container) {
		p.Resize.Pending = "the kubelet has not taken it up yet"
	}
}

// seen tells that the kubelet has seen the Pod's spec as it is, and given it the memory. Cpu is left out: what a
// kubelet reports of it is rounded.
func seen(pod *corev1.Pod, container *corev1.Container) bool {
	if observed := pod.Status.ObservedGeneration; observed > 0 && observed < pod.Generation {
		return false
	}
	status := etcdStatus(pod)
	if status == nil || status.Resources == nil {
		return true
	}
	fits := func(wanted, given corev1.ResourceList) bool {
		w, g := wanted[corev1.ResourceMemory], given[corev1.ResourceMemory]
		return w.Cmp(g) == 0
	}
	return fits(container.Resources.Requests, status.Resources.Requests) &&
		fits(container.Resources.Limits, status.Resources.Limits)
}
