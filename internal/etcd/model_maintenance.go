package etcd

import (
	"context"
	"errors"
	"slices"
)

const (
	// modelDBSize is the size of a new database in bytes.
	modelDBSize = 20480
	// modelOverhead is what a revision takes besides its value, as the server's quota estimates it
	// (server/storage/quota.go, kvOverhead).
	modelOverhead = 256
	// modelDefaultQuota is etcd's own (server/storage/quota.go, DefaultQuotaBytes).
	modelDefaultQuota = 2 << 30
)

var (
	errNoSpace   = errors.New("etcdserver: mvcc: database space exceeded")
	errCompacted = errors.New("etcdserver: mvcc: required revision has been compacted")
)

// store is the key-value store that a member has applied, as far as its size goes.
type store struct {
	written   int64 // number of revisions; etcd's first write is at revision 2
	compacted int64
	live      int64 // bytes of what is the latest of its key
	latest    int64 // bytes of the latest value of the one key that is overwritten
	// replaced values that are still there, in the order of the revisions that replaced them; never changed in place.
	replaced []replaced
}

type replaced struct{ by, size int64 }

func (s store) revision() int64 { return s.written + 1 }

func (s store) inUse() int64 {
	size := modelDBSize + s.live
	for _, r := range s.replaced {
		size += r.size
	}
	return size
}

func (s *store) put(e *entry) {
	s.written++
	size := int64(len(e.value)) + modelOverhead
	if e.kind == entryOverwrite {
		size = e.number
		if s.latest > 0 {
			s.replaced = append(slices.Clip(s.replaced), replaced{by: s.revision(), size: s.latest})
		}
		s.live, s.latest = s.live-s.latest, size
	}
	s.live += size
}

func (s *store) compact(revision int64) error {
	switch {
	case revision <= s.compacted:
		return errCompacted
	case revision > s.revision():
		return errFutureRevision
	}
	s.compacted = revision
	s.replaced = slices.DeleteFunc(slices.Clone(s.replaced), func(r replaced) bool { return r.by <= revision })
	return nil
}

// Overwrite writes a value of so many bytes through the member in the Pod, always to the same key: what it replaces
// stays in the database as history until a compaction.
func (m *Model) Overwrite(podUID string, bytes int64) error {
	_, err := m.write(podUID, &entry{kind: entryOverwrite, number: bytes + modelOverhead}, bytes+modelOverhead)
	return err
}

// write proposes an entry as a client's request that costs so many bytes. The member that is asked raises the alarm
// when its file would reach its quota (server/etcdserver/api/v3rpc/quota.go); while it is raised nothing is written.
func (m *Model) write(podUID string, e *entry, cost int64) (*process, error) {
	p, err := m.serving(podUID)
	if err != nil {
		return nil, err
	}
	if p.disk.view.isLearner(p.disk.member) {
		return nil, errNotForLearners
	}
	leader := m.leaderFor(p)
	if leader == nil {
		return nil, errTimedOut
	}
	alarm := Alarm{MemberID: p.disk.member, Type: AlarmNoSpace}
	if p.disk.file+cost >= p.quota() && !slices.Contains(m.alarms[p.disk.cluster], alarm) {
		m.alarms[p.disk.cluster] = append(slices.Clone(m.alarms[p.disk.cluster]), alarm)
	}
	if slices.ContainsFunc(m.alarms[p.disk.cluster], func(a Alarm) bool { return a.Type == AlarmNoSpace }) {
		return nil, errNoSpace
	}
	if !m.propose(leader, e) {
		return nil, errTimedOut
	}
	return leader, nil
}

func (p *process) quota() int64 {
	if p.cfg.Quota == 0 {
		return modelDefaultQuota
	}
	return p.cfg.Quota
}

// The methods of Maintenance.
const (
	MethodCompacted  Method = "Compacted"
	MethodCompact    Method = "Compact"
	MethodDefragment Method = "Defragment"
)

func (c modelClient) Compacted(ctx context.Context, revision int64) (compacted bool, err error) {
	if revision <= 1 {
		return true, nil
	}
	err = c.call(ctx, Call{Method: MethodCompacted}, func(p *process) error {
		if revision-1 > p.disk.view.store.revision() {
			return errFutureRevision
		}
		compacted = revision <= p.disk.view.store.compacted
		return c.model.linearizable(p)
	})
	if err != nil {
		return false, err
	}
	return compacted, nil
}

func (c modelClient) Compact(ctx context.Context, revision int64) error {
	return c.call(ctx, Call{Method: MethodCompact, Revision: revision}, func(p *process) error {
		leader := c.model.leaderFor(p)
		e := &entry{kind: entryCompact, number: revision}
		switch {
		case leader == nil || !c.model.propose(leader, e):
			return errTimedOut
		case errors.Is(e.err, errCompacted):
			return nil
		default:
			return e.err
		}
	})
}

func (c modelClient) Defragment(ctx context.Context, _ int64) error {
	return c.call(ctx, Call{Method: MethodDefragment}, func(p *process) error {
		p.disk.file = p.disk.view.store.inUse()
		return nil
	})
}
