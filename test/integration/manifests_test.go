package integration

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// manifests reads the objects below config/DIR, those for kustomize itself aside.
func manifests(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	root, err := checkoutRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "config", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d files in config/%s: %v", len(files), dir, err)
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("parse %s: %v", file, err)
			}
			if object.GetKind() != "Kustomization" {
				objects = append(objects, object)
			}
		}
	}
	return objects
}

func TestManifestsAreValid(t *testing.T) {
	strict := client.WithFieldValidation(server.Client, "Strict")
	for _, dir := range []string{"samples", "rbac", "manager"} {
		namespace := newNamespace(t)
		for _, object := range manifests(t, dir) {
			t.Run(dir+" "+object.GetKind()+" "+object.GetName(), func(t *testing.T) {
				namespaced, err := server.Client.IsObjectNamespaced(object)
				if err != nil {
					t.Fatalf("look up the kind: %v", err)
				}
				if namespaced {
					object.SetNamespace(namespace)
				}
				if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
					t.Errorf("refused: %v", err)
				}
			})
		}
	}
}

func TestTheOperatorRunsUnderTheRestrictedPodSecurityStandard(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "restricted-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := server.Client.Create(t.Context(), namespace); err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	for _, object := range manifests(t, "manager") {
		if object.GetKind() != "Deployment" {
			continue
		}
		deployment := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment); err != nil {
			t.Fatalf("read the Deployment: %v", err)
		}
		pod := &corev1.Pod{ObjectMeta: deployment.Spec.Template.ObjectMeta, Spec: deployment.Spec.Template.Spec}
		pod.Namespace, pod.Name = namespace.Name, "operator"
		if err := server.Client.Create(t.Context(), pod, client.DryRunAll); err != nil {
			t.Errorf("the Pod of the operator is refused: %v", err)
		}
		return
	}
	t.Fatal("config/manager has no Deployment")
}
