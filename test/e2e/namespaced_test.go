//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/audit"
)

// namespacedSuffix tells the restricted operator from the one that all tests share, in whose namespace it runs.
const namespacedSuffix = "-namespaced"

// It runs instead of the operator that all tests share: it does not run in parallel with others.
func TestAnOperatorThatIsRestrictedToNamespacesNeedsRightsInTheseOnly(t *testing.T) {
	shop, stock, other := newWorld(t), newWorld(t), newWorld(t)
	start := time.Now()
	shop.replaceOperator(shop.namespacedOperator(shop.namespace, stock.namespace))

	ignored := other.create("demo", spec(1))
	a, b := shop.create("demo", spec(1)), stock.create("demo", spec(3))
	a.ready()
	b.ready()
	writing := b.write()
	a.scale(3)
	b.scale(1)
	a.ready()
	b.ready()
	writing.nothingLost()
	a.holds(a.fill())
	b.delete()
	b.onlyLeft(map[string]int{"PersistentVolumeClaim": 1, "ConfigMap": 1})

	left, err := ignored.left(other.ctx)
	other.must(err)
	if status := ignored.get().Status; len(left) > 0 || len(status.Conditions) > 0 {
		t.Errorf("a cluster in a namespace that the operator does not watch has %v and the conditions %v, want nothing",
			left, status.Conditions)
	}
	if shop.Provider != framework.Local {
		t.Log("that nothing forbidden was attempted was not checked: only the local Kubernetes has an audit log of reads")
		return
	}
	requests, err := shop.Requests(framework.OperatorUser+namespacedSuffix, start)
	shop.must(err)
	granted, err := shop.RightsOf(shop.ctx, framework.OperatorUser+namespacedSuffix)
	shop.must(err)
	if len(requests) == 0 || len(granted) == 0 {
		t.Fatalf("the audit log has %d requests of the operator, which has %d rights: want some", len(requests), len(granted))
	}
	for _, right := range granted {
		if right.Namespace == "" && !strings.HasSuffix(right.Resource, "reviews") {
			t.Errorf("it is granted everywhere to %s", right)
		}
	}
	found := audit.Compare(granted, requests)
	for _, q := range append(found.Refused, found.Unexplained...) {
		t.Errorf("it asked for what it was not granted: %s (%s)", q, q.Refused)
	}
	t.Logf("%d requests, all within its rights", len(requests))
}

// namespacedOperator renders what "make deploy NAMESPACES=..." applies, with another name, and without what is there
// already: the CRDs and the operator's namespace.
func (w *world) namespacedOperator(namespaces ...string) []*unstructured.Unstructured {
	w.t.Helper()
	shared := &appsv1.Deployment{}
	w.must(w.Client.Get(w.ctx, types.NamespacedName{
		Namespace: framework.OperatorNamespace, Name: framework.OperatorDeployment,
	}, shared))
	const base = "bin/deploy-namespaced" // two directories below the top, as make wants it
	overlay := base + namespacedSuffix
	w.t.Cleanup(func() {
		w.must(errors.Join(os.RemoveAll(filepath.Join(w.Root, base)), os.RemoveAll(filepath.Join(w.Root, overlay))))
	})
	_, err := w.Run(w.ctx, "make", "--no-print-directory", "manifests", "DEPLOY_DIR="+base,
		"NAMESPACES="+strings.Join(namespaces, ","), "IMG="+shared.Spec.Template.Spec.Containers[0].Image)
	w.must(err)
	w.must(os.MkdirAll(filepath.Join(w.Root, overlay), 0o755))
	w.must(os.WriteFile(filepath.Join(w.Root, overlay, "kustomization.yaml"), []byte(
		"resources: [../"+filepath.Base(base)+"]\nnameSuffix: "+namespacedSuffix+"\n"), 0o600))
	rendered, err := w.Run(w.ctx, w.Kubectl("kustomize", overlay)...)
	w.must(err)
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(rendered), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		w.must(err)
		if kind := object.GetKind(); kind != "CustomResourceDefinition" && kind != "Namespace" {
			objects = append(objects, object)
		}
	}
}

// replaceOperator installs another operator instead of the one that all tests share, which comes back after the test.
// Both find the Kubernetes as if none had been there before: without a Lease.
func (w *world) replaceOperator(objects []*unstructured.Unstructured) {
	w.t.Helper()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		var errs []error
		for _, object := range objects {
			errs = append(errs, client.IgnoreNotFound(w.Client.Delete(ctx, object)))
		}
		errs = append(errs, w.awaitNoOperator(ctx), w.removeLease(ctx), w.ScaleOperator(ctx, 1))
		if err := errors.Join(errs...); err != nil {
			w.t.Errorf("bring the operator back that all tests share: %v", err)
		}
	})
	w.must(w.ScaleOperator(w.ctx, 0))
	w.must(w.removeLease(w.ctx))
	for _, object := range objects {
		w.must(w.Client.Apply(w.ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"),
			client.ForceOwnership))
	}
}

func (w *world) awaitNoOperator(ctx context.Context) error {
	return framework.Eventually(ctx, func(ctx context.Context) string {
		if pods, err := w.OperatorPods(ctx); err != nil || len(pods) > 0 {
			return fmt.Sprintf("there are %d operator Pods (%v), want none", len(pods), err)
		}
		return ""
	})
}

func (w *world) removeLease(ctx context.Context) error {
	return client.IgnoreNotFound(w.Client.Delete(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: framework.OperatorNamespace, Name: "quorate.quorate.dev",
	}}))
}
