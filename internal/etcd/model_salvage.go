package etcd

import "maps"

// LogReport is what a member's data directory tells about its log.
type LogReport struct {
	ClusterID, MemberID, Term, Commit, LastTerm, LastIndex uint64
	// Voters at the end of the log, and the Names of all members.
	Voters []uint64
	Names  map[uint64]string
}

// Inspect reads the log, committed or not; false when there is none.
func (d *DataDir) Inspect() (LogReport, bool) {
	if d.disk == nil {
		return LogReport{}, false
	}
	view := d.disk.atEnd()
	r := LogReport{
		ClusterID: d.disk.cluster, MemberID: d.disk.member, Term: d.disk.term, Commit: uint64(d.disk.commit),
		LastTerm: d.disk.lastTerm(), LastIndex: uint64(len(d.disk.log)), Names: map[uint64]string{},
	}
	for _, m := range view.members {
		if !m.learner {
			r.Voters = append(r.Voters, m.id)
		}
		if m.name != "" {
			r.Names[m.id] = m.name
		}
	}
	return r, true
}

// InUse tells that a process runs on the directory.
func (d *DataDir) InUse() bool { return d.owner != nil }

// atEnd is the state machine after the whole log.
func (d *disk) atEnd() view {
	v := d.view
	for _, e := range d.log[d.commit:] {
		copied := *e
		v.apply(&copied, 1)
	}
	return v
}

// Salvage fills a directory with everything in the log of another, as the only member of a new cluster: what the whole
// log wrote counts as acknowledged there.
func (m *Model) Salvage(from, into *DataDir, name, peerURL, token string) {
	whole := from.disk.atEnd()
	id := memberID(peerURL, token)
	self := listed{id: id, name: name, peerURL: peerURL}
	d := &disk{
		cluster: clusterID([]uint64{id}), member: id, term: 1, storage: from.disk.storage, file: whole.store.inUse(),
	}
	d.log = append(d.log, &entry{term: 1, kind: entryAdd, member: self})
	maps.DeleteFunc(m.removed, func(i identity, _ bool) bool { return i.cluster == d.cluster })
	var writes []write
	for _, w := range m.writes {
		if w.cluster != d.cluster {
			writes = append(writes, w)
		}
	}
	for _, e := range from.disk.log {
		if e.kind == entryPut {
			copied := &entry{term: 1, kind: entryPut, value: e.value}
			d.log = append(d.log, copied)
			writes = append(writes, write{cluster: d.cluster, index: len(d.log), entry: copied})
		}
	}
	m.writes = writes
	d.commit, d.snapshot = len(d.log), len(d.log)
	d.view = view{members: []listed{self}, minor: whole.minor, store: whole.store}
	m.ran[d.id()] = d
	into.disk = d
}
