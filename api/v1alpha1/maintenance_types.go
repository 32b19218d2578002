package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaintenanceSpec says how the members' databases are kept small.
type MaintenanceSpec struct {
	// window limits defragmentation to certain times. When not set, it may take place at any time. What makes a
	// cluster accept writes again (alarm NOSPACE) never waits for a window.
	// +optional
	Window *MaintenanceWindow `json:"window,omitempty"`

	// defragmentation gives the space that deleted and compacted data left in the database files back. On when not set.
	// +optional
	Defragmentation *Defragmentation `json:"defragmentation,omitempty"`

	// compactOnNoSpace lets the operator compact etcd's history when the quota is reached and neither growth nor
	// defragmentation frees enough. Default false, because a compaction drops history for ever: watches and reads at
	// older revisions fail from then on.
	// +optional
	CompactOnNoSpace *bool `json:"compactOnNoSpace,omitempty"`

	// keepRevisions is the number of latest revisions that compactOnNoSpace leaves. Default 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	KeepRevisions *int64 `json:"keepRevisions,omitempty"`
}

// MaintenanceWindow is a time that comes again and again.
type MaintenanceWindow struct {
	// schedule says when the window opens, in cron format: minute, hour, day of the month, month, day of the week.
	// For example "0 3 * * 6" is each Saturday at 3 o'clock.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[^ ]+( +[^ ]+){4})$') && !self.contains('TZ')",message="schedule must have five fields as in cron, such as '0 3 * * 6', or be @daily, @weekly and so on; the time zone is a field of its own"
	Schedule string `json:"schedule,omitempty"`

	// timeZone of schedule: a name of the IANA time zone database, for example "Europe/Berlin". Default "UTC".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone *string `json:"timeZone,omitempty"`

	// duration is how long the window stays open: what has begun is finished later too. 1m to 168h.
	// +required
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="duration must be between 1m and 168h, such as 2h"
	Duration *metav1.Duration `json:"duration,omitempty"`
}

// DefragmentationMode says who defragments.
// +kubebuilder:validation:Enum=Automatic;Disabled
type DefragmentationMode string

const (
	// DefragmentationAutomatic defragments a member whose database file is largely unused.
	DefragmentationAutomatic DefragmentationMode = "Automatic"
	// DefragmentationDisabled leaves it to people. The alarm NOSPACE is healed all the same.
	DefragmentationDisabled DefragmentationMode = "Disabled"
)

// Defragmentation gives unused space of the database files back. A member does not answer meanwhile, so it takes place
// one member at a time, the leader last, and only while all members are healthy and nothing else is to be done.
type Defragmentation struct {
	// mode is Automatic or Disabled. Default Automatic.
	// +optional
	Mode *DefragmentationMode `json:"mode,omitempty"`

	// unusedPercent is the unused part of the file, in percent, above which a member is defragmented. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=95
	UnusedPercent *int32 `json:"unusedPercent,omitempty"`

	// minUnused is the unused space below which a member is not defragmented. Default 100Mi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="minUnused must be a quantity above 0, such as 100Mi"
	MinUnused *resource.Quantity `json:"minUnused,omitempty"`

	// singleMember lets the only member of a cluster be defragmented too: nothing serves meanwhile. Default false.
	// +optional
	SingleMember *bool `json:"singleMember,omitempty"`
}
