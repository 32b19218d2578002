package act

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// memberWorld holds the Pod and the volume of demo-0, and the latch that it was bootstrapped from.
func memberWorld(t *testing.T) *world {
	t.Helper()
	kept := managed(t)
	c := kept.Cluster
	latch := resources.NewLatch(c, 1, "token-1", 3, statetest.Version)
	latch.Launched = []uint64{resources.LatchMembers(c, latch)[0].MemberID}
	pod, claim := podOf(c, 0, kept.Trust().Name), resources.Volume(c, resources.LatchMembers(c, latch)[0])
	return newWorld(t, kept).create(pod, claim, resources.Latch(c, latch))
}

func (w *world) pod() *corev1.Pod {
	w.t.Helper()
	var pod corev1.Pod
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: "demo-0"}, &pod); err != nil {
		w.t.Fatal(err)
	}
	return &pod
}

func (w *world) recordedVersion(c *state.Cluster) string {
	w.t.Helper()
	var claim corev1.PersistentVolumeClaim
	key := client.ObjectKey{Namespace: "shop", Name: c.Members[0].Volume.Name}
	if err := w.api.Get(w.t.Context(), key, &claim); err != nil {
		w.t.Fatal(err)
	}
	return claim.Annotations[resources.AnnotationVersion]
}

func (w *world) patch(c *state.Cluster, version string) error {
	e := w.operator
	return patchPod(w.t.Context(), &writer{Client: e.Client, live: e.Live, expect: e.Expect, cluster: c.Object}, c,
		plan.PatchPod{
			Member: "demo-0", PodUID: "uid-demo-0", Volume: c.Members[0].Volume.Name, Version: version,
			Image: resources.Image(c.Object, version),
		})
}

func TestTheVersionIsRecordedOnTheVolumeBeforeItRuns(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	if err := w.patch(c, "3.7.3"); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "patch PersistentVolumeClaim "+c.Members[0].Volume.Name, "patch Pod demo-0")
	if got := w.recordedVersion(c); got != "3.7.3" {
		t.Errorf("the volume records %s", got)
	}
	pod := w.pod()
	if image := pod.Spec.Containers[0].Image; image != resources.DefaultImageRepository+":v3.7.3" ||
		pod.Annotations[resources.AnnotationVersion] != "3.7.3" {
		t.Errorf("the Pod has image %s and records %v", image, pod.Annotations)
	}
}

func TestAPodThatChangedSinceItWasObservedIsNotPatched(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	pod := w.pod()
	pod.Annotations["touched"] = "yes"
	if err := w.api.Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	observeAgain.check(t, w.patch(c, "3.7.3"))
	if image := w.pod().Spec.Containers[0].Image; image != resources.DefaultImageRepository+":v"+statetest.Version {
		t.Errorf("the image is %s", image)
	}
}

func TestAnImageThatTheSpecNoLongerNamesIsNotGiven(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	c.Object.Spec.Image = &v1alpha1.ImageSpec{Repository: new("other")}
	e := w.operator
	w.unchanged(patchPod(t.Context(), &writer{Client: e.Client, live: e.Live, expect: e.Expect, cluster: c.Object}, c,
		plan.PatchPod{Member: "demo-0", PodUID: "uid-demo-0", Version: "3.7.3", Image: "former:v3.7.3"}), observeAgain)
}

// TestAPodThatIsDeletedForANewVersionLeavesItRecorded: whoever creates the Pod again finds the version on the volume.
func TestAPodThatIsDeletedForANewVersionLeavesItRecorded(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	e := w.operator
	err := deletePod(t.Context(), &writer{Client: e.Client, live: e.Live, expect: e.Expect, cluster: c.Object}, c,
		plan.DeletePod{Name: "demo-0", UID: "uid-demo-0", Volume: c.Members[0].Volume.Name, Version: "3.7.3"})
	if err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "patch PersistentVolumeClaim "+c.Members[0].Volume.Name, "delete Pod demo-0")
	if got := w.recordedVersion(c); got != "3.7.3" {
		t.Errorf("the volume records %s", got)
	}
}

// resizing is a cluster that asks for more cpu, and the step that gives it to demo-0.
func resizing(c *state.Cluster) (*state.Cluster, plan.Step) {
	c.Object.Spec.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("100Mi"),
		},
	}}}
	return c, plan.ResizePod{
		Member: "demo-0", PodUID: "uid-demo-0",
		Template: resources.TemplateHash(resources.Applied(c.Object, statetest.Version)),
	}
}

func TestCPUIsChangedThroughTheSubresourceAndThenRecorded(t *testing.T) {
	w := memberWorld(t)
	c, step := resizing(w.observe())
	if err := w.do(c, step); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "resize Pod demo-0", "patch Pod demo-0")
	pod := w.pod()
	if got := pod.Spec.Containers[0].Resources.Requests.Cpu().String(); got != "2" {
		t.Errorf("the cpu is %s", got)
	}
	if d := resources.Compare(pod.Annotations[resources.AnnotationApplied],
		resources.Applied(c.Object, statetest.Version)); !d.None() {
		t.Errorf("the record still differs: %+v", d)
	}
}

func TestAResizeThatKubernetesRefusesForGoodIsRecorded(t *testing.T) {
	pods := schema.GroupKind{Kind: "Pod"}
	for name, tc := range map[string]struct {
		answer   error
		recorded string // behind the template
		refused  bool
		want     failure
	}{
		"the QoS class would change": {answer: apierrors.NewInvalid(pods, "demo-0", nil), refused: true, want: observeAgain},
		"it knows no resize": {
			answer: apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "demo-0"), refused: true, want: observeAgain,
		},
		"its node does not have so much": {
			answer: forbidden("NodeCapacity"), recorded: " too-large", refused: true, want: observeAgain,
		},
		"its node is of a kind that cannot do it": {answer: forbidden("UnsupportedPlatform"), refused: true, want: observeAgain},
		"a quota, which would refuse the new Pod too": {
			answer: forbidden(""), want: failed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := memberWorld(t)
			c, step := resizing(w.observe())
			w.api.Before = func(_ context.Context, _ client.WithWatch, verb string, _ client.Object) error {
				if verb == "resize" {
					return tc.answer
				}
				return nil
			}
			tc.want.check(t, w.do(c, step))
			want := ""
			if tc.refused {
				want = resources.TemplateHash(resources.Applied(c.Object, statetest.Version)) + tc.recorded
			}
			if got := w.pod().Annotations[resources.AnnotationResizeRefused]; got != want {
				t.Errorf("it records %q, want %q", got, want)
			}
		})
	}
}

// forbidden is the answer of an admission plugin that names this cause.
func forbidden(cause metav1.CauseType) error {
	err := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "demo-0", errors.New("refused"))
	if cause != "" {
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: cause})
	}
	return err
}

func TestLabelsAreChangedOnceOnly(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	c.Object.Spec.PodTemplate = &v1alpha1.PodTemplate{Metadata: &v1alpha1.PodMetadata{Labels: map[string]string{"team": "a"}}}
	step := plan.ApplyPodMetadata{Member: "demo-0", PodUID: "uid-demo-0"}
	for range 2 {
		if err := w.do(c, step); err != nil {
			t.Fatal(err)
		}
	}
	requireWrites(t, w.api, "patch Pod demo-0")
	if got := w.pod().Labels["team"]; got != "a" {
		t.Errorf("the label is %q", got)
	}
}

// undoing is an API server with a webhook that gives every Pod this image, and a cache that shows no write yet.
type undoing struct {
	client.Client
	image  string
	cached *corev1.Pod
}

func (u undoing) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if pod, isPod := into.(*corev1.Pod); isPod {
		u.cached.DeepCopyInto(pod)
		return nil
	}
	return u.Client.Get(ctx, key, into, opts...)
}

func (u undoing) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := u.Client.Patch(ctx, obj, patch, opts...); err != nil {
		return err
	}
	pod, isPod := obj.(*corev1.Pod)
	if !isPod || pod.Spec.Containers[0].Image == u.image {
		return nil
	}
	pod.Spec.Containers[0].Image = u.image
	return u.Update(ctx, pod)
}

func TestAnImageThatAWebhookUndoesEndsNoContainer(t *testing.T) {
	w := memberWorld(t)
	pod := w.pod()
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, ContainerID: "containerd://1",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	if err := w.api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c := w.observe()
	c.Object.Spec.Image = &v1alpha1.ImageSpec{Repository: new("mirror.example/etcd")}
	w.operator.Client = undoing{w.operator.Client, pod.Spec.Containers[0].Image, w.pod()}
	if err := w.patch(c, statetest.Version); err != nil {
		t.Fatal(err)
	}
	pod = w.pod()
	if got := pod.Annotations[resources.AnnotationPatchedContainer]; got != "" {
		t.Errorf("it waits for the end of %s, which the kubelet does not end", got)
	}
	if applied := pod.Annotations[resources.AnnotationApplied]; !strings.Contains(applied, "mirror.example/etcd") {
		t.Errorf("it would be changed again and again, because it records %s", applied)
	}
}
