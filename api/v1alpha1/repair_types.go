package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RepairMode says who decides that a lost member is replaced.
// +kubebuilder:validation:Enum=Automatic;Manual
type RepairMode string

const (
	// RepairAutomatic lets the operator replace a lost member.
	RepairAutomatic RepairMode = "Automatic"
	// RepairManual lets the operator only report it; a person asks for the replacement by an annotation.
	RepairManual RepairMode = "Manual"
)

// RepairSpec says how lost members are replaced.
type RepairSpec struct {
	// mode is Automatic or Manual. Default Automatic. With Manual a lost member is reported, with the command that has it
	// replaced: the annotation quorate.dev/replace-member on the EtcdCluster with the member's ID.
	// +optional
	Mode *RepairMode `json:"mode,omitempty"`

	// after is how long a member whose node is not ready, or that crashes on its own data, is waited for until it counts
	// as lost. Default 5m. A member whose volume is gone or was wiped is lost at once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$') && self != '' && duration(self) >= duration('0s')",message="after must be a duration such as 5m, 1h30m or 0s"
	After *metav1.Duration `json:"after,omitempty"`
}

// Annotations on an EtcdCluster by which a person asks for something once.
const (
	// AnnotationReplaceMember asks that a member be replaced: its value is the ID in status.members. A healthy member is
	// moved: the new one is added first.
	AnnotationReplaceMember = "quorate.dev/replace-member"
	// AnnotationPreferredLeader asks that a member lead while all are healthy: its value is the member's name.
	AnnotationPreferredLeader = "quorate.dev/preferred-leader"
)
