package observe

import (
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// limitsNodes tells that the spec does not let members run on every node.
func limitsNodes(c *v1alpha1.EtcdCluster) bool {
	t := c.Spec.PodTemplate
	return t != nil && t.Spec != nil &&
		(len(t.Spec.NodeSelector) > 0 || t.Spec.Affinity != nil && t.Spec.Affinity.NodeAffinity != nil)
}

// repels tells that the node has a taint because of which the scheduler gives it no member. Those of Kubernetes itself
// (not ready, under pressure, cordoned) come and go, and are told otherwise. What admission lets members tolerate, for
// their RuntimeClass or their namespace, is read from the Pods that there are.
func repels(c *state.Cluster, node *corev1.Node) bool {
	var tolerations []corev1.Toleration
	if t := c.Object.Spec.PodTemplate; t != nil && t.Spec != nil {
		tolerations = append(tolerations, t.Spec.Tolerations...)
	}
	for _, p := range c.Pods() {
		tolerations = append(tolerations, p.Tolerations...)
	}
	_, repelled := scheduling.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, tolerations,
		func(t *corev1.Taint) bool {
			return t.Effect != corev1.TaintEffectPreferNoSchedule && !strings.HasPrefix(t.Key, "node.kubernetes.io/")
		}, false)
	return repelled
}

// unfit tells that the spec admits none of the nodes of these names, as the scheduler judges by nodeSelector and
// required node affinity. Where nothing is admitted because nothing can be understood, no conclusion is drawn.
func unfit(c *v1alpha1.EtcdCluster, nodes []corev1.Node, hosts []string) bool {
	if !limitsNodes(c) || len(hosts) == 0 {
		return false
	}
	t := c.Spec.PodTemplate.Spec
	required := nodeaffinity.NewRequiredNodeAffinity(t.NodeSelector, t.Affinity)
	for i := range nodes {
		if !slices.Contains(hosts, nodes[i].Name) {
			continue
		}
		if fits, err := required.Match(&nodes[i]); fits || err != nil {
			return false
		}
	}
	return true
}
