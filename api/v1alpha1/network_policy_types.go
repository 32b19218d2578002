package v1alpha1

import (
	networkingv1 "k8s.io/api/networking/v1"
)

// NetworkPolicySpec lets only those reach the members who have to. It protects where the network of the Kubernetes
// cluster enforces NetworkPolicies.
//
// Members always reach one another on 2380, and the operator reaches the members on 2379, 2380 and 2381.
type NetworkPolicySpec struct {
	// clients are those who may connect to 2379. When empty, nobody but the operator may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Clients []networkingv1.NetworkPolicyPeer `json:"clients,omitempty"`

	// monitoring are those who may read metrics and health on 2381, which needs no certificate. When empty, nobody but the
	// operator may; the kubelet of the member's node always may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Monitoring []networkingv1.NetworkPolicyPeer `json:"monitoring,omitempty"`
}
