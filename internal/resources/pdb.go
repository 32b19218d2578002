package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// DisruptionBudget keeps minAvailable voters from being evicted. The number is an integer, since a percentage or
// maxUnavailable needs a scale subresource at the Pods' controller. IfHealthyBudget keeps an unhealthy voter in place
// while the budget is not met: in a lost quorum its disk may be the one that is needed.
func DisruptionBudget(c *v1alpha1.EtcdCluster, minAvailable int) *policyv1.PodDisruptionBudget {
	pdb := &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace,
			Name:      DisruptionBudgetName(c.Name),
			Labels:    objectLabels(c.Name, ComponentDisruptionBudget),
		},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable:               new(intstr.FromInt32(int32(minAvailable))),
			Selector:                   &metav1.LabelSelector{MatchLabels: VoterSelector(c.Name)},
			UnhealthyPodEvictionPolicy: new(policyv1.IfHealthyBudget),
		},
	}
	SetOwner(pdb, c, true)
	return pdb
}
