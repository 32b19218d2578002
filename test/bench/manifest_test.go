package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// essence strips what is a matter of names, and of how the operator passes the bootstrap's list to etcd.
func essence(pod *corev1.Pod) corev1.PodSpec {
	spec := pod.Spec.DeepCopy()
	spec.Volumes[0].PersistentVolumeClaim.ClaimName = ""
	for i := range spec.Volumes {
		if trust := spec.Volumes[i].ConfigMap; trust != nil {
			trust.Name = ""
		}
	}
	spec.DNSPolicy = ""
	for i := range spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[i].PodAffinityTerm.LabelSelector = nil
	}
	c := &spec.Containers[0]
	for i := range c.Ports {
		c.Ports[i].Protocol = ""
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe} {
		p.HTTPGet.Scheme = ""
	}
	c.Env = nil
	for i, arg := range c.Args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "--initial-cluster", "--initial-cluster-state", "--initial-cluster-token", "--advertise-client-urls":
			c.Args[i] = name
		}
	}
	return *spec
}

func TestFloorIsWhatTheOperatorMakes(t *testing.T) {
	for name, o := range map[string]options{
		"3.6 with TLS":      {version: "3.6.16", tls: true},
		"3.7 with TLS":      {version: "3.7.3", tls: true},
		"3.6 in plain text": {version: "3.6.16"},
		"3.7 in plain text": {version: "3.7.3"},
	} {
		t.Run(name, func(t *testing.T) {
			o.size = resource.MustParse("1Gi")
			floor, err := manifestOf(t, o).bootstrap(3)
			if err != nil {
				t.Fatal(err)
			}
			cluster := o.cluster("ns", "demo", 3)
			if got := len(floor.Pods); got != 3 {
				t.Fatalf("the floor has %d Pods, want 3", got)
			}
			start := state.Start{Voter: true}
			if o.tls {
				start.Trust = "demo-trust-of-the-operator"
			}
			for slot, pod := range floor.Pods {
				i := state.Incarnation{
					Slot: slot, MemberID: 1, Token: "ns", Version: o.version, PeerURL: resources.PeerURL(cluster, slot),
				}
				want := essence(resources.Pod(cluster, i, start))
				if diff := cmp.Diff(want, essence(pod)); diff != "" {
					t.Errorf("Pod %s (-operator +floor):\n%s", pod.Name, diff)
				}
				volume := resources.Volume(cluster, i).Spec
				if diff := cmp.Diff(volume, floor.Claims[slot].Spec); diff != "" {
					t.Errorf("volume of %s (-operator +floor):\n%s", pod.Name, diff)
				}
			}
			compareServices(t, resources.PeerService(cluster), floor.Service)
		})
	}
}

func manifestOf(t *testing.T, o options) manifest {
	t.Helper()
	m, err := o.manifest("ns", "demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compareServices(t *testing.T, operator, floor *corev1.Service) {
	t.Helper()
	if floor.Name != operator.Name || floor.Spec.ClusterIP != operator.Spec.ClusterIP ||
		floor.Spec.PublishNotReadyAddresses != operator.Spec.PublishNotReadyAddresses ||
		len(floor.Spec.Ports) != len(operator.Spec.Ports) {
		t.Errorf("Service (-operator +floor):\n%s", cmp.Diff(operator.Spec, floor.Spec))
	}
}

func TestFloorListsItsMembers(t *testing.T) {
	m := manifestOf(t, options{version: "3.6.16", size: resource.MustParse("1Gi"), tls: true})
	first, err := m.bootstrap(1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.joining(1)
	if err != nil {
		t.Fatal(err)
	}
	const zero, one = "demo-0=https://demo-0.demo-peers.ns.svc:2380", "demo-1=https://demo-1.demo-peers.ns.svc:2380"
	for name, tc := range map[string]struct {
		pods []*corev1.Pod
		want []string
	}{
		"demo-0": {first.Pods, []string{"--initial-cluster=" + zero, "--initial-cluster-state=new"}},
		"demo-1": {second.Pods, []string{"--initial-cluster=" + zero + "," + one, "--initial-cluster-state=existing"}},
	} {
		if len(tc.pods) != 1 || tc.pods[0].Name != name {
			t.Fatalf("want one Pod %s, got %d", name, len(tc.pods))
		}
		for _, want := range tc.want {
			if !slices.Contains(tc.pods[0].Spec.Containers[0].Args, want) {
				t.Errorf("%s lacks %s: %q", name, want, tc.pods[0].Spec.Containers[0].Args)
			}
		}
	}
}

func TestOptionsAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-repeats=0":           "-repeats",
		"-version=3.5.35":      "-version",
		"-version=3.6":         "-version",
		"-version=3.7.3":       "-upgrade-to",
		"-upgrade-to=3.6.17":   "-upgrade-to",
		"-upgrade-to=3.7":      "-upgrade-to",
		"-size=50Mi":           "-size",
		"-size=big":            "-size",
		"-only=create,destroy": "destroy",
		"-rest=-1m":            "-rest",
		"-single=0 -triple=0":  "-single",
		"surplus":              "surplus",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one that contains %q", args, err, want)
		}
	}
	if _, err := parse([]string{"-version=3.7.3", "-only=create"}); err != nil {
		t.Errorf("3.7 without an upgrade: %v", err)
	}
	o, err := parse(nil)
	if err != nil || o.repeats != 5 || o.rest.Minutes() != 5 || o.single+o.triple != 20 || !o.tls {
		t.Errorf("defaults are %+v, %v; want 5 repeats, 5 min and 20 clusters, with TLS", o, err)
	}
}

func TestMilestonesAreReadFromObjects(t *testing.T) {
	sealed := map[string]string{resources.AnnotationInitialClusterState: "existing"}
	p := picture{
		pods: []corev1.Pod{
			{ObjectMeta: metav1.ObjectMeta{Annotations: sealed}, Spec: corev1.PodSpec{NodeName: "a"}},
			{ObjectMeta: metav1.ObjectMeta{Annotations: sealed}, Spec: corev1.PodSpec{NodeName: "b"}},
			{Spec: corev1.PodSpec{NodeName: "b"}},
		},
		secrets: []corev1.Secret{
			{ObjectMeta: metav1.ObjectMeta{Name: "bench-peer-tls"}}, {ObjectMeta: metav1.ObjectMeta{Name: "bench-client-tls"}},
		},
		configMaps: []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "bench-trust-0123456789abcdef"}}},
		cluster:    &v1alpha1.EtcdCluster{},
	}
	got := map[string]bool{}
	for _, m := range milestones(3) {
		got[m.name] = m.reached(p)
	}
	want := map[string]bool{milestonePods: true, milestoneScheduled: true, milestoneTrust: true}
	for name, reached := range got {
		if reached != want[name] {
			t.Errorf("milestone %q: reached is %t, want %t", name, reached, want[name])
		}
	}
}
