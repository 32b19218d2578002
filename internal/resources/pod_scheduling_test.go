package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestPinningNarrowsEveryTermThatTheUserRequires(t *testing.T) {
	onNode := corev1.NodeSelectorRequirement{
		Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"},
	}
	pinnedTerm := func(t corev1.NodeSelectorTerm) corev1.NodeSelectorTerm {
		t.MatchFields = append(t.MatchFields, onNode)
		return t
	}
	notN9 := corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
		{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"n9"}},
	}}
	for name, tc := range map[string]struct{ user, want []corev1.NodeSelectorTerm }{
		"nothing required": {nil, []corev1.NodeSelectorTerm{pinnedTerm(corev1.NodeSelectorTerm{})}},
		"one term": {
			[]corev1.NodeSelectorTerm{onDisk("ssd")}, []corev1.NodeSelectorTerm{pinnedTerm(onDisk("ssd"))},
		},
		"a term over the name":   {[]corev1.NodeSelectorTerm{notN9}, []corev1.NodeSelectorTerm{pinnedTerm(notN9)}},
		"an empty term stays so": {[]corev1.NodeSelectorTerm{{}}, []corev1.NodeSelectorTerm{{}}},
		"two alternatives": {
			[]corev1.NodeSelectorTerm{onDisk("ssd"), onDisk("nvme")},
			[]corev1.NodeSelectorTerm{pinnedTerm(onDisk("ssd")), pinnedTerm(onDisk("nvme"))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var user *corev1.Affinity
			if tc.user != nil {
				user = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: tc.user},
				}}
			}
			before := user.DeepCopy()
			required := affinity("demo", user, "n1").NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			if diff := cmp.Diff(tc.want, required.NodeSelectorTerms); diff != "" {
				t.Errorf("terms differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, user); diff != "" {
				t.Errorf("the user's affinity was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestUnpinnedPodsKeepTheUsersNodeAffinity(t *testing.T) {
	user := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 1, Preference: onDisk("ssd")},
		},
	}}
	if diff := cmp.Diff(user.NodeAffinity, affinity("demo", user, "").NodeAffinity); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := affinity("demo", nil, "").NodeAffinity; got != nil {
		t.Errorf("node affinity out of nothing: %v", got)
	}
}

func TestMembersPreferToBeApartUnlessTheUserDecides(t *testing.T) {
	members := map[string]string{LabelCluster: "demo", ComponentLabel: ComponentMember}
	terms := affinity("demo", nil, "").PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	var keys []string
	for _, term := range terms {
		keys = append(keys, term.PodAffinityTerm.TopologyKey)
		if diff := cmp.Diff(members, term.PodAffinityTerm.LabelSelector.MatchLabels); diff != "" {
			t.Errorf("selector differs (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, keys); diff != "" {
		t.Errorf("topology keys differ (-want +got):\n%s", diff)
	}
	if len(affinity("demo", nil, "").PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		t.Error("the anti-affinity is hard: a cluster would not start on fewer nodes than members")
	}
	if got := affinity("demo", &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}}, "").PodAntiAffinity; len(
		got.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		t.Errorf("the user's empty anti-affinity was filled: %v", got)
	}
}

func TestSpreadConstraintsWithoutSelectorCountTheMembers(t *testing.T) {
	given := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	got := spreadConstraints("demo", []corev1.TopologySpreadConstraint{
		{TopologyKey: "zone"}, {TopologyKey: "rack", LabelSelector: given},
	})
	want := []corev1.TopologySpreadConstraint{
		{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: Selector("demo")}},
		{TopologyKey: "rack", LabelSelector: given},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestThePinIsToldFromWhatTheUserRequires(t *testing.T) {
	for _, op := range []corev1.NodeSelectorOperator{corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn} {
		terms := []corev1.NodeSelectorTerm{
			{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: op, Values: []string{"n9"}}}},
		}
		c := cluster(podSpec(v1alpha1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}}))
		for _, pin := range []string{"", "n1"} {
			if got := pinnedNode(Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{Node: pin})); got != pin {
				t.Errorf("the user requires a node %s n9, and the Pod is said to be pinned to %q, want %q", op, got, pin)
			}
		}
		c.Spec.PodTemplate = nil
		if got := pinnedNode(Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{Node: "n1"})); got != "n1" {
			t.Errorf("the user requires nothing, and the Pod is said to be pinned to %q", got)
		}
	}
}
