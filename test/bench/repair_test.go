package main

import (
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/quorate/quorate/internal/resources"
)

func TestSignsOfADecision(t *testing.T) {
	budget := func(least int) picture {
		return picture{budgets: []policyv1.PodDisruptionBudget{
			{Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt(least))}},
		}}
	}
	claim := func(id, key string) picture {
		c := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			resources.AnnotationMemberID: id,
		}}}
		if key != "" {
			c.Annotations[key] = "true"
		}
		return picture{claims: []corev1.PersistentVolumeClaim{c}}
	}
	for name, tc := range map[string]struct {
		picture picture
		want    bool
	}{
		"nothing is there":                         {picture{}, false},
		"the budget at rest":                       {budget(2), false},
		"a budget that keeps all voters":           {budget(3), true},
		"a budget without a number":                {picture{budgets: []policyv1.PodDisruptionBudget{{}}}, false},
		"the volume, without a record of anything": {claim("abc", ""), false},
		"its removal is about to be sent":          {claim("abc", resources.AnnotationRetiring), true},
		"it is removed already":                    {claim("abc", resources.AnnotationRetired), true},
		"another member retires":                   {claim("def", resources.AnnotationRetiring), false},
	} {
		if got := removalBegun(tc.picture, 0xabc); got != tc.want {
			t.Errorf("%s: begun is %t, want %t", name, got, tc.want)
		}
	}
}

func TestTheNodeOfTheOperatorIsNotLost(t *testing.T) {
	on := func(nodes ...string) []member {
		var members []member
		for _, n := range nodes {
			members = append(members, member{pod: corev1.Pod{Spec: corev1.PodSpec{NodeName: n}}})
		}
		return members
	}
	for _, followers := range [][]member{on("a", "b"), on("b", "a"), on("b", "c")} {
		m, err := awayFrom("a", followers)
		if err != nil || m.pod.Spec.NodeName != "b" {
			t.Errorf("of %d followers the one on %q is lost, %v; want that on b", len(followers), m.pod.Spec.NodeName, err)
		}
	}
	if m, err := awayFrom("a", on("a", "a")); err == nil {
		t.Errorf("with all on the operator's node the one on %q is lost, want an error", m.pod.Spec.NodeName)
	}
}

func TestMemberListsOnTheWayOfARepair(t *testing.T) {
	voter := func(id uint64) *etcdserverpb.Member {
		return &etcdserverpb.Member{ID: id, ClientURLs: []string{"https://demo:2379"}}
	}
	learner := func(urls ...string) *etcdserverpb.Member {
		return &etcdserverpb.Member{ID: 9, IsLearner: true, ClientURLs: urls}
	}
	for name, tc := range map[string]struct {
		list                    []*etcdserverpb.Member
		removed, added, started bool
	}{
		"before":                     {[]*etcdserverpb.Member{voter(1), voter(2), voter(3)}, false, true, true},
		"the lost one is removed":    {[]*etcdserverpb.Member{voter(1), voter(2)}, true, false, false},
		"a learner is added":         {[]*etcdserverpb.Member{voter(1), voter(2), learner()}, true, true, false},
		"the learner has started":    {[]*etcdserverpb.Member{voter(1), voter(2), learner("https://demo:2379")}, true, true, true},
		"the learner was promoted":   {[]*etcdserverpb.Member{voter(1), voter(2), voter(9)}, true, true, true},
		"a voter that never started": {[]*etcdserverpb.Member{voter(1), voter(2), {ID: 9}}, true, false, false},
	} {
		for what, got := range map[string]struct{ is, want bool }{
			"removed": {lacks(tc.list, 3) == nil, tc.removed},
			"added":   {hasLearner(tc.list, false) == nil, tc.added},
			"started": {hasLearner(tc.list, true) == nil, tc.started},
		} {
			if got.is != got.want {
				t.Errorf("%s: %s is %t, want %t", name, what, got.is, got.want)
			}
		}
	}
}

func TestAReplacementHasAVolumeOfItsOwn(t *testing.T) {
	m := manifestOf(t, withTLS())
	first, err := m.bootstrap(3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.replacing(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Pods) != 1 || len(again.Claims) != 1 || again.Pods[0].Name != first.Pods[1].Name {
		t.Fatalf("%d Pods and %d claims, want one of each, Pod %s", len(again.Pods), len(again.Claims), first.Pods[1].Name)
	}
	if got := again.Claims[0].Name; got == first.Claims[1].Name ||
		again.Pods[0].Spec.Volumes[0].PersistentVolumeClaim.ClaimName != got {
		t.Errorf("its claim is %s, want another one than before, and that its Pod mounts it", got)
	}
	args := map[string]bool{}
	for _, arg := range again.Pods[0].Spec.Containers[0].Args {
		args[arg] = true
	}
	if want := "--initial-cluster=" + m.initialCluster(3); !args[want] || !args["--initial-cluster-state=existing"] {
		t.Errorf("its flags lack %s or the state existing: %v", want, args)
	}
}
