package act

import (
	"context"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// remembered hands out clients that list the cluster's members and remember who was asked for a change.
type remembered struct {
	etcd.Dialer
	cluster *state.Cluster
	asked   []string
	// foreign are listed besides: learners of somebody else.
	foreign []uint64
}

func (d *remembered) Client(t etcd.Target) (etcd.Client, error) {
	return &rememberedClient{dialer: d, pod: t.PodUID}, nil
}

type rememberedClient struct {
	etcd.Client
	dialer *remembered
	pod    string
}

func (c *rememberedClient) Members(context.Context) (etcd.MemberList, error) {
	list := etcd.MemberList{ClusterID: c.dialer.cluster.Etcd.ClusterID}
	for _, m := range c.dialer.cluster.Members {
		list.Members = append(list.Members, etcd.Member{ID: m.ID, Learner: m.Learner})
	}
	for _, id := range c.dialer.foreign {
		list.Members = append(list.Members, etcd.Member{ID: id, Learner: true})
	}
	return list, nil
}

func (c *rememberedClient) Remove(context.Context, uint64) error {
	for _, m := range c.dialer.cluster.Members {
		if string(m.Pod.UID) == c.pod {
			c.dialer.asked = append(c.dialer.asked, m.Name)
		}
	}
	return nil
}

func TestWhoIsAskedToRemoveAMember(t *testing.T) {
	for name, test := range map[string]struct {
		removed int
		want    string
	}{
		"the leader, whose view of who is connected counts":                        {removed: 2, want: "demo-0"},
		"a healthy follower, when the leader itself is removed: it may not answer": {removed: 0, want: "demo-2"},
	} {
		t.Run(name, func(t *testing.T) {
			b := statetest.Formed(3).Unreachable(1).Leader(0)
			c := b.Build()
			dialer := &remembered{cluster: c}
			err := (&Executor{Etcd: dialer}).membership(t.Context(), c, plan.RemoveMember{ID: b.ID(test.removed)})
			if err != nil || !slices.Equal(dialer.asked, []string{test.want}) {
				t.Errorf("asked are %v (%v), want %s alone", dialer.asked, err, test.want)
			}
		})
	}
}

func (c *rememberedClient) MoveLeader(_ context.Context, to uint64) error {
	c.dialer.asked = append(c.dialer.asked, c.dialer.cluster.MemberByID(to).Name)
	return nil
}

// Somebody's own learner forbids changes of the membership, but not to take the leader off a node that is drained.
func TestTheLeadershipMovesAlsoWhileAMemberIsNotOurs(t *testing.T) {
	for name, row := range map[string]struct {
		planned, listed []uint64
		want            []string
	}{
		"that was there before":  {[]uint64{0xbeef}, []uint64{0xbeef}, []string{"demo-1"}},
		"but not when it is new": {nil, []uint64{0xbeef}, nil},
		"nor when it is gone":    {[]uint64{0xbeef}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := statetest.Formed(3).Leader(0)
			c := b.Build()
			for _, id := range row.planned {
				c.Etcd.Foreign = append(c.Etcd.Foreign, state.ForeignMember{ID: id, Learner: true})
			}
			dialer := &remembered{cluster: c, foreign: row.listed}
			err := (&Executor{Etcd: dialer}).membership(t.Context(), c, plan.MoveLeader{FromID: b.ID(0), ToID: b.ID(1)})
			if _, later := Later(err); !slices.Equal(dialer.asked, row.want) || (row.want == nil) != later {
				t.Errorf("the leadership went to %v (%v), want %v", dialer.asked, err, row.want)
			}
		})
	}
}
