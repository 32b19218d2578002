package act

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

func TestTheKubeletIsToldOfARenewalByAChangeOfThePod(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept).create(podOf(kept.Cluster, 0, kept.Trust().Name))
	step := plan.RefreshCertificates{Member: "demo-0", PodUID: "uid-demo-0", Revision: "revision-2"}
	if err := w.do(w.observe(), step); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "patch Pod demo-0")
	var pod corev1.Pod
	if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "demo-0"}, &pod); err != nil {
		t.Fatal(err)
	}
	if got := pod.Annotations[resources.AnnotationCertificates]; got != "revision-2" {
		t.Errorf("the Pod was told %q", got)
	}
	w.api.Writes = nil
	if err := w.do(w.observe(), step); err != nil || len(w.api.Writes) > 0 {
		t.Errorf("told again it wrote %q, %v", w.api.Writes, err)
	}
	step.PodUID = "uid-of-another"
	w.unchanged(w.do(w.observe(), step), observeAgain)
}
