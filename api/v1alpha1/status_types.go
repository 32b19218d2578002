package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EtcdClusterStatus is the cluster as it was last observed. It holds stable values only; volatile ones are metrics.
type EtcdClusterStatus struct {
	// conditions are Ready, Available, Progressing, Degraded and, with TLS, CertificatesValid.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type" protobuf:"bytes,1,rep,name=conditions"` //nolint:lll // tags as the API linter wants them

	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// replicas is the number of voting members that etcd lists.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// readyReplicas is the number of voting members that are proven healthy.
	// +optional
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`

	// selector selects the member Pods (for the scale subresource).
	// +optional
	Selector *string `json:"selector,omitempty"`

	// clusterID is etcd's cluster ID in hexadecimal, fixed since the cluster was formed.
	// +optional
	ClusterID *string `json:"clusterID,omitempty"`

	// version is the lowest etcd version that a member runs; the chosen one before the first has started.
	// +optional
	Version *string `json:"version,omitempty"`

	// leader is the name of the member that leads; empty when there is none.
	// +optional
	Leader *string `json:"leader,omitempty"`

	// endpoints are the client URLs of the voting members, stable across the replacement of a member.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Endpoints []string `json:"endpoints,omitempty"`

	// quorum tells how far the cluster is from losing its majority.
	// +optional
	Quorum *QuorumStatus `json:"quorum,omitempty"`

	// quorumLoss is set when a majority of the voters has lost its data for ever.
	// +optional
	QuorumLoss *QuorumLossStatus `json:"quorumLoss,omitempty"`

	// tls tells how the certificates stand; not set in mode Disabled.
	// +optional
	TLS *TLSStatus `json:"tls,omitempty"`

	// members are the members that etcd lists, and those that are being started.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Members []MemberStatus `json:"members,omitempty"`
}

// QuorumStatus tells how far the cluster is from losing its majority.
type QuorumStatus struct {
	// voters is the number of voting members.
	// +required
	Voters *int32 `json:"voters,omitempty"`

	// healthy is the number of voters that are proven healthy.
	// +required
	Healthy *int32 `json:"healthy,omitempty"`

	// required is the number of healthy voters that a majority needs.
	// +required
	Required *int32 `json:"required,omitempty"`

	// failureTolerance is the number of healthy voters that may fail before the majority is lost.
	// +required
	FailureTolerance *int32 `json:"failureTolerance,omitempty"`

	// summary is "healthy/voters", for example "3/3".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	Summary string `json:"summary,omitempty"`
}

// MemberRole is the role of a member in raft.
// +kubebuilder:validation:Enum=Voter;Learner;Starting
type MemberRole string

const (
	// RoleVoter is a member that votes.
	RoleVoter MemberRole = "Voter"
	// RoleLearner is a member that receives the log but does not vote yet.
	RoleLearner MemberRole = "Learner"
	// RoleStarting is a member of a cluster that has no quorum yet.
	RoleStarting MemberRole = "Starting"
)

// MemberHealth is what is known of a member.
// +kubebuilder:validation:Enum=Healthy;Unhealthy;Unknown
type MemberHealth string

const (
	// HealthHealthy is a member that answered as itself, follows the leader and has applied its log.
	HealthHealthy MemberHealth = "Healthy"
	// HealthUnhealthy is a member known not to serve.
	HealthUnhealthy MemberHealth = "Unhealthy"
	// HealthUnknown is a member that the operator cannot reach although its Pod is ready: never removed for it.
	HealthUnknown MemberHealth = "Unknown"
)

// MemberStatus is one member.
type MemberStatus struct {
	// name of the member and of its Pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// id is etcd's member ID in hexadecimal.
	// +optional
	ID *string `json:"id,omitempty"`

	// role is Voter, Learner or Starting.
	// +required
	Role MemberRole `json:"role,omitempty"`

	// health is Healthy, Unhealthy or Unknown.
	// +required
	Health MemberHealth `json:"health,omitempty"`

	// version of etcd that the member reports, or is started with.
	// +optional
	Version *string `json:"version,omitempty"`

	// node on which the Pod runs.
	// +optional
	Node *string `json:"node,omitempty"`

	// volume is the PersistentVolumeClaim of the member.
	// +optional
	Volume *string `json:"volume,omitempty"`

	// message tells why the member is not healthy.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message *string `json:"message,omitempty"`
}
