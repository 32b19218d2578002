package integration

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ratchetGroup holds a second copy of the CRD, whose rules the test may take away and bring back.
const ratchetGroup = "ratchet.quorate.dev"

var replicasPath = []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "replicas"}

// TestObjectsFromBeforeARuleStayEditable stores an object, adds the rule that it breaks, and edits it: a rule that a
// later release adds must never lock people out of their clusters.
func TestObjectsFromBeforeARuleStayEditable(t *testing.T) {
	strict := ratchetCRD(t)
	relaxed := strict.DeepCopy()
	dropReplicasRules(t, relaxed)
	if err := server.Client.Create(t.Context(), relaxed); err != nil {
		t.Fatalf("install the CRD without the rule: %v", err)
	}
	namespace := newNamespace(t)
	stored := ratchetCluster(t, namespace, "demo", `{replicas: 4}`)
	eventually(t, "the relaxed CRD accepts four members", func(ctx context.Context) bool {
		return server.Client.Create(ctx, stored) == nil
	})
	eventually(t, "the CRD takes the rule", func(ctx context.Context) bool {
		current := relaxed.DeepCopy()
		if err := server.Client.Get(ctx, client.ObjectKeyFromObject(relaxed), current); err != nil {
			return false
		}
		strict.SetResourceVersion(current.GetResourceVersion())
		return server.Client.Update(ctx, strict) == nil
	})
	eventually(t, "the strict CRD refuses four members", func(ctx context.Context) bool {
		fresh := ratchetCluster(t, namespace, "fresh", `{replicas: 4}`)
		return apierrors.IsInvalid(server.Client.Create(ctx, fresh, client.DryRunAll))
	})

	for _, edit := range []struct{ name, spec, wanted string }{
		{"another field", `{replicas: 4, paused: true}`, ""},
		{"another wrong number of members", `{replicas: 2}`, wantReplicas},
		{"a right number of members", `{replicas: 5}`, ""},
		{"back to the wrong number of members", `{replicas: 4}`, wantReplicas},
	} {
		t.Run(edit.name, func(t *testing.T) {
			changed := stored.DeepCopy()
			changed.Object["spec"] = parseSpec(t, edit.spec)
			err := server.Client.Update(t.Context(), changed)
			if edit.wanted != "" {
				refused(t, err, edit.wanted)
				unchanged(t, stored)
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			stored = changed
		})
	}
}

// ratchetCRD is the CRD under test in a group of its own.
func ratchetCRD(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := server.Client.Get(t.Context(), client.ObjectKey{Name: "etcdclusters.quorate.dev"}, crd); err != nil {
		t.Fatalf("read the CRD: %v", err)
	}
	copied := crd.DeepCopy()
	copied.Object["metadata"] = map[string]any{"name": "etcdclusters." + ratchetGroup}
	delete(copied.Object, "status")
	if err := unstructured.SetNestedField(copied.Object, ratchetGroup, "spec", "group"); err != nil {
		t.Fatalf("change the group of the CRD: %v", err)
	}
	return copied
}

func dropReplicasRules(t *testing.T, crd *unstructured.Unstructured) {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("the CRD has %d versions (%v), want 1", len(versions), err)
	}
	version, _ := versions[0].(map[string]any)
	replicas, found, err := unstructured.NestedMap(version, replicasPath...)
	if err != nil || !found {
		t.Fatalf("the CRD has no schema of replicas: %v", err)
	}
	for _, rule := range []string{"minimum", "maximum", "x-kubernetes-validations"} {
		if _, found := replicas[rule]; !found {
			t.Fatalf("the schema of replicas lacks %q", rule)
		}
		delete(replicas, rule)
	}
	if err := unstructured.SetNestedMap(version, replicas, replicasPath...); err != nil {
		t.Fatalf("change the schema of replicas: %v", err)
	}
	if err := unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"); err != nil {
		t.Fatalf("change the versions of the CRD: %v", err)
	}
}

func ratchetCluster(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := etcdCluster(t, namespace, name, spec)
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: ratchetGroup, Version: "v1alpha1", Kind: "EtcdCluster"})
	return object
}

// eventually waits until the API server serves a CRD as it was last written, which happens asynchronously.
func eventually(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true,
		func(ctx context.Context) (bool, error) { return done(ctx), nil })
	if err != nil {
		t.Fatalf("waited for: %s: %v", what, err)
	}
}
