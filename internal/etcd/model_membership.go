package etcd

import (
	"errors"
	"strconv"
	"time"
)

// healthInterval is how long members must be connected before a membership change (etcdserver.HealthInterval).
const healthInterval = 5 * time.Second

// What the server refuses a membership change with, in its own words (etcd api/v3rpc/rpctypes/error.go).
var (
	errUnhealthy        = errors.New("etcdserver: unhealthy cluster")
	errNotEnoughStarted = errors.New("etcdserver: re-configuration failed due to not enough started members")
	errLearnerNotReady  = errors.New("etcdserver: can only promote a learner member which is in sync with leader")
	errMemberNotFound   = errors.New("etcdserver: member not found")
	errIDRemoved        = errors.New("membership: ID removed")
	errPeerURLExists    = errors.New("etcdserver: Peer URLs already exists")
	errNotALearner      = errors.New("etcdserver: can only promote a learner member")
	errTooManyLearners  = errors.New("etcdserver: too many learner members in cluster")
	errNotLeader        = errors.New("etcdserver: not leader")
	errBadTransferee    = errors.New("etcdserver: bad leader transferee")
	errNotForLearners   = errors.New("etcdserver: rpc not supported for learner")
	errTimedOut         = errors.New("etcdserver: request timed out")
)

// validate is what every member checks before it applies a membership change
// (api/membership/cluster.go, RaftCluster.ValidateConfigurationChange).
func (v *view) validate(e *entry, maxLearners int) error {
	id := e.member.id
	if v.hasRemoved(id) {
		return errIDRemoved
	}
	known, exists := v.find(id)
	switch e.kind {
	case entryAdd:
		if _, taken := findURL(v.members, e.member.peerURL); exists || taken {
			return errPeerURLExists
		}
		if e.member.learner && v.learners() >= maxLearners {
			return errTooManyLearners
		}
	case entryPromote:
		if !exists {
			return errMemberNotFound
		}
		if !known.learner {
			return errNotALearner
		}
	case entryRemove:
		if !exists {
			return errMemberNotFound
		}
	}
	return nil
}

// configure proposes a membership change through a member. raft lets one change be in flight; it replaces another by an
// empty entry, so that nobody answers.
func (m *Model) configure(p *process, e *entry) error {
	leader := m.leaderFor(p)
	if leader == nil {
		return errTimedOut
	}
	if leader.pending > leader.disk.commit {
		m.propose(leader, &entry{kind: entryNoop})
		return errTimedOut
	}
	if !m.propose(leader, e) {
		return errTimedOut
	}
	return e.err
}

// addLearner is etcdserver.EtcdServer.AddMember for a learner.
func (m *Model) addLearner(p *process, peerURL string) (uint64, error) {
	view := &p.disk.view
	// A single voter may always be joined; otherwise the new member is counted as unavailable, a learner too
	// (etcdserver/util.go, isConnectedToQuorumAfterAddingNewMemberSince).
	if voters := view.voters(); voters != 1 && m.connectedVoters(p) < (voters+1)/2+1 {
		return 0, errUnhealthy
	}
	id := memberID(peerURL, strconv.FormatInt(m.opts.Now().Unix(), 10))
	err := m.configure(p, &entry{kind: entryAdd, member: listed{id: id, peerURL: peerURL, learner: true}})
	return id, err
}

// promote is etcdserver.EtcdServer.PromoteMember; a follower forwards it to the leader.
func (m *Model) promote(p *process, id uint64) error {
	leader := m.leaderFor(p)
	if leader == nil {
		return errTimedOut
	}
	view := &leader.disk.view
	if _, exists := view.find(id); !exists {
		return errMemberNotFound
	}
	held := leader.match[id]
	if id == leader.disk.member {
		held = len(leader.disk.log)
	}
	if 10*held < 9*len(leader.disk.log) {
		return errLearnerNotReady
	}
	started, voters := 1, 1 // the learner counts as both
	for _, member := range view.members {
		if !member.learner {
			voters++
			started += startedCount(member)
		}
	}
	if started < voters/2+1 {
		return errNotEnoughStarted
	}
	return m.configure(leader, &entry{kind: entryPromote, member: listed{id: id}})
}

// remove is etcdserver.EtcdServer.RemoveMember.
func (m *Model) remove(p *process, id uint64) error {
	if err := m.mayRemove(p, id); err != nil {
		return err
	}
	return m.configure(p, &entry{kind: entryRemove, member: listed{id: id}})
}

func (m *Model) mayRemove(p *process, id uint64) error {
	view := &p.disk.view
	if view.isLearner(id) {
		return nil
	}
	started, rest := 0, 0
	for _, member := range view.members {
		if !member.learner && member.id != id {
			rest++
			started += startedCount(member)
		}
	}
	if started < rest/2+1 {
		return errNotEnoughStarted
	}
	if id != p.disk.member && p.activeSince(id).IsZero() {
		return nil
	}
	if m.connectedVoters(p)-1 < 1+(view.voters()-1)/2 {
		return errUnhealthy
	}
	return nil
}

// startedCount is 1 for a member that etcd counts as started: it has a name, which bootstrap writes already.
func startedCount(member listed) int {
	if member.name == "" {
		return 0
	}
	return 1
}

// connectedVoters counts the voters that a member has been connected to for the health interval, and itself.
func (m *Model) connectedVoters(p *process) int {
	before := m.opts.Now().Add(-healthInterval)
	n := 0
	for _, member := range p.disk.view.members {
		if member.learner {
			continue
		}
		if since := p.activeSince(member.id); member.id == p.disk.member || !since.IsZero() && since.Before(before) {
			n++
		}
	}
	return n
}

// moveLeader is etcdserver.EtcdServer.MoveLeader behind the check of the maintenance service.
func (m *Model) moveLeader(p *process, to uint64) error {
	if p.lead != p.disk.member {
		return errNotLeader
	}
	if !p.disk.view.isVoter(to) {
		return errBadTransferee
	}
	target := m.member(p, to)
	if target == nil || !m.hasQuorum(p) || len(target.disk.log) != len(p.disk.log) {
		return errTimedOut
	}
	if target == p {
		return nil
	}
	p.stepDown()
	voters := []*process{p}
	for _, member := range p.disk.view.members {
		if v := m.member(target, member.id); v != nil && !member.learner && v != p {
			voters = append(voters, v)
		}
	}
	m.crown(target, voters)
	return nil
}
