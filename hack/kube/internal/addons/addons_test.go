package addons

import (
	"bytes"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/hack/kube/internal/build"
)

func TestRenderedManifestsAreObjects(t *testing.T) {
	rendered, err := Render(Values{DNSService: "10.96.0.10", CoreDNSImage: "coredns:1"})
	if err != nil {
		t.Fatal(err)
	}
	found := kinds(t, rendered)
	if found["StorageClass"] != 2 || found["DaemonSet"] != 1 || found["Service"] != 1 {
		t.Errorf("kinds are %v, want two storage classes, a daemon set and a service among them", found)
	}
	for _, want := range []string{"clusterIP: 10.96.0.10", "image: coredns:1"} {
		if !strings.Contains(string(rendered), want) {
			t.Errorf("the manifests lack %q", want)
		}
	}
}

func TestCertManagerIsReplacedWhenItsImageHasChanged(t *testing.T) {
	template := func(image string) map[string]string {
		rendered, err := renderCertManager(build.CertManager{Image: image})
		if err != nil {
			t.Fatal(err)
		}
		if found := kinds(t, rendered); found["Deployment"] != 1 || found["Namespace"] != 1 {
			t.Fatalf("kinds are %v, want one deployment and one namespace among them", found)
		}
		documents := bytes.Split(rendered, []byte("\n---\n"))
		var deployment appsv1.Deployment
		if err := yaml.UnmarshalStrict(documents[len(documents)-1], &deployment); err != nil {
			t.Fatal(err)
		}
		if got := deployment.Spec.Template.Spec.Containers[0].Image; got != build.CertManagerImage {
			t.Errorf("the image is %q, want %q", got, build.CertManagerImage)
		}
		return deployment.Spec.Template.Annotations
	}
	const annotation = "quorate.dev/image-content"
	one, other := template("/cache/image-1/image.tar"), template("/cache/image-2/image.tar")
	if one[annotation] != "image-1" || other[annotation] != "image-2" {
		t.Errorf("annotations of the Pods are %v and %v, want %s to tell image-1 from image-2", one, other, annotation)
	}
}

// kinds counts the objects in manifests by their kinds.
func kinds(t *testing.T, manifests []byte) map[string]int {
	t.Helper()
	found := map[string]int{}
	for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if object.Kind == "" || object.Metadata.Name == "" {
			t.Errorf("an object without kind or name:\n%s", document)
		}
		found[object.Kind]++
	}
	return found
}
