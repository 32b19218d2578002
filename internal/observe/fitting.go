package observe

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/quorate/quorate/api/v1alpha1"
)

// limitsNodes tells that the spec does not let members run on every node.
func limitsNodes(c *v1alpha1.EtcdCluster) bool {
	t := c.Spec.PodTemplate
	return t != nil && t.Spec != nil &&
		(len(t.Spec.NodeSelector) > 0 || t.Spec.Affinity != nil && t.Spec.Affinity.NodeAffinity != nil)
}

// unfit tells that the spec admits none of the nodes of these names, as the scheduler judges by nodeSelector and required
// node affinity. Where nothing is admitted because nothing can be understood, no conclusion is drawn.
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
