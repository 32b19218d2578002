package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// runningPod is the Pod of a member of the cluster whose container runs.
func runningPod(c *v1alpha1.EtcdCluster) *corev1.Pod {
	pod := Pod(c, bootstrapped(c, 1, "3.6.16"), state.Start{InitialCluster: "x", Voter: true})
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: EtcdContainer, ContainerID: "containerd://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	return pod
}

func metadataOf(labels, annotations map[string]string) func(*v1alpha1.EtcdCluster) {
	return podMetadataGiven(v1alpha1.PodMetadata{Labels: labels, Annotations: annotations})
}

func TestLabelsAreBroughtUpToDate(t *testing.T) {
	pod := runningPod(cluster(metadataOf(map[string]string{"stays": "1", "goes": "1"}, map[string]string{"note": "old"})))
	own := len(Pod(cluster(), bootstrapped(cluster(), 1, "3.6.16"), state.Start{Voter: true}).Labels)
	pod.Labels["of-others"], pod.Annotations["of-others"] = "x", "x"
	wanted := cluster(metadataOf(map[string]string{"stays": "2", "new": "1"}, nil))
	ChangeMetadata(pod, wanted)
	for key, want := range map[string]string{"stays": "2", "new": "1", "of-others": "x", LabelRole: RoleVoter, LabelCluster: "demo"} {
		if pod.Labels[key] != want {
			t.Errorf("label %s is %q, want %q", key, pod.Labels[key], want)
		}
	}
	if _, there := pod.Labels["goes"]; there || len(pod.Labels) != own+3 {
		t.Errorf("the labels are %v", pod.Labels)
	}
	if _, there := pod.Annotations["note"]; there || pod.Annotations["of-others"] != "x" {
		t.Errorf("the annotations are %v", pod.Annotations)
	}
	if d := Compare(pod.Annotations[AnnotationApplied], Applied(wanted, "3.6.16")); !d.None() {
		t.Errorf("still differs: %+v", d)
	}
}

func TestKeysOfTheOperatorAreNeverTheUsers(t *testing.T) {
	pod := runningPod(cluster(metadataOf(map[string]string{LabelRole: "x", "app.kubernetes.io/name": "x"}, nil)))
	before := pod.DeepCopy()
	ChangeMetadata(pod, cluster(metadataOf(map[string]string{LabelCluster: "x"}, map[string]string{AnnotationToken: "x"})))
	if diff := cmp.Diff(before.Labels, pod.Labels); diff != "" {
		t.Errorf("labels (-before +after):\n%s", diff)
	}
	if pod.Annotations[AnnotationToken] != before.Annotations[AnnotationToken] {
		t.Errorf("the token is %q", pod.Annotations[AnnotationToken])
	}
}

func TestTheImageIsChangedWithTheContainerThatItEnds(t *testing.T) {
	c := cluster()
	pod := runningPod(c)
	pod.Spec.Containers = append([]corev1.Container{{Name: "sidecar", Image: "x"}}, pod.Spec.Containers...)
	ChangeImage(pod, c, "3.7.3")
	got, err := ParsePod(c.Name, pod)
	if err != nil {
		t.Fatal(err)
	}
	if got.PatchedContainer != "containerd://1" || got.Version != "3.7.3" ||
		got.Applied != AppliedOn(c, "3.7.3", RecordedVolumeSize(got.Applied)) {
		t.Errorf("the Pod records %+v", got)
	}
	if image := pod.Spec.Containers[1].Image; image != DefaultImageRepository+":v3.7.3" || pod.Spec.Containers[0].Image != "x" {
		t.Errorf("the image is %s", image)
	}
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}
	ChangeImage(pod, c, "3.6.16")
	if got := pod.Annotations[AnnotationPatchedContainer]; got != "" {
		t.Errorf("no container ran when the image was changed, but it records %q", got)
	}
}

func TestAnImageThatStaysWhatItIsEndsNoContainer(t *testing.T) {
	for name, tc := range map[string]struct {
		present, repository string
	}{
		"the default is written out":                {DefaultImageRepository + ":v3.6.16", DefaultImageRepository},
		"a webhook had made the same of it already": {"mirror.example/etcd:v3.6.16", "mirror.example/etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster()
			pod := runningPod(c)
			etcdContainer(pod).Image = tc.present
			c.Spec.Image = &v1alpha1.ImageSpec{Repository: &tc.repository}
			ChangeImage(pod, c, "3.6.16")
			if got := pod.Annotations[AnnotationPatchedContainer]; got != "" {
				t.Errorf("it waits for the end of %s, which the kubelet does not end", got)
			}
			if d := Compare(pod.Annotations[AnnotationApplied], Applied(c, "3.6.16")); !d.None() {
				t.Errorf("still differs: %+v", d)
			}
		})
	}
}

func TestResizeIsReadFromThePod(t *testing.T) {
	condition := func(kind corev1.PodConditionType, reason, message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
				Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message,
			})
		}
	}
	given := func(memory string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("99m"), corev1.ResourceMemory: resource.MustParse(memory),
			}}
		}
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   state.Resize
	}{
		"none":                      {func(*corev1.Pod) {}, state.Resize{}},
		"the node has no room":      {condition(corev1.PodResizePending, "Deferred", "full"), state.Resize{Pending: "Deferred: full"}},
		"the node can never fit it": {condition(corev1.PodResizePending, "Infeasible", "big"), state.Resize{Pending: "Infeasible: big", Infeasible: true}},
		"it is in progress":         {condition(corev1.PodResizeInProgress, "", ""), state.Resize{Pending: "in progress"}},
		"the memory is given":       {given("100Mi"), state.Resize{}},
		"the memory is not there":   {given("50Mi"), state.Resize{Pending: "the kubelet has not taken it up yet"}},
		"the kubelet lags behind":   {func(p *corev1.Pod) { p.Generation, p.Status.ObservedGeneration = 2, 1 }, state.Resize{Pending: "the kubelet has not taken it up yet"}},
		"the kubelet has seen it":   {func(p *corev1.Pod) { p.Generation, p.Status.ObservedGeneration = 2, 2 }, state.Resize{}},
		"it is being deleted, which its kubelet has not seen": {
			func(p *corev1.Pod) {
				p.Generation, p.Status.ObservedGeneration, p.DeletionTimestamp = 2, 1, &metav1.Time{}
			}, state.Resize{},
		},
		"Kubernetes once refused it": {
			func(p *corev1.Pod) { RefuseResize(p, cluster(), false) },
			state.Resize{Refused: TemplateHash(Applied(cluster(), "3.6.16"))},
		},
		"because the node is too small": {
			func(p *corev1.Pod) { RefuseResize(p, cluster(), true) },
			state.Resize{Refused: TemplateHash(Applied(cluster(), "3.6.16")), TooLarge: true},
		},
	} {
		pod := runningPod(cluster())
		tc.change(pod)
		got, err := ParsePod("demo", pod)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got.Resize); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestResourcesAreChangedBesideWhatAdmissionAdded(t *testing.T) {
	wanted := cluster(amounts(list("2", "2Gi"), nil))
	pod := runningPod(cluster())
	pod.Spec.Containers[0].Resources.Limits = list("", "8Gi")
	RefuseResize(pod, cluster(), true)
	ChangeResources(pod, wanted)
	RecordResources(pod, wanted)
	want := corev1.ResourceRequirements{Requests: list("2", "2Gi"), Limits: list("", "8Gi")}
	if diff := cmp.Diff(want, pod.Spec.Containers[0].Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if _, refused := pod.Annotations[AnnotationResizeRefused]; refused {
		t.Error("an earlier refusal is still recorded")
	}
	if d := Compare(pod.Annotations[AnnotationApplied], Applied(wanted, "3.6.16")); !d.None() {
		t.Errorf("still differs: %+v", d)
	}
}

// The API server made a request of each limit when the Pod was created; were that left as it was, the QoS class would
// change, or the request be above the limit.
func TestALimitAloneIsChangedWithItsRequest(t *testing.T) {
	pod := runningPod(cluster())
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list("1", "1Gi"), Limits: list("1", "1Gi")}
	for _, memory := range []string{"2Gi", "512Mi"} {
		ChangeResources(pod, cluster(amounts(nil, list("1", memory))))
		want := corev1.ResourceRequirements{Requests: list("1", memory), Limits: list("1", memory)}
		if diff := cmp.Diff(want, pod.Spec.Containers[0].Resources); diff != "" {
			t.Errorf("%s (-want +got):\n%s", memory, diff)
		}
	}
}
