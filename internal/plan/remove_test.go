package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func retire(b *statetest.Builder, slot int) plan.Step {
	return plan.Retire{Name: member(slot), Volume: volume(b, slot)}
}

func remove(b *statetest.Builder, slot int, why string) plan.Step {
	return plan.RemoveMember{Name: member(slot), ID: b.ID(slot), Why: why}
}

func moveLeader(b *statetest.Builder, from, to int) plan.Step {
	return plan.MoveLeader{From: member(from), To: member(to), FromID: b.ID(from), ToID: b.ID(to)}
}

const threeOfFive = "3 voters are wanted, 5 are listed"

func TestScaleDownChoosesTheVoter(t *testing.T) {
	five := func() *statetest.Builder { return statetest.Formed(5).Replicas(3).Budget(5) }
	rows := scenarios{
		"the highest slot, when all are healthy": {cluster: five(), step: retire(five(), 4)},
		"the unhealthy one first":                {cluster: five().Crash(1), step: retire(five(), 1)},
		"of two unhealthy ones the highest slot": {cluster: five().Crash(1, 2), step: retire(five(), 2)},
		"the one whose removal was begun, before the highest": {cluster: five().Retire(2),
			step: remove(five(), 2, threeOfFive)},
		"a member of unknown health is not preferred": {cluster: five().Unreachable(1), step: retire(five(), 4)},
		"a member without a Pod is started, before it is removed": {
			cluster: five().NoPod(1), step: start(resumed(5, 1)),
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.step, plan.Next(row.cluster.Build()).Step); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScaleDownGoesStepByStep(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3).Replicas(1) }
	const oneOfThree = "1 voters are wanted, 3 are listed"
	const observed = "ScalingDown: waiting until the disruption controller observes minAvailable 3"
	scenarios{
		"first it is announced: the budget spares nobody": {
			cluster: three(), ensures: []plan.Step{budget(3)}, blocked: []string{observed},
		},
		"it waits until the disruption controller has seen that": {
			cluster: three().Budget(3).With(func(c *state.Cluster) { c.Disruption.Observed = false }),
			ensures: []plan.Step{budget(3)}, blocked: []string{observed},
		},
		"it waits when somebody else lowered the budget": {
			cluster: three().Budget(1), ensures: []plan.Step{budget(3)}, blocked: []string{observed},
		},
		"it waits when there is no budget yet": {
			cluster: three().With(func(c *state.Cluster) { c.Disruption = nil }), blocked: []string{observed},
		},
		"it waits while another voter's Pod is terminating": {
			cluster: statetest.Formed(5).Replicas(3).Budget(5).Terminate(1).Retire(4).
				Member(4, func(m *state.Member) { m.Pod.Ready, m.Probe = false, state.Probe{} }),
			ensures: []plan.Step{budget(5)},
			blocked: []string{"StartingMember: demo-1: its Pod is being deleted", "ScalingDown: demo-1"},
		},
		"then the leader is moved away": {
			cluster: three().Budget(3).Leader(2), step: moveLeader(three(), 2, 0), ensures: []plan.Step{budget(3)},
		},
		"to the voter that has applied most": {
			cluster: three().Budget(3).Leader(2).Member(1, func(m *state.Member) { m.Probe.Applied = 101 }),
			step:    moveLeader(three(), 2, 1),
		},
		"then the removal is recorded": {
			cluster: three().Budget(3), step: retire(three(), 2), ensures: []plan.Step{budget(3)},
		},
		"then the member is removed": {
			cluster: three().Budget(3).Retire(2), step: remove(three(), 2, oneOfThree), ensures: []plan.Step{budget(3)},
		},
		"not while it leads again": {
			cluster: three().Budget(3).Retire(2).Leader(2), step: moveLeader(three(), 2, 0),
		},
		"then its volume is retired, and the budget stays up": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, false), ensures: []plan.Step{budget(3)},
			step:    plan.RecordRetired{Volumes: []string{"demo-2-00000000000000f2"}},
			blocked: []string{"ScalingDown: waiting until Pod demo-2 of a removed member has ended"},
		},
		"then its Pod is deleted": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, true), ensures: []plan.Step{budget(3)},
			step:    plan.DeletePod{Name: "demo-2", UID: "uid-former-demo-2", Why: "etcd no longer lists its member"},
			blocked: []string{"ScalingDown: Pod demo-2"},
		},
		"then its end is waited for, with the budget up, before the next goes": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, true).With(terminateLeftovers), ensures: []plan.Step{budget(3)},
			blocked: []string{"ScalingDown: Pod demo-2"},
		},
		"then the next one goes, although the volume of the former is still there": {
			cluster: statetest.Formed(2).Replicas(1).LeftoverVolume(2, true).Budget(2), step: retire(statetest.Formed(2), 1),
			ensures: []plan.Step{budget(2)},
		},
		"at last there is one member without a budget, and the volumes are deleted": {
			cluster: statetest.Formed(1).Replicas(1).LeftoverVolume(2, true), ensures: []plan.Step{budget(0)},
			step: plan.DeleteVolume{Name: "demo-2-00000000000000f2", UID: "uid-volume-f2"},
		},
	}.run(t)
}

func terminateLeftovers(c *state.Cluster) {
	for i := range c.Leftovers.Pods {
		c.Leftovers.Pods[i].Terminating = true
	}
}

func TestRemovalIsRefusedOrWithdrawn(t *testing.T) {
	five := func() *statetest.Builder { return statetest.Formed(5).Replicas(3).Budget(5) }
	ephemeral := func() *statetest.Builder { return statetest.Ephemeral(5).Replicas(3).Budget(5) }
	resume := func(b *statetest.Builder, slot int) plan.Step {
		return plan.Resume{Name: member(slot), Volume: volume(b, slot)}
	}
	scenarios{
		"a healthy voter is not removed when the others are no majority": {
			cluster: statetest.Formed(2).Replicas(1).Budget(2).Member(0, func(m *state.Member) { m.Volume.Started = false }).
				Member(1, func(m *state.Member) { m.Volume.Started = false }).NotServing(),
			blocked: []string{
				"QuorumLost: only 0 of 2", "StartingMember: demo-0 is not sealed yet",
				"ScalingDown: demo-1 is to be removed (1 voters are wanted, 2 are listed), but only 0 of 1 voters would be healthy",
			},
			ensures: []plan.Step{budget(2)},
		},
		"an unreachable majority allows no removal": {
			cluster: five().Unreachable(1, 2, 3).Retire(4),
			blocked: []string{"MemberUnhealthy: demo-1 cannot be reached although its Pod is ready", "StartingMember: demo-1",
				"ScalingDown: but"},
		},
		"a removal is withdrawn when replicas are edited back": {
			cluster: five().Replicas(5).Retire(4), step: resume(five(), 4), ensures: []plan.Step{budget(3)},
		},
		"of an ephemeral member as well": {
			cluster: ephemeral().Replicas(5).Retire(4), step: plan.Resume{Name: member(4), PodUID: podUID(4)},
		},
		"a removal is withdrawn when another voter has become the one to go": {
			cluster: five().Retire(4).Crash(1), step: resume(five(), 4),
			blocked: []string{"StartingMember: waiting for demo-1 is not running"},
		},
		"two removals are begun by accident: the highest slot goes, the other is kept": {
			cluster: five().Retire(3, 4), step: resume(five(), 3),
		},
		"a withdrawal waits for its turn": {
			cluster: five().Replicas(5).Retire(4).NoPod(1), step: start(resumed(5, 1)),
		},
		"an ephemeral voter's removal is recorded on its Pod": {
			cluster: ephemeral(), step: plan.Retire{Name: member(4), PodUID: podUID(4)},
		},
		"a learner goes before a voter": {
			cluster: five().Learner(5).Launch(5), step: plan.Retire{Name: member(5), Volume: volume(five().Learner(5), 5)},
			blocked: []string{"ScalingDown: learner demo-5 is removed: 3 voters are wanted and there are 5"},
		},
		"a voter whose volume is lost can be scaled away": {
			cluster: five().NoPod(1).NoVolume(1).With(func(c *state.Cluster) { c.Disruption.Expected = 4 }),
			step:    remove(five(), 1, "its volume is gone"),
			blocked: []string{"ReplacingMember: demo-1 is replaced: its volume is gone"},
		},
		"a removed member's Pod on a dead node is deleted by force: raft ignores the member from now on": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, true).With(terminateLeftovers).With(func(c *state.Cluster) {
				c.Leftovers.Pods[0].Node = "dead"
				c.Nodes["dead"] = state.Node{}
			}),
			step: plan.DeletePod{
				Name: "demo-2", UID: "uid-former-demo-2", Why: "etcd no longer lists its member", Force: true,
			},
			ensures: []plan.Step{budget(3)}, blocked: []string{"ScalingDown: Pod demo-2"},
		},
		"but once only: a finalizer may keep it": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, true).With(terminateLeftovers).With(func(c *state.Cluster) {
				c.Leftovers.Pods[0].Node, c.Leftovers.Pods[0].Forced = "dead", true
				c.Nodes["dead"] = state.Node{}
			}),
			blocked: []string{"ScalingDown: Pod demo-2 of a removed member has ended: only its finalizers keep it"},
		},
	}.run(t)
}

// Were a member that was removed still counted among those that were launched, a majority would seem lost that is not.
func TestRemovedMembersAreForgottenAsLaunched(t *testing.T) {
	launched := func(ids ...uint64) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Latch.Launched = append(c.Latch.Launched, ids...) }
	}
	forgotten := []plan.Step{plan.TrimLaunched{}}
	scenarios{
		"once etcd lists them no more": {
			cluster: statetest.Formed(3).With(launched(0xf3, 0xf4)),
			ensures: []plan.Step{plan.TrimLaunched{Removed: []uint64{0xf3, 0xf4}}},
		},
		"not while the list cannot be read": {
			cluster: statetest.Formed(3).With(launched(0xf3)).Unlisted(), absent: forgotten,
			blocked: []string{"QuorumLost: no majority serves", "StartingMember: demo-0"},
		},
		"not one that etcd lists at another peer URL": {
			cluster: statetest.Formed(3).With(func(c *state.Cluster) {
				c.Etcd.Foreign = []state.ForeignMember{{ID: c.Members[2].ID, PeerURLs: []string{"http://10.0.0.9:2380"}}}
				c.Members = c.Members[:2]
			}), absent: forgotten, blocked: []string{"UnmanagedMember: 10.0.0.9", "ScalingUp: 3 voters"},
		},
		"not while its volume is not retired: it would be taken for a member's once the list cannot be read": {
			cluster: statetest.Formed(3).Leftover(3, false).With(launched(0xf3)), absent: forgotten,
			step:    plan.RecordRetired{Volumes: []string{"demo-3-00000000000000f3"}},
			blocked: []string{"ScalingDown: Pod demo-3"},
		},
		"not those that etcd lists, whatever became of their Pods and volumes": {
			cluster: statetest.Formed(3).NoPod(1).NoVolume(1), absent: forgotten,
			step:    gone(statetest.Formed(3), 1, "its volume is gone"),
			blocked: []string{replaced("demo-1", "its volume is gone")},
		},
	}.run(t)
}

func TestCleanUp(t *testing.T) {
	leftover := func() *statetest.Builder { return statetest.Formed(3).LeftoverVolume(3, true) }
	scenarios{
		"a retired volume is deleted once all voters are healthy": {
			cluster: leftover(), step: plan.DeleteVolume{Name: "demo-3-00000000000000f3", UID: "uid-volume-f3"},
		},
		"not before the member that takes its place votes": {
			cluster: statetest.Formed(2).Replicas(3).Learner(2).Launch(2).Run(2).LeftoverVolume(2, true),
			blocked: []string{"ScalingUp: waiting for learner demo-2"},
		},
		"not while a voter is unhealthy": {
			cluster: leftover().Crash(1), blocked: []string{"StartingMember: demo-1"},
		},
		"not while a voter cannot be reached": {
			cluster: leftover().Unreachable(1), blocked: []string{"StartingMember: demo-1"},
		},
		"not while its Pod is still there": {
			cluster: leftover().LeftoverPod(3).With(terminateLeftovers), blocked: []string{"ScalingDown: Pod demo-3"},
		},
		"not twice": {
			cluster: leftover().With(func(c *state.Cluster) { c.Leftovers.Volumes[0].Terminating = true }),
		},
		"a volume that is not retired is only retired": {
			cluster: statetest.Formed(3).LeftoverVolume(3, false),
			step:    plan.RecordRetired{Volumes: []string{"demo-3-00000000000000f3"}},
		},
	}.run(t)
}
