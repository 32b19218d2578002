package etcd

import (
	"cmp"
	"fmt"
	"slices"
)

// Tick lets time work once: removed members exit, leaders without a quorum step down, members without a leader elect
// one, logs are brought up to date, and members that can publish themselves begin to serve.
func (m *Model) Tick() {
	m.exitRemoved()
	m.reconnect()
	m.demote()
	m.follow()
	m.elect()
	for _, leader := range m.leaders() {
		m.replicate(leader)
		m.serve(leader)
		m.decideVersion(leader)
	}
	for _, p := range m.running {
		p.convert()
		if len(p.disk.log) == 0 && p.lead != 0 && p.syncLeft > 0 {
			p.syncLeft--
		}
	}
}

// exitRemoved ends the processes that learn of their removal: from their own log, or from a peer that answers 410.
func (m *Model) exitRemoved() {
	for _, p := range slices.Clone(m.running) {
		told := p.disk.view.hasRemoved(p.disk.member)
		for _, peer := range m.running {
			told = told || m.linked(p, peer) && peer.disk.view.hasRemoved(p.disk.member)
		}
		if told {
			// A member that does not serve yet may exit with 1: its listeners end first (tried with 3.5, 3.6 and 3.7).
			code := 1
			if p.ready {
				code = 0
			}
			p.exit(code, "the member has been permanently removed from the cluster")
		}
	}
}

func (m *Model) leaders() []*process {
	leaders := []*process(nil)
	for _, p := range m.running {
		if p.leading {
			leaders = append(leaders, p)
		}
	}
	return leaders
}

// demote ends the leadership of leaders without a quorum (CheckQuorum) and of those that meet a later one.
func (m *Model) demote() {
	leaders := m.leaders()
	for _, p := range leaders {
		if m.hasQuorum(p) {
			p.alone = 0
		} else if p.alone++; p.alone >= m.opts.ElectionTicks {
			p.stepDown()
		}
	}
	for _, p := range leaders {
		for _, other := range leaders {
			if p == other || !p.leading || !other.leading || !m.connected(p, other) {
				continue
			}
			if p.disk.term == other.disk.term {
				m.violate(TwoLeaders, p.disk.id(), "it leads in term %d, as member %x does", p.disk.term, other.disk.member)
			}
			if p.disk.term <= other.disk.term {
				p.stepDown()
			}
		}
	}
}

func (p *process) stepDown() { p.leading, p.lead, p.match = false, 0, nil }

// follow lets every member find its leader, or notice after a while that it has none.
func (m *Model) follow() {
	leaders := m.leaders()
	for _, p := range m.running {
		if p.leading {
			continue
		}
		leader := (*process)(nil)
		for _, l := range leaders {
			_, known := l.disk.view.find(p.disk.member)
			if known && l.leading && m.connected(l, p) && (leader == nil || l.disk.term > leader.disk.term) {
				leader = l
			}
		}
		switch {
		case leader == nil:
			if p.alone++; p.alone >= m.opts.ElectionTicks {
				p.lead = 0
			}
		case leader.disk.term < p.disk.term:
			// A message of a later term ends a leadership; the next election goes beyond that term.
			leader.disk.term = p.disk.term
			leader.stepDown()
		default:
			p.alone, p.lead, p.disk.term = 0, leader.disk.member, leader.disk.term
		}
	}
}

// elect holds the elections that are due, for the candidate with the best log first: the outcome that raft reaches in
// the end, without the rounds that fail. Pre-vote keeps terms of those that cannot win where they are.
func (m *Model) elect() {
	candidates := []*process(nil)
	for _, p := range m.running {
		if !p.leading && p.lead == 0 && p.alone >= m.opts.ElectionTicks && p.disk.view.isVoter(p.disk.member) {
			candidates = append(candidates, p)
		}
	}
	slices.SortStableFunc(candidates, func(a, b *process) int {
		return cmp.Or(cmp.Compare(b.disk.lastTerm(), a.disk.lastTerm()), cmp.Compare(len(b.disk.log), len(a.disk.log)),
			cmp.Compare(a.disk.member, b.disk.member))
	})
	for _, c := range candidates {
		if c.lead != 0 || c.ended {
			continue
		}
		if voters := m.votesFor(c); len(voters) >= c.disk.view.quorum() {
			m.crown(c, voters)
		}
	}
}

// votesFor returns who votes for a candidate: a voter in the candidate's own view, that hears no leader, and whose log
// is not ahead. A member that lost its log and its memory of earlier votes votes like any other.
func (m *Model) votesFor(c *process) []*process {
	granted := []*process(nil)
	for _, member := range c.disk.view.members {
		if member.learner {
			continue
		}
		v := m.member(c, member.id)
		if v != nil && !v.leading && v.lead == 0 && v.disk.upToDate(c.disk) {
			granted = append(granted, v)
		}
	}
	return granted
}

func (m *Model) crown(c *process, voters []*process) {
	term := uint64(0)
	for _, v := range voters {
		term = max(term, v.disk.term)
	}
	for _, v := range voters {
		v.disk.term, v.disk.voted, v.lead, v.alone = term+1, true, c.disk.member, 0
	}
	c.leading, c.match, c.pending = true, map[uint64]int{}, len(c.disk.log)
	if !slices.Contains(m.clusters, c.disk.cluster) {
		m.clusters = append(m.clusters, c.disk.cluster)
	}
	for _, w := range m.writes {
		if w.cluster == c.disk.cluster && !c.disk.holds(w) {
			m.violate(LostWrite, c.disk.id(), "it is elected in term %d without acknowledged write %q",
				c.disk.term, w.entry.value)
		}
	}
	m.propose(c, &entry{kind: entryNoop})
}

// propose appends an entry to a leader's log and tells whether it is committed at once. An entry that is not may still
// be committed later, or be replaced by another leader's.
func (m *Model) propose(leader *process, e *entry) bool {
	d := leader.disk
	e.term = d.term
	d.log = append(d.log, e)
	index := len(d.log)
	if e.kind.changesMembership() {
		leader.pending = index
	}
	m.replicate(leader)
	return !leader.ended && len(d.log) >= index && d.log[index-1] == e && d.commit >= index
}

// replicate brings the leader's followers up to date and commits what a majority holds, until nothing moves.
func (m *Model) replicate(leader *process) {
	for before := -1; before != leader.disk.commit && leader.leading; {
		before = leader.disk.commit
		for _, member := range leader.disk.view.members {
			if p := m.member(leader, member.id); p != nil && p != leader {
				m.send(leader, p)
			}
		}
		m.commit(leader)
	}
}

// send makes one follower's log and commit index the leader's.
func (m *Model) send(leader, p *process) {
	from, to := leader.disk, p.disk
	if to.term > from.term || p.leading {
		return // a later term; Tick settles it
	}
	to.term = from.term
	if heartbeat := min(leader.match[to.member], from.commit); heartbeat > len(to.log) {
		p.exit(2, fmt.Sprintf("panic: tocommit(%d) is out of range [lastIndex(%d)]. Was the raft log corrupted, "+
			"truncated, or lost?", heartbeat, len(to.log)))
		return
	}
	if len(to.log) == 0 && p.syncLeft > 0 {
		return
	}
	p.snapshotFrom(leader)
	if equal := to.follow(from.log); equal < to.commit {
		m.violate(TwoLeaders, to.id(), "committed entry %d contradicts the log of leader %x", equal+1, from.member)
		p.exit(2, fmt.Sprintf("panic: entry %d conflict with committed entry", equal+1))
		return
	}
	p.lead, p.alone = from.member, 0
	leader.match[to.member] = len(from.log)
	m.apply(p, from.commit)
}

// commit advances the leader's commit index to what a majority of the voters holds, if that is of its own term.
func (m *Model) commit(leader *process) {
	d := leader.disk
	held := make([]int, 0, len(d.view.members))
	for _, member := range d.view.members {
		switch {
		case member.learner:
		case member.id == d.member:
			held = append(held, len(d.log))
		default:
			held = append(held, leader.match[member.id])
		}
	}
	if len(held) == 0 {
		return
	}
	slices.SortFunc(held, func(a, b int) int { return b - a })
	if index := held[len(held)/2]; index > d.commit && d.log[index-1].term == d.term {
		m.apply(leader, index)
	}
}

// apply applies committed entries on a member. A removal takes effect on the connections at once.
func (m *Model) apply(p *process, commit int) {
	from := p.disk.commit
	if commit <= from {
		return
	}
	if p.disk.unreadable(p.minor, from, commit) {
		p.exit(2, cannotRead)
		return
	}
	p.disk.applyTo(commit, p.maxLearners())
	changed := false
	for _, e := range p.disk.log[from:commit] {
		if e.kind == entryRemove && e.err == nil {
			m.removed[identity{p.disk.cluster, e.member.id}] = true
			changed = true
		}
	}
	if changed {
		m.reconnect()
	}
}

// serve publishes the members that have not done so since they started: only then they serve clients.
func (m *Model) serve(leader *process) {
	for _, member := range leader.disk.view.members {
		p := m.member(leader, member.id)
		if p == nil || p.ready || p.lead != leader.disk.member || len(p.disk.log) != len(leader.disk.log) {
			continue
		}
		if _, listedSelf := p.disk.view.find(member.id); !listedSelf {
			continue
		}
		p.ready = m.propose(leader, stamped(&entry{kind: entryPublish, member: listed{
			id: member.id, name: p.cfg.Name, clientURL: p.cfg.ClientURL,
		}}, p.minor))
	}
}
