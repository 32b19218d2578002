package etcd

import (
	"fmt"
	"slices"
	"time"
)

// Model is an etcd for tests and simulations: processes with data directories, raft reduced to instant elections and
// replication, and etcd's own rules for bootstrap and membership, as the server has them by default
// (--strict-reconfig-check). It is deterministic, starts no goroutine, never waits, and is not safe for concurrent use.
// Nothing happens between two calls: Tick lets time work (elections, publishing, the exit of removed members).
//
// It keeps the logs of all members, so that it sees what etcd cannot see: a member that started without its memory, and
// an acknowledged write that a new leader lacks.
type Model struct {
	// Fault decides what becomes of a call of the operator; nil lets all through. It may change the model.
	Fault func(Call) Outcome

	opts        ModelOptions
	pods        map[string]*process // the last process of each Pod
	running     []*process          // in the order of their start
	isolated    map[string]bool     // by Pod UID: cut off from all other members
	unreachable map[string]bool     // by Pod UID: cut off from the operator
	ran         map[identity]*disk  // what each member ID last ran on
	removed     map[identity]bool
	alarms      map[uint64][]Alarm // by cluster ID
	corrupt     map[*disk]bool
	writes      []write
	clusters    []uint64
	violations  []Violation
}

// ModelOptions set the pace of a Model.
type ModelOptions struct {
	// Now is the clock: for IDs of added members, and for the time that members are connected.
	Now func() time.Time
	// ElectionTicks without a leader (or, for a leader, without a quorum) end a leadership and allow an election. 1 if 0.
	ElectionTicks int
	// SyncTicks are needed to bring a member with an empty log up to date. 1 if 0.
	SyncTicks int
}

// identity is a member of a cluster.
type identity struct{ cluster, member uint64 }

// write is an acknowledged write: its entry is at this index of the log of the cluster.
type write struct {
	cluster uint64
	index   int
	entry   *entry
}

// NewModel returns a world without processes.
func NewModel(opts ModelOptions) *Model {
	opts.ElectionTicks = max(opts.ElectionTicks, 1)
	opts.SyncTicks = max(opts.SyncTicks, 1)
	return &Model{
		opts: opts, pods: map[string]*process{}, isolated: map[string]bool{}, unreachable: map[string]bool{},
		ran: map[identity]*disk{}, removed: map[identity]bool{}, alarms: map[uint64][]Alarm{},
		corrupt: map[*disk]bool{},
	}
}

// ViolationKind names what must never happen.
type ViolationKind string

const (
	// Amnesia is a member that started under its ID without what it had stored or voted for.
	Amnesia ViolationKind = "Amnesia"
	// Reincarnation is a member that started on another data directory under an ID that had run before, at a time when
	// there was nothing to forget yet.
	Reincarnation ViolationKind = "Reincarnation"
	// RemovedStarted is a process on the data directory of a member that was removed.
	RemovedStarted ViolationKind = "RemovedStarted"
	// DuplicateMember is a second process that runs as a member while the first still does.
	DuplicateMember ViolationKind = "DuplicateMember"
	// SharedDataDir is a second process on a data directory that is in use.
	SharedDataDir ViolationKind = "SharedDataDir"
	// LostWrite is an acknowledged write that a leader lacks, or that no data directory of a voter holds any more.
	LostWrite ViolationKind = "LostWrite"
	// TwoLeaders are two leaders in one term, and a member that crashed because its log contradicts the leader's.
	TwoLeaders ViolationKind = "TwoLeaders"
)

// Violation is something that must never happen, and happened.
type Violation struct {
	Kind      ViolationKind
	At        time.Time
	ClusterID uint64
	MemberID  uint64
	Detail    string
}

// String renders the violation for a test failure.
func (v Violation) String() string {
	return fmt.Sprintf("%s: member %x of cluster %x: %s", v.Kind, v.MemberID, v.ClusterID, v.Detail)
}

// Violations are all that happened, in their order.
func (m *Model) Violations() []Violation { return m.violations }

func (m *Model) violate(kind ViolationKind, id identity, format string, args ...any) {
	m.violations = append(m.violations, Violation{
		Kind: kind, At: m.opts.Now(), ClusterID: id.cluster, MemberID: id.member, Detail: fmt.Sprintf(format, args...),
	})
}

// Clusters are the IDs of the clusters that ever had a leader, in the order of their first elections: more than one
// means that a cluster was bootstrapped again.
func (m *Model) Clusters() []uint64 { return m.clusters }

// SetAlarms replaces the alarms of a cluster.
func (m *Model) SetAlarms(clusterID uint64, alarms ...Alarm) { m.alarms[clusterID] = alarms }

// Put writes through the member in the Pod. Without an error the write is acknowledged: it must survive. After an error
// it may or may not have been stored.
func (m *Model) Put(podUID, value string) error {
	p, err := m.serving(podUID)
	if err != nil {
		return err
	}
	if p.disk.view.isLearner(p.disk.member) {
		return errNotForLearners
	}
	leader := m.leaderFor(p)
	if leader == nil {
		return errTimedOut
	}
	e := &entry{kind: entryPut, value: value}
	if !m.propose(leader, e) {
		return errTimedOut
	}
	m.writes = append(m.writes, write{cluster: leader.disk.cluster, index: leader.disk.commit, entry: e})
	return nil
}

// AcknowledgedWrites are the values of all acknowledged writes to a cluster, in their order.
func (m *Model) AcknowledgedWrites(clusterID uint64) []string {
	values := []string(nil)
	for _, w := range m.writes {
		if w.cluster == clusterID {
			values = append(values, w.entry.value)
		}
	}
	return values
}

// AckedWritesSurvive tells which acknowledged writes are lost: a leader with a quorum lacks them, or, while there is
// none, no data directory of a member that is not removed holds them. A write on a minority of disks is not lost yet.
// A simulation that destroys the disks of a majority must expect losses.
func (m *Model) AckedWritesSurvive() []Violation {
	lost, where := []Violation(nil), map[uint64][]*disk{}
	for _, w := range m.writes {
		disks, known := where[w.cluster]
		if !known {
			disks = m.deciding(w.cluster)
			where[w.cluster] = disks
		}
		if !slices.ContainsFunc(disks, func(d *disk) bool { return d.holds(w) }) {
			lost = append(lost, Violation{Kind: LostWrite, At: m.opts.Now(), ClusterID: w.cluster,
				Detail: fmt.Sprintf("acknowledged write %q is on none of %d data directories", w.entry.value, len(disks))})
		}
	}
	return lost
}

// deciding returns the disk of the cluster's leader, or all disks from which a leader could come.
func (m *Model) deciding(cluster uint64) []*disk {
	disks := []*disk(nil)
	for _, p := range m.running {
		if p.leading && p.disk.cluster == cluster && m.hasQuorum(p) {
			return []*disk{p.disk}
		}
	}
	for id, d := range m.ran {
		if id.cluster == cluster && !m.removed[id] && !d.destroyed {
			disks = append(disks, d)
		}
	}
	return disks
}
