package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// PodTemplate holds the fields of the member Pods that may be chosen. All others belong to the operator.
type PodTemplate struct {
	// metadata is added to the member Pods.
	// +optional
	Metadata *PodMetadata `json:"metadata,omitempty"`

	// spec holds the permitted fields of the Pod.
	// +optional
	Spec *PodSpec `json:"spec,omitempty"`
}

// PodMetadata is added to the member Pods. Keys of the domain quorate.dev and app.kubernetes.io belong to the operator.
type PodMetadata struct {
	// labels to add.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('quorate.dev/') && !k.contains('.quorate.dev/') && !k.startsWith('app.kubernetes.io/'))",message="labels of quorate.dev and app.kubernetes.io belong to the operator: remove them"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations to add.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('quorate.dev/') && !k.contains('.quorate.dev/'))",message="annotations of quorate.dev belong to the operator: remove them"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodSpec holds the permitted fields of the member Pods; each means what it means in a Pod.
type PodSpec struct {
	// resources of the etcd container. Default requests: cpu 100m, memory 100Mi; no limits.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// affinity of the Pod. Default: members prefer different nodes and zones.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// nodeSelector of the Pod.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations of the Pod.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// topologySpreadConstraints of the Pod. A constraint without labelSelector selects the cluster's members.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName of the Pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName *string `json:"priorityClassName,omitempty"`

	// schedulerName of the Pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SchedulerName *string `json:"schedulerName,omitempty"`

	// runtimeClassName of the Pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	RuntimeClassName *string `json:"runtimeClassName,omitempty"`

	// securityContext of the Pod. Default: user, group and fsGroup 65532, non-root, seccomp RuntimeDefault.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`

	// terminationGracePeriodSeconds of the Pod: 30 to 600. Default 30: etcd hands over its leadership when it stops.
	// +optional
	// +kubebuilder:validation:Minimum=30
	// +kubebuilder:validation:Maximum=600
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// ClientServiceSpec shapes the Service NAME-client.
//
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')",fieldPath=".loadBalancerClass",message="loadBalancerClass is only for a Service of type LoadBalancer: set type to LoadBalancer or remove loadBalancerClass"
type ClientServiceSpec struct {
	// type of the Service: ClusterIP, NodePort or LoadBalancer. Default ClusterIP.
	// +optional
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type *corev1.ServiceType `json:"type,omitempty"`

	// labels to add to the Service.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('quorate.dev/') && !k.contains('.quorate.dev/') && !k.startsWith('app.kubernetes.io/'))",message="labels of quorate.dev and app.kubernetes.io belong to the operator: remove them"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations to add to the Service, for example for a cloud load balancer.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('quorate.dev/') && !k.contains('.quorate.dev/'))",message="annotations of quorate.dev belong to the operator: remove them"
	Annotations map[string]string `json:"annotations,omitempty"`

	// loadBalancerClass of a Service of type LoadBalancer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
}
