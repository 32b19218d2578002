package plan_test

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// onNodes makes the nodes of the slots known, of which some are cordoned.
func onNodes(slots int, cordoned ...int) func(*state.Cluster) {
	return func(c *state.Cluster) {
		for slot := range slots {
			c.Nodes["node-"+string(rune('0'+slot))] = state.Node{Ready: true}
		}
		for _, slot := range cordoned {
			c.Nodes["node-"+string(rune('0'+slot))] = state.Node{Ready: true, Unschedulable: true}
		}
	}
}

func TestTheLeaderLeavesACordonedNode(t *testing.T) {
	three := func(cordoned ...int) *statetest.Builder { return statetest.Formed(3).With(onNodes(3, cordoned...)) }
	ahead := func(slot int) func(*statetest.Builder) *statetest.Builder {
		return func(b *statetest.Builder) *statetest.Builder {
			return b.Member(slot, func(m *state.Member) { m.Probe.Applied++ })
		}
	}
	const waiting = "ScalingDown: demo-4 is to be removed"
	five := func() *statetest.Builder {
		return statetest.Formed(5).Replicas(3).With(onNodes(5, 0, 1, 2, 3)).Leader(0)
	}
	scenarios{
		"to a voter on another node":                       {cluster: three(0), step: moveLeader(three(), 0, 1)},
		"to the one that applied most":                     {cluster: ahead(2)(three(0)), step: moveLeader(three(), 0, 2)},
		"not to one on a node that is cordoned as well":    {cluster: ahead(1)(three(0, 1)), step: moveLeader(three(), 0, 2)},
		"not when a follower's node is cordoned":           {cluster: three(1)},
		"not when all nodes are: there is no better place": {cluster: three(0, 1, 2)},
		"not to a member that is not healthy": {
			cluster: three(0, 1).Crash(2), blocked: []string{"StartingMember: demo-2"},
		},
		"not to a node that is not ready": {
			cluster: three(0, 1).With(func(c *state.Cluster) { c.Nodes["node-2"] = state.Node{} }),
		},
		"not to a Pod that clients do not reach yet": {
			cluster: three(0, 1).Member(2, func(m *state.Member) { m.Pod.Ready = false }), blocked: []string{"StartingMember: demo-2"},
		},
		"not to a member that is about to be removed, which would hand it back": {
			cluster: five(), blocked: []string{waiting},
		},
		"not to a member that is about to restart, which would hand it back": {
			cluster: outdated(formed(3)()).Load(0, 1).With(onNodes(3, 0, 1)).Budget(3), step: restarted(2),
			blocked: []string{"RotatingCA: left: demo-2"}, pending: []string{"RotatingCA: demo-2"},
		},
		"also while a learner joins": {
			cluster: three(0).Replicas(5).Learner(3).Launch(3), step: moveLeader(three(), 0, 1),
			blocked: []string{"ScalingUp: waiting for learner demo-3"},
		},
		"not where nodes may not be read": {cluster: statetest.Formed(3).With(func(c *state.Cluster) { c.Nodes = nil })},
		"not without a proven majority": {
			cluster: three(0).Unreachable(1, 2).With(func(c *state.Cluster) { c.Etcd.Leader = 1 }),
			blocked: []string{"MemberUnhealthy: too few", "StartingMember: demo-1"},
		},
		"not in a paused cluster": {
			cluster: three(0).Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) }), blocked: []string{"Paused: "},
		},
	}.run(t)
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		to      int
	}{
		"a leader that is about to restart prefers a node that is not cordoned": {
			outdated(formed(3)()).Load(0, 1).Leader(2).With(onNodes(3, 1)).Member(1, func(m *state.Member) { m.Probe.Applied++ }).
				Budget(3), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := plan.Next(row.cluster.Build()).Step.(plan.MoveLeader)
			if got.To != member(row.to) {
				t.Errorf("the leadership goes to %q, want %s", got.To, member(row.to))
			}
		})
	}
}

func TestALearnerThatWasEvictedForGoodIsAddedElsewhere(t *testing.T) {
	learner := func() *statetest.Builder {
		return statetest.Formed(3).Replicas(5).Learner(3).Launch(3).With(onNodes(4, 3)).Member(3, func(m *state.Member) {
			m.Pod.Waiting, m.Volume.Node = "Unschedulable: 1 node(s) were unschedulable", "node-3"
			m.Volume.Disk = &state.Disk{Searched: true, Hosts: []string{"node-3"}}
		})
	}
	waits := []string{"ScalingUp: waiting for learner demo-3"}
	scenarios{
		"its volume stays on the cordoned node": {
			cluster: learner(), step: retire(learner(), 3),
			blocked: []string{"ScalingDown: learner demo-3 is removed: its volume can be attached only to nodes that take no Pods now (node-3)"},
		},
		"the spec admits none of the nodes to which it can be attached": {
			cluster: learner().With(onNodes(4)).Member(3, func(m *state.Member) { m.Volume.Disk.Unfit = true }), step: retire(learner(), 3),
			blocked: []string{"ScalingDown: learner demo-3 is removed: its volume can be attached only to nodes that spec.podTemplate " +
				"does not admit (node-3)"},
		},
		"not when it can be attached to another node": {
			cluster: learner().Member(3, func(m *state.Member) { m.Volume.Disk.Hosts = []string{"node-0", "node-3"} }), blocked: waits,
		},
		"not when the node is open again": {cluster: learner().With(onNodes(4)), blocked: waits},
		"not while it runs there": {
			cluster: learner().Member(3, func(m *state.Member) { m.Pod.Node = "node-3" }), blocked: waits,
		},
		"not when it never ran: the next one would fare no better": {
			cluster: learner().Member(3, func(m *state.Member) { m.Volume.Node = "" }), blocked: waits,
		},
		"not where volumes may not be read": {
			cluster: learner().Member(3, func(m *state.Member) { m.Volume.Disk = nil }), blocked: waits,
		},
	}.run(t)
}

// The budget never lets so many voters be evicted that no majority is left, and lets them go again after our own steps.
func TestTheBudgetLetsDrainsGoOn(t *testing.T) {
	joining := func(since time.Duration) *statetest.Builder {
		return statetest.Formed(1).Replicas(3).Learner(1).Launch(1).Run(1).Seal(1).
			Member(1, func(m *state.Member) {
				m.Pod.RunningFor = since
				m.Probe.Applied = 0
				m.Volume.Started = false
				m.Pod.Sealed = false
			})
	}
	tests := map[string]struct {
		cluster *statetest.Builder
		want    int
	}{
		"three at rest spare one":                               {statetest.Formed(3), 2},
		"a member that was evicted changes nothing":             {statetest.Formed(3).NoPod(1), 2},
		"while three grow, the learner does not count":          {statetest.Formed(3).Replicas(5).Learner(3).Launch(3).Run(3), 2},
		"a single member may be evicted":                        {statetest.Formed(1).Replicas(1), 0},
		"but not while it is all that a learner can learn from": {joining(time.Minute), 1},
		"except from one that makes no progress":                {joining(11 * time.Minute), 0},
		"a removal that waits for another's end is not announced": {statetest.Formed(5).Replicas(3).Terminate(1).Retire(4).
			Member(4, func(m *state.Member) { m.Pod.Ready, m.Probe = false, state.Probe{} }), 3},
		"a removal that quorum forbids is not announced":           {statetest.Formed(5).Replicas(3).Unreachable(1, 2, 3).Retire(4), 3},
		"a restart is announced until the Pod has ended":           {statetest.Formed(3).Terminate(1).Budget(3), 3},
		"an eviction is none":                                      {statetest.Formed(3).Terminate(1).Budget(2), 2},
		"a Pod that ends on a node that is not ready is no reason": {statetest.Formed(3).Terminate(1).Budget(3).With(func(c *state.Cluster) { c.Nodes["node-1"] = state.Node{} }), 2},
		"after a restart it is lowered at once":                    {statetest.Formed(3).NoPod(1).Budget(3), 2},
		"one that was deleted is made anew for all that were launched, while nothing lists them": {
			statetest.Ephemeral(5).NoPod(1, 2).Crash(3, 4).Unlisted().With(func(c *state.Cluster) { c.Disruption = nil }), 3},
	}
	for name, row := range tests {
		t.Run(name, func(t *testing.T) {
			d := plan.Next(row.cluster.Build())
			if got := ensureLike(d, plan.ApplyDisruptionBudget{}); got != budget(row.want) {
				t.Errorf("the budget is %#v, want %d; the step is %v", got, row.want, d.Step)
			}
		})
	}
}
