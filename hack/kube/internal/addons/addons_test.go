package addons

import (
	"bytes"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestRenderedManifestsAreObjects(t *testing.T) {
	rendered, err := Render(Values{DNSService: "10.96.0.10", CoreDNSImage: "coredns:1"})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for document := range bytes.SplitSeq(rendered, []byte("\n---\n")) {
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
	if found["StorageClass"] != 2 || found["DaemonSet"] != 1 || found["Service"] != 1 {
		t.Errorf("kinds are %v, want two storage classes, a daemon set and a service among them", found)
	}
	for _, want := range []string{"clusterIP: 10.96.0.10", "image: coredns:1"} {
		if !strings.Contains(string(rendered), want) {
			t.Errorf("the manifests lack %q", want)
		}
	}
}
