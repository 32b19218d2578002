package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// etcdCluster is an EtcdCluster with the spec that a person would write, in YAML. It is no typed object, so that the
// API server gets what was written and nothing that Go types add, drop or rewrite.
func etcdCluster(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": parseSpec(t, spec)}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("EtcdCluster"))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

func parseSpec(t *testing.T, spec string) map[string]any {
	t.Helper()
	parsed := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &parsed); err != nil {
		t.Fatalf("the test's spec is no YAML: %v\n%s", err, spec)
	}
	return parsed
}

func createCluster(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := etcdCluster(t, namespace, name, spec)
	if err := server.Client.Create(t.Context(), object); err != nil {
		t.Fatalf("create the cluster that the test starts from: %v", err)
	}
	return object
}

// refused checks that the API server called the object invalid and said so with the expected words.
func refused(t *testing.T, err error, wanted string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("accepted, want it refused with %q", wanted)
	case !apierrors.IsInvalid(err):
		t.Errorf("refused with reason %q, want %q: %v", apierrors.ReasonForError(err), "Invalid", err)
	case !strings.Contains(err.Error(), wanted):
		t.Errorf("refused, but the message lacks %q:\n%v", wanted, err)
	case strings.Contains(err.Error(), "evaluating rule"):
		t.Errorf("a validation rule failed to evaluate:\n%v", err)
	}
}

// unchanged checks that the stored object is exactly as it was.
func unchanged(t *testing.T, before *unstructured.Unstructured) {
	t.Helper()
	after := before.DeepCopy()
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(before), after); err != nil {
		t.Fatalf("read the cluster again: %v", err)
	}
	if diff := cmp.Diff(before.Object, after.Object); diff != "" {
		t.Errorf("the refused request changed the object (-before +after):\n%s", diff)
	}
}

// absent checks that nothing was stored.
func absent(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy())
	if !apierrors.IsNotFound(err) {
		t.Errorf("the refused object: %v, want it not found", errors.Join(err))
	}
}
