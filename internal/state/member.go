package state

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Member is one member: a slot, joined with what etcd lists, its volume, its Pod and what it answered.
type Member struct {
	// Slot is the number in the member's name, stable across replacement.
	Slot int
	// Name is the member's, its Pod's and its Service's name.
	Name string
	// ID is etcd's member ID; it changes with the volume.
	ID uint64
	// Listed tells that etcd lists the member (see Etcd.Listed).
	Listed bool
	// Learner tells that it is listed as a learner.
	Learner bool
	// Started tells that it has published its client URLs: it ran with its volume at least once.
	Started bool
	// Launched tells that its volume (or Pod, when ephemeral) was created before, or may have been.
	Launched bool
	// Pod of this incarnation; nil when there is none.
	Pod *Pod
	// Volume of this incarnation; nil when there is none, and always with ephemeral storage.
	Volume *Volume
	// Probe is what the member answered.
	Probe Probe
	// Serves are the certificates that it was seen to serve.
	Serves Serves
	// Peer is what the leader's connections tell of the member, when it does not answer itself.
	Peer Peer
	// Hash of its data; nil unless it was asked for, because an alarm says that a member's data is corrupt.
	Hash *Hash
	// Defragmentation is what the operator remembers of the last one of the process in Pod.
	Defragmentation Operation
	// Health is the verdict over Probe and Pod.
	Health Health
	// Reason tells why the member is not healthy, in a sentence part.
	Reason string
}

// Health of a member.
type Health int

const (
	// Unhealthy is known not to serve, or not sealed yet.
	Unhealthy Health = iota
	// Unknown cannot be reached although its Pod is ready. No permission is built on it, and no blame.
	Unknown
	// Healthy answered as itself, follows the agreed leader, applied its log, and is sealed.
	Healthy
)

func (h Health) String() string {
	return [...]string{"Unhealthy", "Unknown", "Healthy"}[h]
}

// Sealed tells that the member can never again start empty under its ID.
func (m Member) Sealed() bool { return m.Pod != nil && m.Pod.Sealed && m.RecordedStarted() }

// RecordedStarted tells that the record of the incarnation (volume, or Pod when ephemeral) says that it ran.
func (m Member) RecordedStarted() bool {
	if m.Volume != nil {
		return m.Volume.Started
	}
	return m.Pod != nil && m.Pod.Started
}

// Retiring tells that the member's removal was recorded, and is not finished or withdrawn.
func (m Member) Retiring() bool {
	if m.Volume != nil {
		return m.Volume.Retiring
	}
	return m.Pod != nil && m.Pod.Retiring
}

// Surge tells that the member was added beyond the wanted number of voters, to stand in for members that are moved.
func (m Member) Surge() bool {
	if m.Volume != nil {
		return m.Volume.Surge
	}
	return m.Pod != nil && m.Pod.Surge
}

// Probe is what a member answered.
type Probe struct {
	// Answered tells that the member answered at all; the other fields mean nothing otherwise.
	Answered  bool
	ClusterID uint64
	MemberID  uint64
	Version   string
	Leader    uint64
	Term      uint64
	Committed uint64
	Applied   uint64
	// Revision is the latest of its data.
	Revision int64
	Learner  bool
	// DBSize, DBSizeInUse and Quota in bytes. Quota is 0 before etcd 3.6, which does not tell it.
	DBSize      int64
	DBSizeInUse int64
	Quota       int64
	Errors      []string
	// StorageVersion is the minor that its data can be opened with, such as "3.6.0"; empty with etcd 3.5.
	StorageVersion string
	// DowngradeTarget is the minor to which a downgrade is enabled; empty when none is, and with etcd 3.5.
	DowngradeTarget string
	// Err tells why it did not answer.
	Err string
	// Forbidden tells that it refused to answer because the operator is no user of it.
	Forbidden bool
}

// Pod is what matters of a member's Pod.
type Pod struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// Owner is the UID of the controlling EtcdCluster.
	Owner types.UID
	Slot  int
	// Generation, MemberID and Volume name the incarnation. Volume is the claim's name; empty when ephemeral.
	Generation int64
	MemberID   uint64
	Volume     string
	// Token and Size repeat the latch, so that it can be made anew when it was lost.
	Token string
	Size  int
	// Sealed tells that its --initial-cluster-state is existing and its list is itself only.
	Sealed bool
	// SealedAfter is the number of times that the container had been restarted when the Pod was sealed; 0 when it was
	// created sealed.
	SealedAfter int
	// InitialCluster is the list it starts with.
	InitialCluster string
	// Voter tells that it carries the voter label, which the PodDisruptionBudget counts.
	Voter bool
	// Started, Retiring and Surge are the records of an ephemeral incarnation; see Volume.
	Started  bool
	Retiring bool
	Surge    bool
	// Unused tells that no etcd had run on its volume when the Pod was created.
	Unused bool
	// Trust is the name of the ConfigMap with the CAs that it trusts; empty when it speaks plain text.
	Trust string
	// Certificates is the revision of the certificates that the kubelet was last told to bring up to date.
	Certificates string
	// Applied is the part of the spec that it was last rendered from.
	Applied string
	// Version of etcd that it was rendered with, and the quota of its database in bytes; 0 when it has none.
	Version string
	Quota   int64
	// Args are the flags that its etcd was given.
	Args []string
	// PatchedContainer is the container that ran when the image was changed in place: while it still runs, the new
	// image does not. Empty when the image was never changed, or changed while no container ran.
	PatchedContainer string
	// Resize is what became of a change of cpu or memory in place.
	Resize Resize
	IP     string
	Node   string
	// Created is when Kubernetes accepted it.
	Created time.Time
	// Terminating tells that it is being deleted; its containers may still run.
	Terminating bool
	// Forced tells that its deletion waits for no kubelet: what still keeps it are finalizers.
	Forced bool
	// Finished tells that its containers ended and will not be started again.
	Finished bool
	// Running tells that the etcd container runs, and RunningFor how long it has at the time of the observation.
	Running    bool
	RunningFor time.Duration
	// RunningSince is when the container was started; zero when it does not run.
	RunningSince time.Time
	// Pinned is the node that the Pod must go to; empty when it may go anywhere.
	Pinned string
	// Tolerations are those that the Pod was given, by the spec and by admission.
	Tolerations []corev1.Toleration
	Ready       bool
	// NotReadySince is when it ceased to be ready, or when this operator first saw that if that was later; zero while it
	// is ready, or when that is not known.
	NotReadySince time.Time
	// ContainerID of the running container.
	ContainerID string
	Restarts    int
	// Waiting is why the container or the Pod does not run yet, in the words of Kubernetes.
	Waiting string
	// LastExit is how the container last ended; nil when it never did.
	LastExit *Exit
}

// Resize is what became of a change of cpu or memory in place.
type Resize struct {
	// Pending says why it is not done yet, in the words of Kubernetes; empty when there is none or it is done.
	Pending string
	// Infeasible tells that the node can never fit it.
	Infeasible bool
	// Refused is the template with which Kubernetes refused it; see resources.RefuseResize.
	Refused string
	// TooLarge tells that it was refused because the node does not have so much.
	TooLarge bool
	// Room tells that a node is known that has as much as the spec asks for and that could run the Pod; only looked for
	// when the Pod's own node cannot fit it, or the spec asks for more.
	Room bool
}

// Exit is how a container ended.
type Exit struct {
	Code int
	// Message is the end of its log.
	Message string
	At      time.Time
}

// Volume is a PersistentVolumeClaim and what it records about the incarnation whose data it holds.
type Volume struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// Owner is the UID of the EtcdCluster that owns it; empty with reclaimPolicy Retain.
	Owner types.UID
	Slot  int
	// Generation of the bootstrap that it belongs to.
	Generation int64
	// Token and Size repeat the latch, so that it can be made anew when it was lost.
	Token          string
	Size           int
	InitialCluster string
	ClusterID      uint64
	MemberID       uint64
	// Version of etcd that last ran on it, or is about to.
	Version string
	PeerURL string
	// Started tells that the member was seen started on it: from then on it must never start empty.
	Started bool
	// Retiring is recorded before the member's removal is sent.
	Retiring bool
	// Retired is recorded once a linearizable list lacks the member: it must never be started again.
	Retired bool
	// Surge tells that the member was added beyond the wanted number of voters.
	Surge bool
	// PersistentVolume that it is bound to, and the one that it recorded; they differ when a backup tool re-created it.
	PersistentVolume         string
	RecordedPersistentVolume string
	// Node on which its last Pod ran.
	Node        string
	Terminating bool
	// Lost tells that Kubernetes found the PersistentVolume to which the claim was bound gone, or bound to another claim.
	Lost bool
	// Disk is its PersistentVolume; nil when it has none yet, or the operator may not read them.
	Disk *Disk
	// Evidence tells that its data is corrupt or made etcd crash: it is kept once it is retired.
	Evidence bool
	// StorageClass that it was created with; empty when none was asked for. ActualStorageClass is the one that it has: the
	// default class, for example, or what an admission webhook has made of it.
	StorageClass       string
	ActualStorageClass string
	// Request is the size that the claim asks for, and Capacity what its volume has, both in bytes. Capacity is 0 before
	// it has a volume.
	Request  int64
	Capacity int64
	// SizeInSpec is the largest storage.size that this volume, or one that it was made as large as, was to have; in bytes.
	// What the volume has may be more: by need, because of an admission webhook, or of a person. 0 when it is not
	// recorded yet.
	SizeInSpec int64
	// Growth is how Kubernetes expands the volume.
	Growth Growth
}

// Foreign tells that the claim is bound to another volume than it recorded: its data is not this incarnation's.
func (v Volume) Foreign() bool {
	return v.RecordedPersistentVolume != "" && v.PersistentVolume != "" && v.RecordedPersistentVolume != v.PersistentVolume
}
