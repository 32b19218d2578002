package v1alpha1

// Condition types of an EtcdCluster.
const (
	// ConditionReady is True when the cluster is as the spec wants it: all members healthy voters, nothing to do.
	// It follows the kstatus convention, so that kubectl wait, Argo CD and Flux understand it.
	ConditionReady = "Ready"
	// ConditionAvailable is True when etcd itself showed that a majority serves: a linearizable read succeeded.
	ConditionAvailable = "Available"
	// ConditionProgressing is True while the operator changes the cluster or waits to; its message says for what.
	ConditionProgressing = "Progressing"
	// ConditionDegraded is True when a member is unhealthy or an alarm is raised.
	ConditionDegraded = "Degraded"
	// ConditionCertificatesValid is True when every certificate in use is valid and none waits for a person.
	// Not there in mode Disabled.
	ConditionCertificatesValid = "CertificatesValid"
)

// Reasons of the conditions.
const (
	ReasonAsSpecified         = "AsSpecified"
	ReasonSingleMember        = "SingleMember"
	ReasonQuorate             = "Quorate"
	ReasonQuorumLost          = "QuorumLost"
	ReasonRecovering          = "Recovering"
	ReasonAllMembersHealthy   = "AllMembersHealthy"
	ReasonMemberUnhealthy     = "MemberUnhealthy"
	ReasonAlarm               = "Alarm"
	ReasonPaused              = "Paused"
	ReasonHibernating         = "Hibernating"
	ReasonHibernated          = "Hibernated"
	ReasonWaking              = "Waking"
	ReasonBootstrapping       = "Bootstrapping"
	ReasonResuming            = "Resuming"
	ReasonScalingUp           = "ScalingUp"
	ReasonScalingDown         = "ScalingDown"
	ReasonStartingMember      = "StartingMember"
	ReasonReplacingMember     = "ReplacingMember"
	ReasonMovingMember        = "MovingMember"
	ReasonMemberLost          = "MemberLost"
	ReasonMovingLeader        = "MovingLeader"
	ReasonWaiting             = "Waiting"
	ReasonInvalidSpec         = "InvalidSpec"
	ReasonOwnershipConflict   = "OwnershipConflict"
	ReasonWrongClusterID      = "WrongClusterID"
	ReasonUnmanagedMember     = "UnmanagedMember"
	ReasonRollingOut          = "RollingOut"
	ReasonResizing            = "Resizing"
	ReasonUpgrading           = "Upgrading"
	ReasonDowngrading         = "Downgrading"
	ReasonVersionRefused      = "VersionRefused"
	ReasonVolumeWiped         = "VolumeWiped"
	ReasonDeleting            = "Deleting"
	ReasonObservationFailed   = "ObservationFailed"
	ReasonCertificatesValid   = "CertificatesValid"
	ReasonCertificateProblem  = "CertificateProblem"
	ReasonCertificateExpired  = "CertificateExpired"
	ReasonCertificateRenewing = "CertificateRenewing"
	ReasonRotatingCA          = "RotatingCA"
	ReasonAuthRequired        = "AuthRequired"
	ReasonActionFailed        = "ActionFailed"
	ReasonVolumeGrowing       = "VolumeGrowing"
	ReasonVolumeGrowthRefused = "VolumeGrowthRefused"
	ReasonVolumeFull          = "VolumeFull"
	ReasonDefragmenting       = "Defragmenting"
)
