package etcd

import "slices"

// DataDir is the data directory of a process: what persists over restarts. The zero value is an empty volume.
type DataDir struct {
	disk  *disk    // nil when there is no write-ahead log
	owner *process // the process that runs on it
}

// Wipe loses the volume's content; a process that runs on it dies.
func (d *DataDir) Wipe() {
	if d.owner != nil {
		d.owner.exit(2, "the data directory is gone")
	}
	if d.disk != nil {
		d.disk.destroyed = true
	}
	d.disk = nil
}

// Clone is another volume with the same content, as a volume snapshot or a backup tool makes it.
func (d *DataDir) Clone() *DataDir {
	if d.disk == nil {
		return &DataDir{}
	}
	c := *d.disk
	c.log = slices.Clip(c.log) // entries are shared, what is appended is not
	return &DataDir{disk: &c}
}

// Empty tells whether there is no write-ahead log.
func (d *DataDir) Empty() bool { return d.disk == nil }

// MemberID is the member that the directory belongs to; 0 when it is empty.
func (d *DataDir) MemberID() uint64 {
	if d.disk == nil {
		return 0
	}
	return d.disk.member
}

// ClusterID is the cluster that the directory belongs to; 0 when it is empty.
func (d *DataDir) ClusterID() uint64 {
	if d.disk == nil {
		return 0
	}
	return d.disk.cluster
}

// disk is the content of a data directory: raft's log and hard state, and the state machine at the commit index.
type disk struct {
	cluster, member uint64
	term            uint64
	voted           bool     // it voted once, for itself or another
	log             []*entry // entries never change; slices of them are shared between disks and clipped before appending
	commit          int      // number of entries that are committed and applied
	view            view
	file            int64 // size of the database file, in bytes: it shrinks by a defragmentation only
	destroyed       bool
	snapshot        int // number of entries that the last snapshot covers
	storage         int // minor of the storage version; 0 before 3.6 wrote one
}

func (d *disk) id() identity { return identity{d.cluster, d.member} }

func (d *disk) holds(w write) bool { return len(d.log) >= w.index && d.log[w.index-1] == w.entry }

func (d *disk) lastTerm() uint64 {
	if len(d.log) == 0 {
		return 0
	}
	return d.log[len(d.log)-1].term
}

// upToDate tells whether raft lets d vote for a candidate with the log of c.
func (d *disk) upToDate(c *disk) bool {
	if c.lastTerm() != d.lastTerm() {
		return c.lastTerm() > d.lastTerm()
	}
	return len(c.log) >= len(d.log)
}

// applyTo applies entries up to a commit index, as a member with this limit of learners.
func (d *disk) applyTo(commit, maxLearners int) {
	for ; d.commit < commit; d.commit++ {
		e, minor := d.log[d.commit], d.view.minor
		d.view.apply(e, maxLearners)
		if e.kind == entryVersion && e.minor < minor {
			d.snapshot = d.commit + 1 // server etcdserver/apply/backend.go, ClusterVersionSet
		}
		d.file = max(d.file, d.view.store.inUse())
	}
}

// follow replaces what differs from the leader's log, as raft does: entries are compared by index and term only. It
// returns how many entries were found equal.
func (d *disk) follow(leader []*entry) int {
	equal := min(len(d.log), len(leader))
	for equal > 0 && d.log[equal-1].term != leader[equal-1].term {
		equal--
	}
	switch {
	case equal == len(leader): // nothing is missing; what is longer conflicts with the next entry only
	case equal == 0 || d.log[equal-1] == leader[equal-1]:
		d.log = slices.Clip(leader)
	default:
		d.log = append(slices.Clip(d.log[:equal]), leader[equal:]...)
	}
	return equal
}

type entryKind uint8

const (
	entryNoop entryKind = iota
	entryPut
	entryOverwrite
	entryCompact
	entryPublish
	entryVersion
	entryDowngrade
	entryAdd
	entryPromote
	entryRemove
)

func (k entryKind) changesMembership() bool { return k >= entryAdd }

// entry is one entry of the raft log.
type entry struct {
	term   uint64
	kind   entryKind
	member listed
	minor  int    // of entryVersion; of entryDowngrade its target, 0 to cancel
	value  string // of entryPut
	number int64  // of entryOverwrite its size in bytes, of entryCompact the revision
	legacy bool   // written by the v2 API of etcd 3.5
	err    error  // why applying it was refused, the same on every member
}

// listed is a member as the member list has it.
type listed struct {
	id        uint64
	name      string
	peerURL   string
	clientURL string
	learner   bool
}

// view is what a member has applied: the membership, and the size of its store.
type view struct {
	members []listed // ordered by ID; replaced, never changed in place
	removed []uint64 // append-only
	minor   int      // of the cluster version; 0 while it is undecided
	store   store
	// downgrade is the minor to which a downgrade is enabled; 0 when none is.
	downgrade int
}

func (v *view) find(id uint64) (listed, bool) {
	for _, m := range v.members {
		if m.id == id {
			return m, true
		}
	}
	return listed{}, false
}

func (v *view) isLearner(id uint64) bool {
	m, ok := v.find(id)
	return ok && m.learner
}

func (v *view) isVoter(id uint64) bool {
	m, ok := v.find(id)
	return ok && !m.learner
}

func (v *view) voters() int {
	n := 0
	for _, m := range v.members {
		if !m.learner {
			n++
		}
	}
	return n
}

func (v *view) learners() int { return len(v.members) - v.voters() }

func (v *view) quorum() int { return v.voters()/2 + 1 }

func (v *view) hasRemoved(id uint64) bool { return slices.Contains(v.removed, id) }

func (v *view) apply(e *entry, maxLearners int) {
	switch e.kind {
	case entryNoop:
	case entryPut, entryOverwrite:
		v.store.put(e)
	case entryCompact:
		e.err = v.store.compact(e.number)
	case entryVersion:
		v.minor = e.minor
	case entryDowngrade:
		v.downgrade = e.minor
	case entryPublish:
		v.replace(e.member.id, func(m *listed) { m.name, m.clientURL = e.member.name, e.member.clientURL })
	case entryAdd, entryPromote, entryRemove:
		if e.err = v.validate(e, maxLearners); e.err == nil {
			v.change(e)
		}
	}
}

func (v *view) change(e *entry) {
	switch e.kind {
	case entryAdd:
		at, _ := slices.BinarySearchFunc(v.members, e.member.id, func(m listed, id uint64) int {
			if m.id < id {
				return -1
			}
			return 1
		})
		v.members = slices.Insert(slices.Clone(v.members), at, e.member)
	case entryPromote:
		v.replace(e.member.id, func(m *listed) { m.learner = false })
	case entryRemove:
		v.members = slices.DeleteFunc(slices.Clone(v.members), func(m listed) bool { return m.id == e.member.id })
		v.removed = append(slices.Clip(v.removed), e.member.id)
	}
}

func (v *view) replace(id uint64, edit func(*listed)) {
	for i, m := range v.members {
		if m.id == id {
			v.members = slices.Clone(v.members)
			edit(&m)
			v.members[i] = m
		}
	}
}
