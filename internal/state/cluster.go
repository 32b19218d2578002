// Package state is everything that one reconcile knows about a cluster, as plain data: what the spec asks for, what
// Kubernetes holds, and what etcd answered. It has no client and no clock; whoever holds it can only think.
package state

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Cluster is one observation of an EtcdCluster. It is not changed after it was made.
type Cluster struct {
	// Now is the time of the observation.
	Now time.Time
	// Object is the EtcdCluster as the user wrote it.
	Object *v1alpha1.EtcdCluster
	// NamespaceDeleting tells that the namespace is being deleted: nothing can be created in it any more, for good. It is
	// looked for only while something of the cluster is missing or being deleted.
	NamespaceDeleting bool
	// DefaultVersion is the etcd version that a new cluster without spec.version gets.
	DefaultVersion string
	// Latch is the record of the bootstrap; nil when there is none.
	Latch *Latch
	// Members are all members that matter: listed by etcd, or meant by the latch or by an unretired volume while
	// etcd's list is not known. Ordered by slot.
	Members []Member
	// Leftovers are Pods and volumes that belong to no member: retired, of an earlier generation, or another owner's.
	Leftovers Leftovers
	// Etcd is what etcd said about the cluster as a whole.
	Etcd Etcd
	// Nodes are the Kubernetes nodes by name, of those that members run on, or could; nil when the operator may not read
	// nodes. One that is not in it does not exist.
	Nodes map[string]Node
	// MemberServices are the slots whose member Service exists: clients know their names.
	MemberServices []int
	// PeerService is the headless Service of the peers; nil until Kubernetes has it.
	PeerService *PeerService
	// Inspections are the Pods that read what is left on the members' volumes after a quorum was lost.
	Inspections []Inspection
	// Recoveries are the records of consents to recover from a lost quorum.
	Recoveries []*Recovery
	// GivenUp are Pods that salvage data for a recovery whose record was deleted.
	GivenUp []Salvage
	// OperatorImage is the image of this operator, which inspections run; empty when it is not known.
	OperatorImage string
	// TLS is what is known of the certificates; nil when the cluster speaks plain text.
	TLS *TLS
	// Disruption is the PodDisruptionBudget; nil when there is none.
	Disruption *DisruptionBudget
}

// Etcd is what etcd said about the cluster as a whole.
type Etcd struct {
	// Listed tells that Members come from a linearizable list of a member whose cluster ID was verified.
	Listed bool
	// ClusterID is the ID that came with the list, or that the latch records; 0 when none is known.
	ClusterID uint64
	// Serving tells that a linearizable read succeeded: a majority serves.
	Serving bool
	// Leader is the member ID that the voters agree on; 0 when there is none.
	Leader uint64
	// Alarms that are raised.
	Alarms []Alarm
	// Hashing tells that the data of members is being hashed, because an alarm says that some is corrupt; see Member.Hash.
	Hashing bool
	// History is asked for only while the quota is reached and the spec allows a compaction.
	History History
	// Compaction is what the operator remembers of its last one.
	Compaction Operation
	// Foreign are listed members whose peer URL is none of the cluster's slots: somebody else added or moved them.
	Foreign []ForeignMember
	// WrongClusterID names members that answered with another cluster's ID.
	WrongClusterID []string
	// ClusterVersion is the minor at which the members work together, such as "3.6". It is asked for only while the
	// minor of a member differs from the wanted one; empty when it was not, or is not known.
	ClusterVersion string
	// ListsDiffer names members whose own list of the members is not the linearizable one, or is not known; asked for
	// together with ClusterVersion.
	ListsDiffer []string
	// Err is the last error met while listing; empty when the list is known.
	Err string
	// PeersErr tells why the leader could not be asked for its active peers; see Member.Peer.
	PeersErr string
	// ListenAgain is after which time the leader can be asked again in order to prove that a peer is silent, which is
	// taken for active until then; zero when that would tell nothing new.
	ListenAgain time.Duration
}

// ForeignMember is a listed member at a peer URL that is none of the cluster's.
type ForeignMember struct {
	ID       uint64
	PeerURLs []string
	Learner  bool
}

// Alarm of etcd.
type Alarm struct {
	// Type is NOSPACE or CORRUPT.
	Type string
	// Member is the name of the member that raised it, or its ID when it is no longer a member.
	Member string
	// ID of that member; 0 when etcd does not know which one it is.
	ID uint64
}

// Leftovers are objects that belong to no member.
type Leftovers struct {
	// Pods of removed members and of earlier generations.
	Pods []Pod
	// Volumes that are retired or of an earlier generation: never started again.
	Volumes []Volume
	// Foreign are objects that carry the cluster's label or name but are owned by something else, such as a
	// predecessor of the same name that is being collected. They are waited for, never used.
	Foreign []ForeignObject
}

// ForeignObject carries the cluster's label or name, but is not used by it.
type ForeignObject struct {
	Kind string
	Name string
	// Problem tells what is wrong with the cluster's own object; empty when it belongs to something else.
	Problem string
}

func (o ForeignObject) String() string {
	if o.Problem == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Name + " (" + o.Problem + ")"
}

// Node is what matters of a Kubernetes node.
type Node struct {
	Ready bool
	// NotReadySince is when it ceased to be ready, or when this operator first saw that if that was later; zero while it
	// is ready, or when that is not known.
	NotReadySince time.Time
	// OutOfService tells that the node carries the taint node.kubernetes.io/out-of-service: an administrator vouches
	// that nothing runs there any more.
	OutOfService bool
	// Unschedulable tells that the node is cordoned.
	Unschedulable bool
	// Repels tells that it has a taint that the members do not tolerate, other than those that Kubernetes sets and
	// removes by itself (node.kubernetes.io/...).
	Repels bool
}

// PeerService is what matters of the headless Service of the peers.
type PeerService struct {
	// IPv6 tells that its first IP family is IPv6: members listen on [::] then.
	IPv6 bool
}

// DisruptionBudget is the PodDisruptionBudget as Kubernetes reports it.
type DisruptionBudget struct {
	// MinAvailable that its spec asks for.
	MinAvailable int
	// Observed tells that the disruption controller has seen this spec, and that no eviction it granted is pending.
	Observed bool
	// Expected is the number of Pods that the disruption controller counts.
	Expected int
}

// Latch records the bootstrap. It is created exclusively before the first Pod and lives as long as the volumes.
type Latch struct {
	// UID and ResourceVersion of the object that holds it.
	UID             types.UID
	ResourceVersion string
	// Owner is the UID of the EtcdCluster that owns it; empty with reclaimPolicy Retain.
	Owner types.UID
	// Terminating tells that the object is being deleted.
	Terminating bool
	// Generation counts bootstraps: 1, and one more for each that failed before a quorum was ever seen.
	Generation int64
	// Since is when this generation began.
	Since time.Time
	// Token is etcd's --initial-cluster-token, unique to this generation.
	Token string
	// Size is the number of members that bootstrap starts.
	Size int
	// Version of etcd that was chosen when the latch was made, or last for a cluster without spec.version.
	Version string
	// LogSince is the earliest minor, such as "3.6", of which the members' logs may hold entries; empty when not known.
	LogSince string
	// Snapshots are the members that have saved a snapshot since, so that their logs hold none of them.
	Snapshots []uint64
	// Saving tells that etcd's downgrade was enabled only to have snapshots saved, and that no member has been given the
	// lower minor since.
	Saving bool
	// InitialCluster is etcd's --initial-cluster of this generation.
	InitialCluster string
	// Launched are the members whose volume (or, when ephemeral, Pod) was created or may have been: the ID is written
	// here before. One whose volume is missing has lost its data, and must not start empty.
	Launched []uint64
	// Formed tells that a quorum of sealed members was seen: from then on there is no bootstrap, ever.
	Formed bool
	// ClusterID that etcd derives from InitialCluster and Token.
	ClusterID uint64
}

// ReclaimPolicy is the policy that the spec asks for, or its default.
func (c *Cluster) ReclaimPolicy() v1alpha1.ReclaimPolicy {
	s := c.Object.Spec.Storage
	if s.Ephemeral != nil {
		return v1alpha1.ReclaimDelete
	}
	return ptr.Deref(s.ReclaimPolicy, v1alpha1.ReclaimRetain)
}

// Ephemeral tells whether the members keep their data in their Pods.
func (c *Cluster) Ephemeral() bool { return c.Object.Spec.Storage.Ephemeral != nil }

// Replicas is the number of voters that the spec asks for.
func (c *Cluster) Replicas() int {
	return int(ptr.Deref(c.Object.Spec.Replicas, 3))
}

// Version is the etcd version that the cluster shall run: the spec's, else the one chosen at its creation.
func (c *Cluster) Version() string {
	switch {
	case ptr.Deref(c.Object.Spec.Version, "") != "":
		return *c.Object.Spec.Version
	case c.Latch != nil && c.Latch.Version != "":
		return c.Latch.Version
	default:
		return c.DefaultVersion
	}
}

// Hibernated tells that the members shall be stopped and their data be kept. A bootstrap is finished first; data in
// Pods would not be kept.
func (c *Cluster) Hibernated() bool {
	return ptr.Deref(c.Object.Spec.Hibernated, false) && c.Formed() && !c.Ephemeral()
}

// Formed tells that a quorum was once seen: data may have been acknowledged, and there is no bootstrap any more.
func (c *Cluster) Formed() bool { return c.Latch != nil && c.Latch.Formed }
