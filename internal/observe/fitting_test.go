package observe

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestUnfit(t *testing.T) {
	node := func(name, zone string) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": zone}}}
	}
	nodes := []corev1.Node{node("a-1", "a"), node("a-2", "a"), node("b-1", "b")}
	selector := func(zone string) v1alpha1.PodSpec {
		return v1alpha1.PodSpec{NodeSelector: map[string]string{"zone": zone}}
	}
	term := func(operator corev1.NodeSelectorOperator, zone string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: "zone", Operator: operator, Values: []string{zone}},
		}}
	}
	required := func(terms ...corev1.NodeSelectorTerm) v1alpha1.PodSpec {
		return v1alpha1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}}
	}
	preferred := v1alpha1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: term("In", "b")}},
	}}}
	for name, row := range map[string]struct {
		spec  v1alpha1.PodSpec
		hosts []string
		want  bool
	}{
		"a spec that admits every node":                    {v1alpha1.PodSpec{}, []string{"a-1"}, false},
		"a selector of the volume's zone":                  {selector("a"), []string{"a-1", "a-2"}, false},
		"a selector of another zone":                       {selector("b"), []string{"a-1", "a-2"}, true},
		"a volume that can go to both zones":               {selector("b"), []string{"a-1", "b-1"}, false},
		"an affinity to another zone":                      {required(term("In", "b")), []string{"a-1"}, true},
		"an affinity that excludes the volume's zone":      {required(term("NotIn", "a")), []string{"a-1"}, true},
		"one of two terms admits it":                       {required(term("In", "b"), term("In", "a")), []string{"a-1"}, false},
		"a mere preference":                                {preferred, []string{"a-1"}, false},
		"a volume without any node is another rule's":      {selector("b"), nil, false},
		"an affinity that nobody understands is no reason": {required(term("Odd", "b")), []string{"a-1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.EtcdCluster{Spec: v1alpha1.EtcdClusterSpec{PodTemplate: &v1alpha1.PodTemplate{Spec: &row.spec}}}
			if got := unfit(c, nodes, row.hosts); got != row.want {
				t.Errorf("unfit is %t, want %t", got, row.want)
			}
		})
	}
}
