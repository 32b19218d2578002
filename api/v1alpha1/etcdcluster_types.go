package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EtcdCluster is a highly available etcd cluster: 1, 3, 5 or 7 members in Pods, each on its own volume.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:path=etcdclusters,shortName=etcd,categories=all,singular=etcdcluster
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.status.replicas`
// +kubebuilder:printcolumn:name="Quorum",type=string,JSONPath=`.status.quorum.summary`
// +kubebuilder:printcolumn:name="Leader",type=string,JSONPath=`.status.leader`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Status",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Progressing")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS-1035 label (lower-case letters, digits and '-', starting with a letter) of at most 45 characters: member Pods and Services are named after it"
type EtcdCluster struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the cluster that is wanted. An empty one is valid.
	// +required
	Spec EtcdClusterSpec `json:"spec,omitzero"` //nolint:kubeapilinter // required although no field of it is

	// status is the cluster as it was last observed.
	// +optional
	Status EtcdClusterStatus `json:"status,omitzero"` //nolint:kubeapilinter // a value, as in every Kubernetes kind
}

// EtcdClusterList is a list of EtcdClusters.
//
// +kubebuilder:object:root=true
type EtcdClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EtcdCluster `json:"items"`
}

// EtcdClusterSpec is the cluster that is wanted.
//
// +kubebuilder:validation:XValidation:rule="has(self.storage.ephemeral) == has(oldSelf.storage.ephemeral)",fieldPath=".storage",message="a cluster cannot be moved between a volume and ephemeral storage: create a new cluster and move the data"
// +kubebuilder:validation:XValidation:rule="!has(self.etcd) || !has(self.etcd.quotaBackendBytes) || has(self.storage.ephemeral) || !isQuantity(string(self.etcd.quotaBackendBytes)) || (has(self.storage.size) && !isQuantity(string(self.storage.size))) || quantity(string(self.etcd.quotaBackendBytes)).compareTo(quantity(has(self.storage.size) ? string(self.storage.size) : '8Gi')) <= 0",fieldPath=".etcd.quotaBackendBytes",message="quotaBackendBytes must not be above storage.size (8Gi when not set): etcd would fill the volume before it stops accepting writes"
// +kubebuilder:validation:XValidation:rule="!has(self.etcd) || !has(self.etcd.quotaBackendBytes) || !has(self.storage.ephemeral) || !has(self.storage.ephemeral.sizeLimit) || !isQuantity(string(self.etcd.quotaBackendBytes)) || !isQuantity(string(self.storage.ephemeral.sizeLimit)) || quantity(string(self.etcd.quotaBackendBytes)).compareTo(quantity(string(self.storage.ephemeral.sizeLimit))) <= 0",fieldPath=".etcd.quotaBackendBytes",message="quotaBackendBytes must not be above storage.ephemeral.sizeLimit: the kubelet would evict the member before etcd stops accepting writes"
// +kubebuilder:validation:XValidation:rule="(has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled') == (has(oldSelf.tls) && has(oldSelf.tls.mode) && oldSelf.tls.mode == 'Disabled')",fieldPath=".tls.mode",message="tls.mode cannot be changed from or to Disabled, because members that speak TLS and members that do not cannot talk to one another: create a new cluster and move the data"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.version) || has(self.version) || !has(self.image) || !has(self.image.digest)",fieldPath=".version",message="version cannot be removed while image.digest pins an image of it: remove image.digest as well, or keep both"
// +kubebuilder:validation:XValidation:rule="!has(self.hibernated) || !self.hibernated || !has(self.storage.ephemeral)",fieldPath=".hibernated",message="a cluster with ephemeral storage cannot be hibernated, because its data would go with its Pods: use a volume, or delete the cluster"
type EtcdClusterSpec struct {
	// replicas is the number of voting members: 1, 3, 5 or 7. Default 3.
	// A new cluster starts with this many members; later changes go through etcd's member API, one member at a time.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=7
	// +kubebuilder:validation:XValidation:rule="self in [1, 3, 5, 7]",message="replicas must be 1, 3, 5 or 7: an even number of members tolerates no more failures than the odd number below it, and more than 7 make every write slower"
	Replicas *int32 `json:"replicas,omitempty"`

	// version is the etcd release to run, without a leading "v", for example "3.6.16".
	// When not set, the operator's default at creation is chosen once and kept.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]+[.][0-9]+[.][0-9]+$')",message="version must be a full etcd release number without a leading 'v', such as 3.6.16"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]+[.][0-9]+[.][0-9]+$') || self.matches('^3[.](5[.](3[2-9]|[4-9][0-9]|[1-9][0-9][0-9])|6[.](1[4-9]|[2-9][0-9]|[1-9][0-9][0-9])|7[.]([2-9]|[1-9][0-9]|[1-9][0-9][0-9]))$')",message="version must be 3.5.32 or later, 3.6.14 or later, or 3.7.2 or later of etcd 3.5, 3.6 and 3.7: older patch releases lose learner promotions or refuse repairs, and other minors are not supported"
	Version *string `json:"version,omitempty"`

	// image says where the etcd image comes from.
	// +optional
	Image *ImageSpec `json:"image,omitempty"`

	// storage is where the members keep their data.
	// +optional
	// +default={}
	Storage StorageSpec `json:"storage,omitempty"` //nolint:kubeapilinter // always present: rules above rely on it

	// etcd holds options of the etcd servers.
	// +optional
	Etcd *EtcdOptions `json:"etcd,omitempty"`

	// tls secures the traffic among the members and with clients. When not set, the operator manages certificates.
	// +optional
	TLS *TLSSpec `json:"tls,omitempty"`

	// networkPolicy lets only those reach the members who have to. When not set, there is no NetworkPolicy.
	// +optional
	NetworkPolicy *NetworkPolicySpec `json:"networkPolicy,omitempty"`

	// podTemplate holds the fields of the member Pods that may be chosen.
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`

	// restartedAt restarts all members, one at a time, whenever it is given another value, such as the present time.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	RestartedAt *string `json:"restartedAt,omitempty"`

	// clientService shapes the Service NAME-client, through which clients reach the ready voters.
	// +optional
	ClientService *ClientServiceSpec `json:"clientService,omitempty"`

	// repair says how lost members are replaced. When not set, they are replaced by themselves.
	// +optional
	Repair *RepairSpec `json:"repair,omitempty"`

	// maintenance says how the members' databases are kept small.
	// +optional
	Maintenance *MaintenanceSpec `json:"maintenance,omitempty"`

	// recovery is the consent to recover from a quorum that is lost for ever, as status.quorumLoss describes it.
	// +optional
	Recovery *RecoverySpec `json:"recovery,omitempty"`

	// paused stops all changes to the cluster; the status is still reported.
	// +optional
	Paused *bool `json:"paused,omitempty"`

	// hibernated stops the member Pods and keeps the volumes, the Services and the certificates. When it is false or
	// removed again, all members start on their data. A change of the membership that is under way is finished first.
	// +optional
	Hibernated *bool `json:"hibernated,omitempty"`
}

// ImageSpec says where the etcd image comes from. Its tag is always "v" and the version.
type ImageSpec struct {
	// repository is the image without tag and digest. Default gcr.io/etcd-development/etcd.
	// The image must be laid out as the official one: etcd, etcdctl and etcdutl (which a recovery needs) in its PATH.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9._:/]*[a-z0-9])?$') && !self.matches('.*:[^/]*$')",message="repository must be an image name without tag and digest, such as gcr.io/etcd-development/etcd"
	Repository *string `json:"repository,omitempty"`

	// digest pins the image, for example "sha256:<64 hex digits>". It must be the digest of the version's image.
	// +optional
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:XValidation:rule="self.matches('^sha256:[0-9a-f]{64}$')",message="digest must be 'sha256:' and 64 lower-case hexadecimal digits"
	Digest *string `json:"digest,omitempty"`

	// pullPolicy of the image: Always, IfNotPresent or Never. Default IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	PullPolicy *corev1.PullPolicy `json:"pullPolicy,omitempty"`

	// pullSecrets name Secrets of the cluster's namespace with registry credentials.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	PullSecrets []PullSecret `json:"pullSecrets,omitempty"`
}

// PullSecret names a Secret with registry credentials.
type PullSecret struct {
	// name of the Secret, in the cluster's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ReclaimPolicy says what happens to the volumes when the EtcdCluster is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type ReclaimPolicy string

const (
	// ReclaimRetain keeps the volumes; an EtcdCluster re-created under the same name resumes their data.
	ReclaimRetain ReclaimPolicy = "Retain"
	// ReclaimDelete deletes the volumes, and the data with them.
	ReclaimDelete ReclaimPolicy = "Delete"
)

// StorageSpec is where the members keep their data: a volume each (the default), or ephemeral storage.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ephemeral) || (!has(self.size) && !has(self.maxSize) && !has(self.storageClassName) && !has(self.reclaimPolicy))",message="storage is either a volume (size, maxSize, storageClassName, reclaimPolicy) or ephemeral, not both: remove one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.maxSize) || !isQuantity(string(self.maxSize)) || (has(self.size) && !isQuantity(string(self.size))) || quantity(string(self.maxSize)).compareTo(quantity(has(self.size) ? string(self.size) : '8Gi')) >= 0",fieldPath=".maxSize",message="storage.maxSize must be at least storage.size (8Gi when not set)"
type StorageSpec struct {
	// size of each member's volume. Default 8Gi. At least 100Mi. A larger size expands the volumes of all members while
	// they run, if their StorageClass allows it. A smaller one takes back an expansion that has not taken place yet; and
	// without maxSize it has members moved, one at a time, to new volumes of that size, as long as the data fits there.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('100Mi')) >= 0",message="storage.size must be a quantity of at least 100Mi, such as 8Gi: etcd preallocates 64 MiB write-ahead log files"
	Size *resource.Quantity `json:"size,omitempty"`

	// maxSize lets the operator expand the volumes up to this size, in steps of half the present size and at least 1Gi:
	// when the data fills 80 % of etcd's quota (unless etcd.quotaBackendBytes sets it), when the database takes 60 % of
	// the volume, and when a member stops because its volume is full. When not set, the volumes have storage.size.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('100Mi')) >= 0",message="storage.maxSize must be a quantity of at least 100Mi, such as 64Gi"
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`

	// storageClassName of the volumes. When not set, the default StorageClass of the Kubernetes cluster.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`

	// reclaimPolicy says what happens to the volumes when the EtcdCluster is deleted: Retain or Delete. Default Retain.
	// +optional
	ReclaimPolicy *ReclaimPolicy `json:"reclaimPolicy,omitempty"`

	// ephemeral keeps the data in the Pod: a member whose Pod is gone has lost it and is replaced. When a majority of
	// the Pods is gone at once, the data is lost.
	// +optional
	Ephemeral *EphemeralStorage `json:"ephemeral,omitempty"`
}

// EphemeralMedium is where an ephemeral member's data lies.
// +kubebuilder:validation:Enum=Disk;Memory
type EphemeralMedium string

const (
	// EphemeralDisk is the node's disk.
	EphemeralDisk EphemeralMedium = "Disk"
	// EphemeralMemory is a tmpfs, charged to the member's memory.
	EphemeralMemory EphemeralMedium = "Memory"
)

// EphemeralStorage is storage that lives as long as its Pod.
//
// +kubebuilder:validation:XValidation:rule="(has(self.medium) ? self.medium : 'Disk') == (has(oldSelf.medium) ? oldSelf.medium : 'Disk')",fieldPath=".medium",message="the medium of an ephemeral cluster cannot be changed: create a new cluster and move the data"
type EphemeralStorage struct {
	// medium is Disk (the node's disk) or Memory (tmpfs). Default Disk.
	// +optional
	Medium *EphemeralMedium `json:"medium,omitempty"`

	// sizeLimit of the data. When not set, the node's limit applies.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('100Mi')) >= 0",message="sizeLimit must be a quantity of at least 100Mi, such as 1Gi: etcd preallocates 64 MiB write-ahead log files"
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}
