package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EtcdOptions are options of the etcd servers, the same on every member.
//
// +kubebuilder:validation:XValidation:rule="!((has(self.electionTimeout) ? self.electionTimeout : '1s') + ' ' + (has(self.heartbeatInterval) ? self.heartbeatInterval : '100ms')).matches('^([0-9.]+(ms|s|m))+ ([0-9.]+(ms|s|m))+$') || (has(self.electionTimeout) ? duration(self.electionTimeout) : duration('1s')).getMilliseconds() >= 5 * (has(self.heartbeatInterval) ? duration(self.heartbeatInterval) : duration('100ms')).getMilliseconds()",message="electionTimeout (1s when not set) must be at least 5 times heartbeatInterval (100ms when not set): etcd refuses to start otherwise"
type EtcdOptions struct {
	// quotaBackendBytes is the database size at which etcd stops accepting writes, for example "2Gi".
	// Default: 40 % of the volume, at most 8Gi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('16Mi')) >= 0",message="quotaBackendBytes must be a quantity of at least 16Mi, such as 2Gi"
	QuotaBackendBytes *resource.Quantity `json:"quotaBackendBytes,omitempty"`

	// autoCompaction drops old revisions. Off when not set. Leave it off below a kube-apiserver, which compacts itself.
	// +optional
	AutoCompaction *AutoCompaction `json:"autoCompaction,omitempty"`

	// snapshotCount is the number of applied entries after which etcd takes a raft snapshot. Default 10000.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=1000000
	SnapshotCount *int64 `json:"snapshotCount,omitempty"`

	// heartbeatInterval of the raft leader, for example "100ms" (the default). Whole milliseconds, 10ms to 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+ms|[0-9]+([.][0-9]{1,3})?[sm])+$') && duration(self) >= duration('10ms') && duration(self) <= duration('10s')",message="heartbeatInterval must be a duration in whole milliseconds between 10ms and 10s, such as 100ms"
	HeartbeatInterval *metav1.Duration `json:"heartbeatInterval,omitempty"`

	// electionTimeout of a raft follower, for example "1s" (the default). Whole milliseconds, at least 5 times
	// heartbeatInterval and at most 50s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+ms|[0-9]+([.][0-9]{1,3})?[sm])+$') && duration(self) <= duration('50s')",message="electionTimeout must be a duration in whole milliseconds of at most 50s, such as 1s: etcd refuses to start otherwise"
	ElectionTimeout *metav1.Duration `json:"electionTimeout,omitempty"`

	// extraArgs are further etcd flags from an allow-list, without leading dashes. Names are those of etcd 3.7; on
	// older minors the operator writes the older name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	ExtraArgs []ExtraArg `json:"extraArgs,omitempty"`
}

// AutoCompactionMode is how retention is counted.
// +kubebuilder:validation:Enum=Periodic;Revision
type AutoCompactionMode string

const (
	// AutoCompactionPeriodic keeps the revisions of the last retention period, a duration such as "10h".
	AutoCompactionPeriodic AutoCompactionMode = "Periodic"
	// AutoCompactionRevision keeps the last retention revisions, a number such as "10000".
	AutoCompactionRevision AutoCompactionMode = "Revision"
)

// AutoCompaction drops old revisions.
//
// +kubebuilder:validation:XValidation:rule="self.mode == 'Periodic' ? self.retention.matches('^([0-9]+(h|m|s))+$') : self.retention.matches('^[1-9][0-9]*$')",fieldPath=".retention",message="retention must be a duration such as 10h when mode is Periodic, and a number of revisions such as 10000 when mode is Revision"
type AutoCompaction struct {
	// mode is Periodic or Revision.
	// +required
	Mode AutoCompactionMode `json:"mode,omitempty"`

	// retention is a duration ("10h") with Periodic, a number of revisions ("10000") with Revision.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Retention string `json:"retention,omitempty"`
}

// ExtraArg is one etcd flag. A value that etcd cannot parse would stop every member, so values are checked too.
//
// +kubebuilder:validation:XValidation:rule="!(self.name in ['backend-batch-interval', 'compaction-sleep-interval', 'grpc-keepalive-interval', 'grpc-keepalive-min-time', 'grpc-keepalive-timeout', 'warning-apply-duration', 'warning-unary-request-duration', 'watch-progress-notify-interval']) || self.value.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",fieldPath=".value",message="this flag takes a duration such as 100ms or 10s"
// +kubebuilder:validation:XValidation:rule="!(self.name in ['auth-token-ttl', 'backend-batch-limit', 'bcrypt-cost', 'compaction-batch-limit', 'max-concurrent-streams', 'max-request-bytes', 'max-snapshots', 'max-txn-ops', 'max-wals']) || self.value.matches('^(0|[1-9][0-9]{0,8})$')",fieldPath=".value",message="this flag takes a whole number of at most 9 digits"
// +kubebuilder:validation:XValidation:rule="self.name != 'log-level' || self.value in ['debug', 'info', 'warn', 'error', 'panic', 'fatal']",fieldPath=".value",message="log-level is debug, info, warn, error, panic or fatal"
// +kubebuilder:validation:XValidation:rule="self.name != 'metrics' || self.value in ['basic', 'extensive']",fieldPath=".value",message="metrics is basic or extensive"
// +kubebuilder:validation:XValidation:rule="self.name != 'backend-bbolt-freelist-type' || self.value in ['array', 'map']",fieldPath=".value",message="backend-bbolt-freelist-type is array or map"
type ExtraArg struct {
	// name of the flag, as in etcd 3.7, without leading dashes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self in ['auth-token-ttl', 'backend-batch-interval', 'backend-batch-limit', 'backend-bbolt-freelist-type', 'bcrypt-cost', 'compaction-batch-limit', 'compaction-sleep-interval', 'grpc-keepalive-interval', 'grpc-keepalive-min-time', 'grpc-keepalive-timeout', 'log-level', 'max-concurrent-streams', 'max-request-bytes', 'max-snapshots', 'max-txn-ops', 'max-wals', 'metrics', 'warning-apply-duration', 'warning-unary-request-duration', 'watch-progress-notify-interval']",message="this flag is not in the allow-list: flags for identity, membership, URLs, the data directory, TLS and durability belong to the operator. Allowed, without leading dashes: auth-token-ttl, backend-batch-interval, backend-batch-limit, backend-bbolt-freelist-type, bcrypt-cost, compaction-batch-limit, compaction-sleep-interval, grpc-keepalive-interval, grpc-keepalive-min-time, grpc-keepalive-timeout, log-level, max-concurrent-streams, max-request-bytes, max-snapshots, max-txn-ops, max-wals, metrics, warning-apply-duration, warning-unary-request-duration, watch-progress-notify-interval"
	Name string `json:"name,omitempty"`

	// value of the flag.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Value string `json:"value,omitempty"`
}
