package plan_test

import (
	"testing"

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
		"the highest slot, when all are healthy":              {cluster: five(), step: retire(five(), 4)},
		"the unhealthy one first":                             {cluster: five().Crash(1), step: retire(five(), 1)},
		"of two unhealthy ones the highest slot":              {cluster: five().Crash(1, 2), step: retire(five(), 2)},
		"the one whose removal was begun, before the highest": {cluster: five().Retire(2), step: remove(five(), 2, threeOfFive)},
		"a member of unknown health is not preferred":         {cluster: five().Unreachable(1), step: retire(five(), 4)},
		"a member without a Pod is started, before it is removed": {
			cluster: five().NoPod(1), step: start(resumed(5, 1)),
		},
	}
	for name, row := range rows {
		c := row.cluster.Build()
		t.Run(name, func(t *testing.T) {
			if got := plan.Next(c).Step; got != nil && got.String() != row.step.String() {
				t.Errorf("got %q, want %q", got, row.step)
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
			blocked: []string{"ScalingDown: waiting until Pod demo-2 of a removed member has ended", "ScalingDown: 1 voters are wanted"},
		},
		"then its Pod is deleted": {
			cluster: statetest.Formed(2).Replicas(1).Leftover(2, true), ensures: []plan.Step{budget(3)},
			step:    plan.DeletePod{Name: "demo-2", UID: "uid-former-demo-2", Why: "etcd no longer lists its member"},
			blocked: []string{"ScalingDown: Pod demo-2", "ScalingDown: is to be removed"},
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
