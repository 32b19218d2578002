package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// affinity is the user's, with soft anti-affinity between the members where the user gave none, and pinned to a node
// when one is named.
func affinity(cluster string, user *corev1.Affinity, node string) *corev1.Affinity {
	out := &corev1.Affinity{}
	if user != nil {
		out = user.DeepCopy()
	}
	if out.PodAntiAffinity == nil {
		out.PodAntiAffinity = apart(cluster)
	}
	if node != "" {
		out.NodeAffinity = pinned(out.NodeAffinity, node)
	}
	return out
}

// apart prefers different nodes above different zones: two members on one node die together far more often. It is soft,
// so that a cluster also starts on fewer nodes than members.
func apart(cluster string) *corev1.PodAntiAffinity {
	term := func(weight int32, topologyKey string) corev1.WeightedPodAffinityTerm {
		return corev1.WeightedPodAffinityTerm{Weight: weight, PodAffinityTerm: corev1.PodAffinityTerm{
			LabelSelector: memberSelector(cluster),
			TopologyKey:   topologyKey,
		}}
	}
	return &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
		term(100, corev1.LabelHostname),
		term(50, corev1.LabelTopologyZone),
	}}
}

func memberSelector(cluster string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: Selector(cluster)}
}

// pinned adds the node to every required term: terms are alternatives, so a term of its own would widen the choice.
// A term without any requirement matches no node and must not become one that does.
func pinned(user *corev1.NodeAffinity, node string) *corev1.NodeAffinity {
	byName := corev1.NodeSelectorRequirement{
		Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
	}
	out := &corev1.NodeAffinity{}
	if user != nil {
		out = user
	}
	required := out.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		out.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{byName}}},
		}
		return out
	}
	for i := range required.NodeSelectorTerms {
		term := &required.NodeSelectorTerms[i]
		if len(term.MatchExpressions)+len(term.MatchFields) > 0 {
			term.MatchFields = append(term.MatchFields, byName)
		}
	}
	return out
}

// spreadConstraints gives a constraint without a selector the cluster's members; Kubernetes would count no Pod at all.
func spreadConstraints(cluster string, user []corev1.TopologySpreadConstraint) []corev1.TopologySpreadConstraint {
	for i := range user {
		if user[i].LabelSelector == nil {
			user[i].LabelSelector = memberSelector(cluster)
		}
	}
	return user
}

// pinnedNode is the node that pinned wrote into the affinity; empty when the Pod is not pinned. The user's own fields,
// which the Pod records, come before it.
func pinnedNode(pod *corev1.Pod) string {
	applied, _ := decode(pod.Annotations[AnnotationApplied]) // one that cannot be read has none
	asked := requiredTerms(applied.podSpec().Affinity)
	for i, term := range requiredTerms(pod.Spec.Affinity) {
		users := 0
		if i < len(asked) {
			users = len(asked[i].MatchFields)
		}
		if n := len(term.MatchFields); n > users && len(term.MatchFields[n-1].Values) == 1 {
			return term.MatchFields[n-1].Values[0]
		}
	}
	return ""
}

func requiredTerms(a *corev1.Affinity) []corev1.NodeSelectorTerm {
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}
