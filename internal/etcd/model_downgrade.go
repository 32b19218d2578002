package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// The methods of Downgrader.
const (
	MethodEnableDowngrade Method = "EnableDowngrade"
	MethodCancelDowngrade Method = "CancelDowngrade"
)

var (
	errDowngradeInProcess     = errors.New("etcdserver: cluster has a downgrade job in progress")
	errInvalidDowngradeTarget = errors.New("etcdserver: invalid downgrade target version")
)

// EnableDowngrade implements Downgrader.
func (c modelClient) EnableDowngrade(ctx context.Context, minor string) error {
	return c.call(ctx, Call{Method: MethodEnableDowngrade, Minor: minor}, func(p *process) error {
		v := p.disk.view
		switch {
		case c.model.linearizable(p) != nil:
			return errTimedOut
		case minor != minorName(v.minor-1):
			return errInvalidDowngradeTarget
		case v.downgrade != 0:
			return errDowngradeInProcess
		case !c.model.propose(c.model.leaderFor(p), &entry{kind: entryDowngrade, minor: v.minor - 1}):
			return errTimedOut
		}
		return nil
	})
}

// CancelDowngrade implements Downgrader. As etcd does, it answers with a success also when it could do nothing.
func (c modelClient) CancelDowngrade(ctx context.Context) error {
	return c.call(ctx, Call{Method: MethodCancelDowngrade}, func(p *process) error {
		if c.model.linearizable(p) == nil && p.disk.view.downgrade != 0 {
			c.model.propose(c.model.leaderFor(p), &entry{kind: entryDowngrade})
		}
		return nil
	})
}

func minorName(minor int) string { return "3." + strconv.Itoa(minor) }

// decideVersion does what the leader's monitor does: it raises the cluster version to the lowest version of the members
// when all of them answer, lowers it when a downgrade is enabled, and ends the downgrade when all members are down
// (etcd server/etcdserver/version/monitor.go).
func (m *Model) decideVersion(leader *process) {
	lowest, highest := leader.minor, leader.minor
	for _, member := range leader.disk.view.members {
		p := m.member(leader, member.id)
		if p == nil {
			return
		}
		lowest, highest = min(lowest, p.minor), max(highest, p.minor)
	}
	v := leader.disk.view
	switch {
	case v.downgrade == 0 && lowest > v.minor:
		m.propose(leader, stamped(&entry{kind: entryVersion, minor: lowest}, leader.minor))
	case v.downgrade != 0 && v.downgrade == v.minor-1 && v.downgrade == lowest-1:
		m.propose(leader, &entry{kind: entryVersion, minor: v.downgrade})
	case v.downgrade != 0 && lowest == v.downgrade && highest == v.downgrade:
		m.propose(leader, &entry{kind: entryDowngrade})
	}
}

// convert brings the storage version of a member to the cluster version, which servers since 3.6 do by themselves.
func (p *process) convert() {
	if v := p.disk.view.minor; p.minor >= 6 && v != 0 && v <= p.minor && v >= p.minor-1 {
		p.disk.storage = v
	}
}

// tooNew tells how etcd exits that is too old for the data; the message is empty when it is not. Servers before 3.6
// know no storage version.
func (p *process) tooNew() (code int, message string) {
	switch {
	case p.minor >= 6 && p.disk.storage > p.minor:
		return 1, fmt.Sprintf("bootstrap failed: version %q is not supported", minorName(p.disk.storage)+".0")
	case p.minor < p.disk.view.minor:
		return 2, "panic: invalid downgrade; server version is lower than determined cluster version"
	default:
		return 0, ""
	}
}
