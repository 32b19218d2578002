package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func addLearner(slot int) plan.Step {
	return plan.AddLearner{
		Slot: slot, Name: member(slot), PeerURL: statetest.PeerURL(slot),
	}
}

func TestScaleUp(t *testing.T) {
	up := func(voters, replicas int) *statetest.Builder { return statetest.Formed(voters).Replicas(replicas) }
	scenarios{
		"adds a learner for the lowest slot that is free": {cluster: up(3, 5), step: addLearner(3)},
		"and a single member gets its second":             {cluster: up(1, 3), step: addLearner(1)},
		"fills a gap": {
			cluster: up(3, 3).With(func(c *state.Cluster) { c.Members = append(c.Members[:1], c.Members[2:]...) }).Budget(2),
			step:    addLearner(1),
		},
		"keeps off a slot whose Pod has not ended": {
			cluster: up(3, 5).LeftoverPod(3).With(terminateLeftovers),
			blocked: []string{"ScalingDown: waiting until Pod demo-3 of a removed member has ended", "ScalingUp: for the above"},
		},
		"uses a slot whose retired volume still exists": {
			cluster: up(3, 5).LeftoverVolume(3, true), step: addLearner(3),
		},
		"retires the volume of the slot's former member first": {
			cluster: up(3, 5).LeftoverVolume(3, false), step: plan.RecordRetired{Volumes: []string{"demo-3-00000000000000f3"}},
		},
		"waits until all voters are healthy": {
			cluster: up(3, 5).Crash(2),
			blocked: []string{"StartingMember: demo-2", "ScalingUp: until all voters are healthy: demo-2 is not running"},
		},
		"does not add on a guess about a member that it cannot reach": {
			cluster: up(3, 5).Unreachable(2),
			blocked: []string{"StartingMember: demo-2", "ScalingUp: demo-2 cannot be reached although its Pod is ready"},
		},
		"waits until an unsealed voter is sealed": {
			cluster: up(3, 5).Member(1, func(m *state.Member) { m.Volume.Started = false }),
			blocked: []string{"StartingMember: demo-1", "ScalingUp: demo-1 is not sealed yet"},
			ensures: []plan.Step{sealOf(statetest.Formed(3), 3, 1)},
		},
		"does not add a second learner": {
			cluster: up(3, 7).Learner(3).Launch(3),
			blocked: []string{"ScalingUp: waiting for learner demo-3: it is not running"},
		},
	}.run(t)
}

// sealOf is the seal of a member of a bootstrap of this size.
func sealOf(b *statetest.Builder, size, slot int) plan.Step {
	return plan.Seal{
		Member: member(slot), Incarnation: launchOf(size, slot).Incarnation, PodUID: podUID(slot), Volume: volume(b, slot),
	}
}

func TestLearner(t *testing.T) {
	const list = "its volume"
	learner := func() *statetest.Builder { return statetest.Formed(3).Replicas(5).Learner(3) }
	inSync := func() *statetest.Builder { return learner().Launch(3).Run(3).Seal(3) }
	labelled := func() *statetest.Builder { return inSync().Member(3, func(m *state.Member) { m.Pod.Voter = true }) }
	promote := plan.Promote{Name: member(3), ID: inSync().ID(3)}
	const about = "ScalingUp: waiting for learner demo-3: it is in sync and about to be promoted"
	scenarios{
		"is started with the list as it is now, itself included, on a volume of its own": {
			cluster: learner(), step: start(joining(3, 3, 0, 1, 2, 3)),
			blocked: []string{"ScalingUp: waiting for learner demo-3: it has no Pod"},
		},
		"is started again on its volume, before it ever ran": {
			cluster: learner().Launch(3).NoPod(3), step: start(again(joining(3, 3, 0, 1, 2, 3))),
			blocked: []string{"ScalingUp: demo-3: it has no Pod"},
		},
		"is born sealed once its record says that it ran": {
			cluster: inSync().NoPod(3), step: start(sealedLearner()), blocked: []string{"ScalingUp: demo-3: it has no Pod"},
		},
		"is born sealed once etcd lists it as started, whatever the record says": {
			cluster: learner().Launch(3).Run(3).NoPod(3), step: start(sealedLearner()),
			blocked: []string{"ScalingUp: demo-3: it has no Pod"},
		},
		"waits for a voter that has no Pod, since its own may be refused for long": {
			cluster: learner().NoPod(1), step: start(resumed(3, 1)),
			blocked: []string{"ScalingUp: waiting for learner demo-3: it has no Pod"},
		},
		"gets a new list when the members have changed before it started": {
			cluster: learner().Launch(3).Member(3, func(m *state.Member) { m.Pod.InitialCluster = statetest.List(0, 1, 3) }),
			step: plan.UpdateStart{Member: member(3), PodUID: podUID(3), Start: state.Start{
				InitialCluster: statetest.List(0, 1, 2, 3), Existing: true,
			}},
			blocked: []string{"ScalingUp: waiting for learner demo-3"},
		},
		"keeps its old list once it has started": {
			cluster: learner().Launch(3).Run(3).Member(3,
				func(m *state.Member) { m.Pod.InitialCluster = statetest.List(0, 1, 3) }),
			blocked: []string{"ScalingUp: waiting for learner demo-3: it is not sealed yet"},
			ensures: []plan.Step{sealLearner()},
		},
		"is not promoted before it has caught up": {
			cluster: inSync().Member(0, func(m *state.Member) { m.Probe.Committed, m.Probe.Applied = 5000, 5000 }).
				Member(1, func(m *state.Member) { m.Probe.Applied = 5000 }).
				Member(2, func(m *state.Member) { m.Probe.Applied = 5000 }),
			blocked: []string{"ScalingUp: waiting for learner demo-3: it is behind the log of the others"},
			absent:  []plan.Step{plan.MarkVoter{}}, ensures: []plan.Step{budget(2)},
		},
		"in sync is labelled as a voter first, and the budget is raised": {
			cluster: inSync(), blocked: []string{about},
			ensures: []plan.Step{plan.MarkVoter{Member: member(3), PodUID: podUID(3)}, budget(3)},
		},
		"then the disruption controller must have seen the budget": {
			cluster: labelled().Budget(3).With(func(c *state.Cluster) { c.Disruption.Observed = false }),
			ensures: []plan.Step{budget(3)},
			blocked: []string{"ScalingUp: waiting until the disruption controller observes it and minAvailable 3", about},
		},
		"and must count the new voter's Pod": {
			cluster: inSync().Budget(3).Member(3, func(m *state.Member) { m.Pod.Voter = true }), ensures: []plan.Step{budget(3)},
			blocked: []string{"ScalingUp: waiting until the disruption controller observes it", about},
		},
		"then it is promoted": {
			cluster: labelled().Budget(3), step: promote, ensures: []plan.Step{budget(3)}, blocked: []string{about},
			absent: []plan.Step{plan.MarkVoter{}},
		},
		"keeps the budget up while it is labelled and has just stopped: a promotion may have been sent": {
			cluster: labelled().Crash(3).Member(3, func(m *state.Member) { m.Pod.LastExit.At = statetest.Now.Add(-time.Second) }),
			ensures: []plan.Step{budget(3)},
			blocked: []string{"ScalingUp: learner demo-3: it is not running"},
		},
		"that stays down holds up no drain": {
			cluster: labelled().Crash(3), ensures: []plan.Step{budget(2)},
			blocked: []string{"ScalingUp: learner demo-3: it is not running"},
		},
		"is not promoted while that would leave no healthy majority": {
			cluster: labelled().Budget(3).Crash(2, 1).NotServing(), ensures: []plan.Step{budget(3)},
			blocked: []string{"QuorumLost: only 0 of 3", "StartingMember: demo-1", "ScalingUp: learner demo-3"},
		},
		"that is no longer wanted is retired": {
			cluster: inSync().Replicas(3), step: plan.Retire{Name: member(3), Volume: volume(inSync(), 3)},
			blocked: []string{"ScalingDown: learner demo-3 is removed: 3 voters are wanted and there are 3"},
			ensures: []plan.Step{budget(2)},
		},
		"and removed": {
			cluster: inSync().Replicas(3).Retire(3), step: plan.RemoveMember{
				Name: member(3), ID: promote.ID, Why: "3 voters are wanted and there are 3",
			},
			blocked: []string{"ScalingDown: learner demo-3 is removed"},
		},
		"that has neither Pod nor volume is removed at once": {
			cluster: learner().Replicas(3), step: plan.RemoveMember{
				Name: member(3), ID: promote.ID, Why: "3 voters are wanted and there are 3",
			},
			blocked: []string{"ScalingDown: learner demo-3 is removed"},
		},
		"is not removed while no quorum is proven": {
			cluster: inSync().Replicas(3).Retire(3).Crash(1, 2).NotServing(),
			blocked: []string{
				"QuorumLost: only 0 of 3", "StartingMember: demo-1", "ScalingDown: but only 0 of 3 voters would be healthy",
				"ScalingDown: learner demo-3 is removed",
			},
		},
		"is kept when it is wanted again": {
			cluster: inSync().Retire(3), step: plan.Resume{Name: member(3), Volume: volume(inSync(), 3)},
			blocked: []string{about},
		},
		"that ran and lost its volume is removed, never started empty": {
			cluster: inSync().NoPod(3).NoVolume(3),
			step:    plan.RemoveMember{Name: member(3), ID: promote.ID, Why: list + " is gone"},
			blocked: []string{"ScalingDown: learner demo-3 is removed: its volume is gone"},
		},
		"that may have run and lost its volume is removed as well": {
			cluster: learner().Launch(3).NoPod(3).NoVolume(3),
			step:    plan.RemoveMember{Name: member(3), ID: promote.ID, Why: list + " is gone"},
			blocked: []string{"ScalingDown: learner demo-3 is removed: its volume is gone"},
		},
		"on a volume that another tool re-created is not started": {
			cluster: inSync().NoPod(3).Member(3, func(m *state.Member) { m.Volume.PersistentVolume = "pv-velero" }),
			blocked: []string{
				"ScalingUp: learner demo-3 cannot start: its volume claim", "ScalingUp: waiting for learner demo-3: it has no Pod",
			},
		},
		"waits without hindering a missing voter's Pod": {
			cluster: learner().Launch(3).NoPod(1), step: start(resumed(3, 1)),
			blocked: []string{"ScalingUp: waiting for learner demo-3"},
		},
	}.run(t)
}

func sealedLearner() plan.Launch {
	l := again(joining(3, 3, 0, 1, 2, 3))
	l.Start = state.Start{InitialCluster: statetest.List(3), Existing: true, Sealed: true}
	return l
}

func sealLearner() plan.Step {
	l := joining(3, 3, 0, 1, 2, 3)
	return plan.Seal{Member: member(3), Incarnation: l.Incarnation, PodUID: podUID(3), Volume: l.Volume}
}
