package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestAppliedIsEqualForEqualWishes(t *testing.T) {
	args := func(names ...string) func(*v1alpha1.EtcdCluster) {
		var e v1alpha1.EtcdOptions
		for _, n := range names {
			e.ExtraArgs = append(e.ExtraArgs, v1alpha1.ExtraArg{Name: n, Value: "1"})
		}
		return etcdOptions(e)
	}
	empty := func(c *v1alpha1.EtcdCluster) {
		c.Spec.Image, c.Spec.Etcd = &v1alpha1.ImageSpec{}, &v1alpha1.EtcdOptions{}
		c.Spec.PodTemplate = &v1alpha1.PodTemplate{}
	}
	for name, pair := range map[string][2]*v1alpha1.EtcdCluster{
		"an empty image, etcd and template are none": {cluster(), cluster(empty)},
		"an empty Pod spec is none":                  {cluster(), cluster(podSpec(v1alpha1.PodSpec{}))},
		"a quantity in another notation":             {cluster(memoryLimit("2Gi")), cluster(memoryLimit("2048Mi"))},
		"flags in another order": {
			cluster(args("max-wals", "metrics")), cluster(args("metrics", "max-wals")),
		},
		"what shapes no Pod": {cluster(), cluster(func(c *v1alpha1.EtcdCluster) {
			c.Spec.Replicas, c.Spec.Paused, c.Spec.Storage.Size = new(int32(5)), new(true), quantity("9Gi")
			c.Spec.ClientService = &v1alpha1.ClientServiceSpec{LoadBalancerClass: new("x")}
		})},
		"the version comes as a parameter": {cluster(), cluster(func(c *v1alpha1.EtcdCluster) {
			c.Spec.Version = new("3.7.3")
		})},
		"another cluster with equal wishes": {cluster(), cluster(func(c *v1alpha1.EtcdCluster) {
			c.Name, c.UID = "x", "y"
		})},
	} {
		if a, b := Applied(pair[0], "3.6.16"), Applied(pair[1], "3.6.16"); a != b {
			t.Errorf("%s:\n%s\n%s", name, a, b)
		}
	}
}

func TestAppliedDiffersForDifferentWishes(t *testing.T) {
	seen := map[string]string{Applied(cluster(), "3.6.16"): "the defaults"}
	for name, c := range map[string]*v1alpha1.EtcdCluster{
		"an image": cluster(func(c *v1alpha1.EtcdCluster) {
			c.Spec.Image = &v1alpha1.ImageSpec{Repository: new("x")}
		}),
		"a quota":         cluster(etcdOptions(v1alpha1.EtcdOptions{QuotaBackendBytes: quantity("1Gi")})),
		"a node selector": cluster(podSpec(v1alpha1.PodSpec{NodeSelector: map[string]string{"a": "b"}})),
		"ephemeral":       cluster(ephemeral(v1alpha1.EphemeralDisk, "")),
		"ephemeral limit": cluster(ephemeral(v1alpha1.EphemeralDisk, "1Gi")),
		// An empty security context leaves the IDs to the platform, so it is not none.
		"an empty security context": cluster(podSpec(v1alpha1.PodSpec{SecurityContext: &corev1.PodSecurityContext{}})),
		"a label": cluster(podMetadataGiven(v1alpha1.PodMetadata{
			Labels: map[string]string{"a": "b"},
		})),
	} {
		got := Applied(c, "3.6.16")
		if other, taken := seen[got]; taken {
			t.Errorf("%s and %s are both %s", name, other, got)
		}
		seen[got] = name
	}
	if Applied(cluster(), "3.6.16") == Applied(cluster(), "3.6.17") {
		t.Error("two versions are applied as one")
	}
}
