package etcd

import (
	"context"
	"errors"
	"fmt"
)

// Method names a method of Client.
type Method string

// The methods of Client.
const (
	MethodStatus     Method = "Status"
	MethodMembers    Method = "Members"
	MethodRead       Method = "Read"
	MethodAlarms     Method = "Alarms"
	MethodAddLearner Method = "AddLearner"
	MethodPromote    Method = "Promote"
	MethodRemove     Method = "Remove"
	MethodMoveLeader Method = "MoveLeader"
)

// Call is one call of the operator.
type Call struct {
	Target  Target
	Method  Method
	PeerURL string // of AddLearner
	ID      uint64 // of Promote, Remove and MoveLeader
	Minor   string // of EnableDowngrade
	// Revision of Compact.
	Revision int64
}

// Outcome is what becomes of a call.
type Outcome int

const (
	// OK lets the call through.
	OK Outcome = iota
	// DropRequest loses the call before the member sees it.
	DropRequest
	// LoseReply lets the member act, and loses its answer.
	LoseReply
)

var (
	errRequestLost = errors.New("connection lost before the request was sent")
	errReplyLost   = errors.New("connection lost while waiting for the reply")
	errUnreachable = errors.New("context deadline exceeded: cannot connect")
	errNotServing  = errors.New("context deadline exceeded: the member does not serve clients")
)

// Dialer returns a Dialer over the model's processes. A client finds the process that runs in the Pod at the time of a
// call, if it has the target's address. No call waits: what would end by a deadline fails at once.
func (m *Model) Dialer() Dialer { return modelDialer{m} }

type modelDialer struct{ model *Model }

func (d modelDialer) Client(t Target) (Client, error) {
	if t.Address == "" || t.PodUID == "" || t.Cluster == "" {
		return nil, fmt.Errorf("etcd client of Pod %q in cluster %q: address %q: all three are needed",
			t.PodUID, t.Cluster, t.Address)
	}
	return modelClient{d.model, t}, nil
}

func (d modelDialer) Retain(string, []string) {}

type modelClient struct {
	model  *Model
	target Target
}

// serving returns the process in the Pod if it serves clients.
func (m *Model) serving(podUID string) (*process, error) {
	p := m.pods[podUID]
	if p == nil || p.ended {
		return nil, errUnreachable
	}
	if !p.ready {
		return nil, errNotServing
	}
	return p, nil
}

// call does what a call does at the member, and what the network does to it.
func (c modelClient) call(ctx context.Context, call Call, do func(p *process) error) error {
	call.Target = c.target
	err := c.model.answer(ctx, call, do)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at %s: %w", call.Method, c.target.Address, err)
}

func (m *Model) answer(ctx context.Context, call Call, do func(p *process) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	outcome := OK
	if m.Fault != nil {
		outcome = m.Fault(call)
	}
	if outcome == DropRequest {
		return errRequestLost
	}
	p, err := m.serving(call.Target.PodUID)
	if err != nil {
		return err
	}
	if m.unreachable[call.Target.PodUID] || p.cfg.Address != call.Target.Address {
		return errUnreachable
	}
	if call.Method != MethodStatus && call.Method != MethodClusterVersion && p.disk.view.isLearner(p.disk.member) {
		return errNotForLearners
	}
	err = do(p)
	if outcome == LoseReply {
		return errReplyLost
	}
	return meaning(err)
}

// meaning gives a refusal the meaning that the Pool gives it.
func meaning(err error) error {
	var known error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnhealthy), errors.Is(err, errNotEnoughStarted), errors.Is(err, errLearnerNotReady),
		errors.Is(err, errDowngradeInProcess):
		known = ErrLater
	case errors.Is(err, errMemberNotFound):
		known = ErrNotFound
	case errors.Is(err, errPeerURLExists):
		known = ErrExists
	case errors.Is(err, errNotALearner):
		known = ErrNotLearner
	case errors.Is(err, errTooManyLearners):
		known = ErrTooManyLearners
	case errors.Is(err, errNotLeader):
		known = ErrNotLeader
	default:
		return err
	}
	return fmt.Errorf("%w: %w", known, err)
}

// linearizable fails unless the member's leader has a quorum now.
func (m *Model) linearizable(p *process) error {
	leader := m.leaderFor(p)
	if leader == nil || !m.hasQuorum(leader) || p.disk.commit < leader.disk.commit {
		return errTimedOut
	}
	return nil
}

func (c modelClient) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, Call{Method: MethodStatus}, func(p *process) error {
		d := p.disk
		s = Status{
			ClusterID: d.cluster, MemberID: d.member, Version: p.cfg.Version, Leader: p.lead, Term: d.term,
			Committed: uint64(d.commit), Applied: uint64(d.commit), Learner: d.view.isLearner(d.member),
			Revision: d.view.store.revision(), DBSize: d.file, DBSizeInUse: d.view.store.inUse(),
		}
		if p.minor >= 6 {
			s.DBSizeQuota = p.quota()
		}
		if p.minor >= 6 && d.storage != 0 {
			s.StorageVersion = minorName(d.storage) + ".0"
		}
		if p.minor >= 6 && d.view.downgrade != 0 {
			s.DowngradeTarget = minorName(d.view.downgrade)
		}
		if p.lead == 0 {
			s.Errors = append(s.Errors, "etcdserver: no leader")
		}
		for _, a := range c.model.alarms[d.cluster] {
			s.Errors = append(s.Errors, fmt.Sprintf("memberID:%d alarm:%s ", a.MemberID, a.Type))
		}
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	return s, nil
}

func (c modelClient) Members(ctx context.Context) (list MemberList, err error) {
	err = c.call(ctx, Call{Method: MethodMembers}, func(p *process) error {
		if err := c.model.linearizable(p); err != nil {
			return err
		}
		list = p.disk.list()
		return nil
	})
	if err != nil {
		return MemberList{}, err
	}
	return list, nil
}

func (c modelClient) Read(ctx context.Context) error {
	return c.call(ctx, Call{Method: MethodRead}, c.model.linearizable)
}

func (c modelClient) Alarms(ctx context.Context) (alarms []Alarm, err error) {
	err = c.call(ctx, Call{Method: MethodAlarms}, func(p *process) error {
		alarms = append([]Alarm(nil), c.model.alarms[p.disk.cluster]...)
		return c.model.linearizable(p)
	})
	if err != nil {
		return nil, err
	}
	return alarms, nil
}

func (c modelClient) AddLearner(ctx context.Context, peerURL string) (id uint64, err error) {
	err = c.call(ctx, Call{Method: MethodAddLearner, PeerURL: peerURL}, func(p *process) error {
		id, err = c.model.addLearner(p, peerURL)
		if errors.Is(err, errIDRemoved) {
			return fmt.Errorf("%w: the ID for this second was removed before", ErrLater)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

func (c modelClient) Promote(ctx context.Context, id uint64) error {
	return c.call(ctx, Call{Method: MethodPromote, ID: id}, func(p *process) error { return c.model.promote(p, id) })
}

func (c modelClient) Remove(ctx context.Context, id uint64) error {
	return c.call(ctx, Call{Method: MethodRemove, ID: id}, func(p *process) error {
		err := c.model.remove(p, id)
		if errors.Is(err, errIDRemoved) {
			return errMemberNotFound
		}
		return err
	})
}

func (c modelClient) MoveLeader(ctx context.Context, to uint64) error {
	return c.call(ctx, Call{Method: MethodMoveLeader, ID: to}, func(p *process) error { return c.model.moveLeader(p, to) })
}
