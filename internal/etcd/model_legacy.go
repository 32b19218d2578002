package etcd

import "slices"

const (
	// lastLegacyMinor is the last one whose servers write entries that those since forgetfulMinor cannot read: requests of
	// the v2 API, by which they publish themselves and set the cluster version (server v3.5 etcdserver/server.go, publish
	// and updateClusterVersionV2; v3.7 etcdserver/apply/apply.go).
	lastLegacyMinor = 5
	forgetfulMinor  = 7
	cannotRead      = "panic: unmarshal should never fail (proto: cannot parse invalid wire-format data)"
)

// stamped marks an entry that a server of the minor writes, if it is of the v2 API.
func stamped(e *entry, minor int) *entry {
	e.legacy = minor <= lastLegacyMinor
	return e
}

// unreadable tells that a server of the minor cannot apply one of the entries up to an index which its data directory,
// or a leader, gives it: those that a snapshot covers are never looked at again.
func (d *disk) unreadable(minor, from, to int) bool {
	from = max(from, d.snapshot)
	return minor >= forgetfulMinor && from < to &&
		slices.ContainsFunc(d.log[from:to], func(e *entry) bool { return e.legacy })
}

// snapshotFrom has a member whose log ends before what the leader holds in memory begins take a snapshot of the leader.
// The leader's memory begins where its own snapshot ended when it started: a snapshot that it saved since drops nothing
// (server etcdserver/server.go, compactRaftLog keeps 5,000 entries).
func (p *process) snapshotFrom(leader *process) {
	if len(p.disk.log) < leader.first {
		p.disk.snapshot, p.first = leader.disk.commit, leader.disk.commit
	}
}
