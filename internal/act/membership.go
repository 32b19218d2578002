package act

import (
	"context"
	"fmt"
	"maps"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// membership changes etcd's membership, through the leader, whose view of who is connected counts. Nothing is sent
// twice: after an unknown outcome the next observation lists again and sees.
func (e *Executor) membership(ctx context.Context, c *state.Cluster, step plan.Step) error {
	asked, err := e.leader(c)
	if s, removes := step.(plan.RemoveMember); removes && s.ID == c.Etcd.Leader {
		asked, err = e.follower(c)
	}
	if err != nil {
		return err
	}
	if err := e.sameList(ctx, c, asked); err != nil {
		return err
	}
	switch s := step.(type) {
	case plan.AddLearner:
		_, err = asked.AddLearner(ctx, s.PeerURL)
	case plan.Promote:
		err = asked.Promote(ctx, s.ID)
	case plan.MoveLeader:
		err = asked.MoveLeader(ctx, s.ToID)
	case plan.RemoveMember:
		err = asked.Remove(ctx, s.ID)
	case plan.EnableDowngrade:
		err = e.enableDowngrade(ctx, c, asked, s)
	case plan.CancelDowngrade:
		err = asked.CancelDowngrade(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// enableDowngrade records first that members of the lower minor may write to the logs, or that none will.
func (e *Executor) enableDowngrade(
	ctx context.Context, c *state.Cluster, leader etcd.Client, s plan.EnableDowngrade,
) error {
	w := &writer{Client: e.Client, live: e.Live, expect: e.Expect, observer: e.Observer, cluster: c.Object}
	if plan.Older(s.Target, c.Latch.LogSince) || len(c.Latch.Snapshots) > 0 || c.Latch.Saving != s.Save {
		err := changeLatch(ctx, w, c, func(l *state.Latch) state.Latch {
			logSince(l, s.Target)
			l.Snapshots, l.Saving = nil, s.Save
			return *l
		})
		if err != nil {
			return err
		}
	}
	return leader.EnableDowngrade(ctx, s.Target)
}

func (e *Executor) leader(c *state.Cluster) (etcd.Client, error) {
	m := c.MemberByID(c.Etcd.Leader)
	if m == nil || c.Etcd.Leader == 0 || m.Pod == nil || m.Pod.IP == "" {
		return nil, notLeader(resources.FormatID(c.Etcd.Leader))
	}
	return e.connect(c, *m)
}

// follower is who is asked to remove a leader that nobody can reach to hand over: any voter forwards the change to it
// (server/etcdserver/server.go, configure).
func (e *Executor) follower(c *state.Cluster) (etcd.Client, error) {
	for _, m := range c.Voters() {
		if m.ID != c.Etcd.Leader && m.Health == state.Healthy && m.Pod != nil {
			return e.connect(c, m)
		}
	}
	return nil, notLeader(resources.FormatID(c.Etcd.Leader))
}

func (e *Executor) connect(c *state.Cluster, m state.Member) (etcd.Client, error) {
	client, err := e.Etcd.Client(observe.Target(c.Object, *m.Pod))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", m.Name, err)
	}
	return client, nil
}

// sameList lists once more, linearizably, right before a change: the membership must still be the one that was
// planned on. A change that slips in between is refused by raft, which knows one at a time, and by max-learners.
func (e *Executor) sameList(ctx context.Context, c *state.Cluster, leader etcd.Client) error {
	list, err := leader.Members(ctx)
	if err != nil {
		return fmt.Errorf("list the members: %w", err)
	}
	planned := map[uint64]bool{}
	for _, m := range c.Members {
		planned[m.ID] = m.Learner
	}
	for _, f := range c.Etcd.Foreign {
		planned[f.ID] = f.Learner
	}
	listed := map[uint64]bool{}
	for _, m := range list.Members {
		listed[m.ID] = m.Learner
	}
	if list.ClusterID != c.Etcd.ClusterID || !maps.Equal(planned, listed) {
		return fmt.Errorf("the member list: %w", errChanged)
	}
	return nil
}
