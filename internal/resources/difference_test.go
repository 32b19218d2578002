package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/api/v1alpha1"
)

// amounts are the requests and limits of the etcd container.
func amounts(requests, limits corev1.ResourceList) func(*v1alpha1.EtcdCluster) {
	return podSpec(v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: requests, Limits: limits}})
}

func list(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for name, amount := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if amount != "" {
			l[name] = resource.MustParse(amount)
		}
	}
	return l
}

func TestCompareTellsWhatAChangeTakes(t *testing.T) {
	const version = "3.6.16"
	image := func(i v1alpha1.ImageSpec) func(*v1alpha1.EtcdCluster) {
		return func(c *v1alpha1.EtcdCluster) { c.Spec.Image = &i }
	}
	restart := func(at string) func(*v1alpha1.EtcdCluster) {
		return func(c *v1alpha1.EtcdCluster) { c.Spec.RestartedAt = &at }
	}
	label := podMetadataGiven(v1alpha1.PodMetadata{Labels: map[string]string{"team": "a"}})
	never := corev1.PullNever
	for name, tc := range map[string]struct {
		from, to []func(*v1alpha1.EtcdCluster)
		want     Difference
	}{
		"nothing differs": {},
		"a label":         {to: with(label), want: Difference{Metadata: true}},
		"a label that is gone": {
			from: with(label), want: Difference{Metadata: true},
		},
		"a repository":  {to: with(image(v1alpha1.ImageSpec{Repository: new("x")})), want: Difference{Image: true}},
		"a digest":      {to: with(image(v1alpha1.ImageSpec{Digest: new("sha256:0")})), want: Difference{Image: true}},
		"a pull policy": {to: with(image(v1alpha1.ImageSpec{PullPolicy: &never})), want: remade("image.pullPolicy and pullSecrets")},
		"a pull secret": {
			to:   with(image(v1alpha1.ImageSpec{PullSecrets: []v1alpha1.PullSecret{{Name: "x"}}})),
			want: remade("image.pullPolicy and pullSecrets"),
		},
		"a flag":              {to: with(etcdOptions(v1alpha1.EtcdOptions{SnapshotCount: new(int64(500))})), want: remade("etcd")},
		"a node selector":     {to: with(podSpec(v1alpha1.PodSpec{NodeSelector: map[string]string{"a": "b"}})), want: remade("podTemplate.spec")},
		"the time of restart": {from: with(restart("1")), to: with(restart("2")), want: remade("restartedAt")},
		"a limit of ephemeral storage": {
			from: with(ephemeral(v1alpha1.EphemeralDisk, "1Gi")), to: with(ephemeral(v1alpha1.EphemeralDisk, "2Gi")),
			want: remade("storage.ephemeral"),
		},
		"more cpu": {
			from: with(amounts(list("1", "1Gi"), nil)), to: with(amounts(list("2", "1Gi"), nil)), want: Difference{Resources: true, More: true},
		},
		"the default amounts, written out": {to: with(amounts(list("100m", "100Mi"), nil))},
		"more than the default":            {to: with(amounts(list("200m", "100Mi"), nil)), want: Difference{Resources: true, More: true}},
		"a limit besides":                  {to: with(amounts(list("100m", "100Mi"), list("", "1Gi"))), want: Difference{Resources: true}},
		"a limit that is gone, which Kubernetes cannot take away in place": {
			from: with(amounts(list("100m", "100Mi"), list("", "1Gi"))), want: remade("podTemplate.spec.resources"),
		},
		"a request that is gone": {
			to: with(amounts(list("100m", ""), nil)), want: remade("podTemplate.spec.resources"),
		},
		"limits that equal the requests, which is another QoS class": {
			to: with(amounts(list("100m", "100Mi"), list("100m", "100Mi"))), want: remade("podTemplate.spec.resources"),
		},
		"more of what stays guaranteed": {
			from: with(amounts(nil, list("1", "1Gi"))), to: with(amounts(nil, list("2", "2Gi"))), want: Difference{Resources: true, More: true},
		},
		"another resource than cpu and memory": {
			to: with(amounts(corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("100Mi"),
				corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
			}, nil)), want: Difference{More: true, Recreate: []string{"podTemplate.spec.resources"}},
		},
		"several things": {
			to:   with(label, image(v1alpha1.ImageSpec{Repository: new("x")}), restart("1")),
			want: Difference{Metadata: true, Image: true, Recreate: []string{"restartedAt"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := Applied(cluster(tc.from...), version), Applied(cluster(tc.to...), version)
			if diff := cmp.Diff(tc.want, Compare(from, to)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if d := Compare(Applied(cluster(), version), Applied(cluster(), "3.6.17")); !cmp.Equal(d, Difference{Image: true}) {
		t.Errorf("another version: %+v", d)
	}
	if d := Compare("damaged", Applied(cluster(), version)); len(d.Recreate) != 1 {
		t.Errorf("a damaged record: %+v", d)
	}
}

func with(changes ...func(*v1alpha1.EtcdCluster)) []func(*v1alpha1.EtcdCluster) { return changes }

func remade(fields ...string) Difference { return Difference{Recreate: fields} }

// A change of several kinds is made one kind after the other: after each, only the others are left.
func TestEachKindOfChangeLeavesTheOthers(t *testing.T) {
	const was, now = "3.6.16", "3.6.17"
	old := cluster(func(c *v1alpha1.EtcdCluster) { c.Spec.Image = &v1alpha1.ImageSpec{PullPolicy: new(corev1.PullNever)} })
	wanted := cluster(
		podMetadataGiven(v1alpha1.PodMetadata{Labels: map[string]string{"team": "a"}}),
		func(c *v1alpha1.EtcdCluster) {
			c.Spec.Image = &v1alpha1.ImageSpec{Repository: new("x"), PullPolicy: new(corev1.PullNever)}
			c.Spec.PodTemplate.Spec = &v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: list("2", "2Gi")}}
		},
	)
	applied, desired := Applied(old, was), Applied(wanted, now)
	want := Difference{Metadata: true, Resources: true, More: true, Image: true}
	check := func(after string) {
		t.Helper()
		if diff := cmp.Diff(want, Compare(applied, desired)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", after, diff)
		}
	}
	check("nothing")
	applied, want.Metadata = withMetadata(applied, desired), false
	check("the labels")
	applied, want.Resources, want.More = withResources(applied, desired), false, false
	check("cpu and memory")
	applied, want.Image = withImage(applied, desired), false
	check("the image")
	if applied != desired {
		t.Errorf("in the end the record is\n%s, not\n%s", applied, desired)
	}
}
