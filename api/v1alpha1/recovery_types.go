package v1alpha1

// RecoverySpec is the consent to recover from a quorum that is lost for ever. It counts only for the loss that it
// names, and acts once.
type RecoverySpec struct {
	// quorumLossID is the id in status.quorumLoss: the plan that stands there is agreed to.
	// +required
	// +kubebuilder:validation:MinLength=16
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{16}$')",message="quorumLossID must be copied from status.quorumLoss.id: 16 lower-case hexadecimal digits"
	QuorumLossID string `json:"quorumLossID,omitempty"`

	// confirmMissing names the missing members of which you have made sure that they never run again, although their
	// node is not known, or is there and not out of service.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	ConfirmMissing []string `json:"confirmMissing,omitempty"`
}

// QuorumLossStatus tells that a majority of the voters has lost its data for ever, and what can be done about it.
type QuorumLossStatus struct {
	// id of this loss, to be copied to spec.recovery.quorumLossID. Other evidence makes another id.
	// +required
	// +kubebuilder:validation:MinLength=16
	// +kubebuilder:validation:MaxLength=16
	ID string `json:"id,omitempty"`

	// survivors are the members whose data is there, as their write-ahead logs tell.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Survivors []SurvivorStatus `json:"survivors,omitempty"`

	// missing are the voters whose data is not there.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Missing []MissingStatus `json:"missing,omitempty"`

	// chosen is the survivor whose data is taken: its log is the newest. Not set when nothing is left.
	// +optional
	Chosen *string `json:"chosen,omitempty"`

	// plan is what happens after consent, in sentences.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=1024
	Plan []string `json:"plan,omitempty"`

	// mayBeLost says which data may be lost.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	MayBeLost string `json:"mayBeLost,omitempty"`

	// recovering tells that consent was given and the plan is being carried out.
	// +optional
	Recovering *bool `json:"recovering,omitempty"`
}

// SurvivorStatus is a member whose data is there.
type SurvivorStatus struct {
	// name of the member.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// memberID is etcd's member ID in hexadecimal.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	MemberID string `json:"memberID,omitempty"`

	// volume is its PersistentVolumeClaim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Volume string `json:"volume,omitempty"`

	// term of the last entry in its log.
	// +required
	Term *int64 `json:"term,omitempty"`

	// index of the last entry in its log.
	// +required
	Index *int64 `json:"index,omitempty"`

	// committed is the index up to which it knows that a majority had the log.
	// +required
	Committed *int64 `json:"committed,omitempty"`
}

// MissingStatus is a voter whose data is not there.
type MissingStatus struct {
	// name of the member, or its ID where the name is not known.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// memberID is etcd's member ID in hexadecimal.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	MemberID string `json:"memberID,omitempty"`

	// node on which it last ran; not set when that is not known.
	// +optional
	Node *string `json:"node,omitempty"`

	// fenced tells that the node is gone or out of service. One that is not fenced must be named in
	// spec.recovery.confirmMissing.
	// +required
	Fenced *bool `json:"fenced,omitempty"`

	// reason why its data is taken for lost.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}
