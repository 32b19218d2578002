// Package etcd is the operator's narrow view of etcd: what it asks a member, and how it changes the membership.
// Pool implements it over clientv3; Model is the stateful stand-in that tests and the simulation use.
package etcd

import (
	"context"
	"errors"
)

// Errors by which a membership call is answered. Any other error leaves the outcome unknown: list again and see.
var (
	// ErrLater means that etcd refuses the call for now: members are not connected for long enough
	// (etcdserver.HealthInterval, 5 s), too few are started, a learner is not in sync, or the ID that the addition would
	// get in this second was removed before. It is never a failure.
	ErrLater = errors.New("etcd refuses the membership change for now")
	// ErrNotFound means that the member is not, or no longer, in the list.
	ErrNotFound = errors.New("member not found")
	// ErrExists means that a member with this peer URL is listed already.
	ErrExists = errors.New("a member with this peer URL exists")
	// ErrNotLearner means that the member to promote votes already.
	ErrNotLearner = errors.New("member is not a learner")
	// ErrTooManyLearners means that a learner is listed already (--max-learners).
	ErrTooManyLearners = errors.New("too many learners")
	// ErrNotLeader means that the call must go to the leader, and this member is not the leader.
	ErrNotLeader = errors.New("not the leader")
)

// Target names the process behind a Pod that a client speaks to.
type Target struct {
	// Cluster is "namespace/name" of the EtcdCluster: the key under which connection changes are reported.
	Cluster string
	// PodUID keys the client: a re-created Pod is another process, and gets another connection.
	PodUID string
	// Address is the host and port that is dialled: the Pod's IP, so that the operator needs no DNS.
	Address string
	// TLS tells that the member speaks TLS.
	TLS bool
	// ServerName is the member's DNS name; with TLS the certificate must be valid for it.
	ServerName string
}

// Member is an entry of etcd's member list.
type Member struct {
	ID         uint64
	Name       string
	PeerURLs   []string
	ClientURLs []string
	Learner    bool
}

// Started tells whether the member has published itself: only then are its client URLs in the list.
// A name proves nothing: bootstrap writes names (etcd server/etcdserver/api/membership).
func (m Member) Started() bool { return len(m.ClientURLs) > 0 }

// Status is a member's answer about itself. It needs no quorum, but a member that started without one does not answer.
type Status struct {
	ClusterID      uint64
	MemberID       uint64
	Version        string
	Leader         uint64 // 0 when the member knows no leader
	Term           uint64
	Committed      uint64 // raft index committed, as this member knows it
	Applied        uint64 // raft index applied
	Revision       int64  // latest revision of its data
	Learner        bool
	DBSize         int64 // bytes
	DBSizeInUse    int64 // bytes
	DBSizeQuota    int64 // bytes; 0 before etcd 3.6, which does not tell it
	Errors         []string
	StorageVersion string
	// DowngradeTarget is the minor, such as "3.6", to which a downgrade is enabled; empty when none is.
	DowngradeTarget string
}

// MemberList is a linearizable list, with the cluster ID of the header it came with.
type MemberList struct {
	ClusterID uint64
	Members   []Member
}

// AlarmType is the kind of an alarm.
type AlarmType string

// The alarms of etcd.
const (
	AlarmNoSpace AlarmType = "NOSPACE"
	AlarmCorrupt AlarmType = "CORRUPT"
)

// Alarm is raised by a member; MemberID 0 means that etcd could not tell which member is corrupt.
type Alarm struct {
	MemberID uint64
	Type     AlarmType
}

// Client speaks to one member. Every call has a deadline of its own, within the context's.
// Calls that change the membership are sent once: after an error that is none of this package's the outcome is unknown.
type Client interface {
	// Status asks the member about itself. It is the only call that a learner answers.
	Status(ctx context.Context) (Status, error)
	// Members lists the members linearizably: it needs a quorum and fails on a learner.
	Members(ctx context.Context) (MemberList, error)
	// Read does one linearizable read: a success proves that a majority serves.
	Read(ctx context.Context) error
	// Alarms lists the alarms that are raised. It needs a quorum, and every call is an entry in etcd's log: ask only when
	// Status.Errors tells of an alarm.
	Alarms(ctx context.Context) ([]Alarm, error)
	// HashKV hashes the member's own data up to a revision that it has (Status.Revision is its latest). It costs a full
	// read of the database.
	HashKV(ctx context.Context, revision int64) (Hash, error)
	// Disarm ends an alarm. It needs a quorum; an alarm that is not raised is no error.
	Disarm(ctx context.Context, a Alarm) error
	// AddLearner adds a learner with this peer URL and returns its ID. ErrExists, ErrTooManyLearners, ErrLater.
	AddLearner(ctx context.Context, peerURL string) (uint64, error)
	// Promote makes a learner a voter. ErrNotLearner, ErrNotFound, ErrLater.
	Promote(ctx context.Context, id uint64) error
	// Remove removes a member for ever: raft never lets its ID vote again. ErrNotFound, ErrLater.
	Remove(ctx context.Context, id uint64) error
	// MoveLeader hands the leadership to another voter, and returns when that one leads. ErrNotLeader unless this member
	// leads; any other error leaves open who does.
	MoveLeader(ctx context.Context, to uint64) error
	Maintenance
	Versions
	Downgrader
}

// Dialer hands out clients. Client never blocks on the network, the first call does; it fails for a target without an
// address. A client stays valid until its Pod's address changes or Retain drops it: ask for it anew in every reconcile.
type Dialer interface {
	Client(t Target) (Client, error)
	// Retain closes the clients of the cluster whose Pods are not among keep; with no keep, all of them.
	Retain(cluster string, keep []string)
}
