package resources

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Labels of the operator's own Pods; see config/manager.
const (
	operatorName      = "quorate"
	operatorComponent = "controller-manager"
)

// NetworkPolicyName is the name of the NetworkPolicy.
func NetworkPolicyName(cluster string) string { return cluster }

// NetworkPolicy lets peers reach peers, the operator (in any namespace: its own is not known when it runs elsewhere)
// reach members, and others what the spec says. It limits what comes in, not what goes out: a member that cannot reach
// DNS would be lost.
func NetworkPolicy(c *v1alpha1.EtcdCluster) *networkingv1.NetworkPolicy {
	spec := *c.Spec.NetworkPolicy
	members := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: Selector(c.Name)}}
	operator := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{},
		PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
			NameLabel: operatorName, ComponentLabel: operatorComponent,
		}},
	}
	ingress := []networkingv1.NetworkPolicyIngressRule{
		ingressRule(PeerPort, members, operator),
		// Members as well: etcdctl in one of them asks all of them.
		ingressRule(ClientPort, append([]networkingv1.NetworkPolicyPeer{members, operator}, spec.Clients...)...),
		// The operator asks the leader there from whom it still hears.
		ingressRule(MetricsPort, append([]networkingv1.NetworkPolicyPeer{operator}, spec.Monitoring...)...),
	}
	policy := &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: NetworkPolicyName(c.Name), Labels: objectLabels(c.Name, ComponentNetworkPolicy),
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: Selector(c.Name)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     ingress,
		},
	}
	SetOwner(policy, c, true)
	return policy
}

func ingressRule(port int32, from ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyIngressRule {
	tcp, number := corev1.ProtocolTCP, intstr.FromInt32(port)
	return networkingv1.NetworkPolicyIngressRule{
		From: from, Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &number}},
	}
}
