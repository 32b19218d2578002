package resources

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

var update = flag.Bool("update", false, "write the golden files anew instead of comparing with them")

const (
	testUID   = types.UID("0a1b2c3d-0000-4000-8000-000000000001")
	testToken = "0a1b2c3d-1"
	// testTrust and testRevision are what a Pod of a cluster that speaks TLS is started with.
	testTrust    = "demo-trust-0123456789abcdef"
	testRevision = "0123456789abcdef-fedcba9876543210"
)

// cluster is the EtcdCluster shop/demo with spec {}, changed by the given functions.
func cluster(change ...func(*v1alpha1.EtcdCluster)) *v1alpha1.EtcdCluster {
	c := &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo", UID: testUID}}
	for _, f := range change {
		f(c)
	}
	return c
}

func reclaim(policy v1alpha1.ReclaimPolicy) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) { c.Spec.Storage.ReclaimPolicy = &policy }
}

func ephemeral(medium v1alpha1.EphemeralMedium, sizeLimit string) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) {
		e := &v1alpha1.EphemeralStorage{Medium: &medium}
		if sizeLimit != "" {
			e.SizeLimit = quantity(sizeLimit)
		}
		c.Spec.Storage.Ephemeral = e
	}
}

func etcdOptions(e v1alpha1.EtcdOptions) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) { c.Spec.Etcd = &e }
}

func podSpec(p v1alpha1.PodSpec) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) { c.Spec.PodTemplate = &v1alpha1.PodTemplate{Spec: &p} }
}

func podMetadataGiven(m v1alpha1.PodMetadata) func(*v1alpha1.EtcdCluster) {
	return func(c *v1alpha1.EtcdCluster) { c.Spec.PodTemplate = &v1alpha1.PodTemplate{Metadata: &m} }
}

func memoryLimit(limit string) func(*v1alpha1.EtcdCluster) {
	return podSpec(v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceMemory: *quantity(limit)},
	}})
}

func quantity(s string) *resource.Quantity { return new(resource.MustParse(s)) }

// bootstrapped is the incarnation of a slot in a bootstrap of three members.
func bootstrapped(c *v1alpha1.EtcdCluster, slot int, version string) state.Incarnation {
	return LatchMembers(c, NewLatch(c, 1, testToken, 3, version))[slot]
}

// golden compares an object with testdata/NAME.yaml. After a wanted change: go test ./internal/resources -update
func golden(t *testing.T, name string, obj any) {
	t.Helper()
	got, err := yaml.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-golden +built):\n%s", file, diff)
	}
}
