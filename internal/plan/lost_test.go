package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestLostMember(t *testing.T) {
	gone := func() *statetest.Builder { return statetest.Formed(3).NoPod(1).NoVolume(1) }
	const up = "ScalingUp: "
	scenarios{
		"a lost member forbids a scale-up": {
			cluster: gone().Replicas(5).Spec(manual),
			blocked: []string{"MemberLost: demo-1", up + "demo-1 has no Pod"},
		},
		"but not the start of another": {
			cluster: gone().NoPod(2).NotServing(), step: start(resumed(3, 2)),
			blocked: []string{"QuorumLost: only 0 of 3", "ReplacingMember: demo-1 is to be removed",
				"ReplacingMember: demo-1 is replaced", "StartingMember: demo-0"},
		},
		"a voter of the bootstrap that never got a volume gets one after the others have formed": {
			cluster: statetest.Formed(3).NoPod(2).NoVolume(2).
				Member(2, func(m *state.Member) { m.Launched, m.Started = false, false }),
			step: start(launchOf(3, 2)),
		},
		"a voter that was lost in bootstrap before it ever served is removed": {
			cluster: gone().Member(1, func(m *state.Member) { m.Started = false }),
			step:    plan.RemoveMember{Name: member(1), ID: gone().ID(1), Why: "its volume is gone"},
			blocked: []string{"ReplacingMember: demo-1 is replaced: its volume is gone"},
		},
		"an unreadable claim is no lost volume": {
			cluster: statetest.Formed(3).NoVolume(1).With(func(c *state.Cluster) {
				c.Leftovers.Foreign = []state.ForeignObject{
					{Kind: "PersistentVolumeClaim", Name: volume(statetest.Formed(3), 1), Problem: "quorate.dev/size is missing"},
				}
			}).Member(1, func(m *state.Member) { m.Started = false }),
			blocked: []string{"OwnershipConflict: PersistentVolumeClaim demo-1-", "StartingMember: demo-1 is not sealed yet"},
		},
	}.run(t)
}

func TestLostEphemeralMember(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Ephemeral(3) }
	id := three().ID(1)
	removed := func(why string) plan.Step { return plan.RemoveMember{Name: member(1), ID: id, Why: why} }
	const gone, ended = "its Pod is gone and its data with it", "its Pod has ended and its data is gone with it"
	scenarios{
		"is removed first": {
			cluster: three().NoPod(1), step: removed(gone),
			blocked: []string{"ReplacingMember: demo-1 is replaced: its Pod is gone"},
		},
		"then its slot is filled by a new member": {
			cluster: three().With(func(c *state.Cluster) { c.Members = append(c.Members[:1], c.Members[2:]...) }).Budget(2),
			step:    addLearner(1),
		},
		"with a Pod that ended is announced, recorded and removed": {
			cluster: three().Finish(1).Retire(1).Budget(3), step: removed(ended), ensures: []plan.Step{budget(3)},
			blocked: []string{"ReplacingMember: demo-1 is replaced", "StartingMember: demo-1 is not running: Evicted"},
		},
		"with a Pod that ended keeps it until the removal, because it holds the record": {
			cluster: three().Finish(1), ensures: []plan.Step{budget(3)},
			blocked: []string{
				"ReplacingMember: waiting until the disruption controller observes minAvailable 3",
				"ReplacingMember: demo-1 is replaced", "StartingMember: demo-1",
			},
		},
		"is not removed when the others are no majority": {
			cluster: three().NoPod(1).Crash(2).NotServing(),
			blocked: []string{
				"QuorumLost: only 0 of 3", "ReplacingMember: demo-1 is to be removed", "ReplacingMember: demo-1 is replaced",
				"StartingMember: demo-0",
			},
		},
		"goes before a learner that is in flight, which is kept": {
			cluster: three().Replicas(5).Learner(3).Launch(3).NoPod(1), step: removed(gone),
			blocked: []string{"ReplacingMember: demo-1 is replaced", "ScalingUp: waiting for learner demo-3"},
		},
		"whose Pod is terminating is waited for": {
			cluster: three().Terminate(1), blocked: []string{"StartingMember: demo-1: its Pod is being deleted"},
		},
		"that the operator cannot reach is never removed": {
			cluster: three().Unreachable(1), blocked: []string{"StartingMember: demo-1 cannot be reached"},
		},
		"that crashed keeps its Pod and data": {
			cluster: three().Crash(1), blocked: []string{"StartingMember: demo-1 is not running: CrashLoopBackOff"},
		},
		"that crashed keeps its Pod and data also when the spec was edited": {
			cluster: three().Crash(1).Outdate(0, 1, 2),
			blocked: []string{"StartingMember: demo-1 is not running",
				"RollingOut: members are moved to new members one at a time, because spec.restartedAt changed; left: demo-0, " +
					"demo-1, demo-2",
				"RollingOut: a member that takes the place of demo-2 is added first (spec.restartedAt changed): waiting until " +
					"all voters are healthy: demo-1"},
		},
		"all crashed at once after an edit of the spec keep their data: they come back by themselves": {
			cluster: three().Crash(0, 1, 2).Outdate(0, 1, 2).Unlisted(),
			blocked: []string{"QuorumLost: no majority serves", "StartingMember: demo-0 is not running"},
		},
		"that was stopped before it was seen to serve keeps its data as well while no majority serves": {
			cluster: three().NoPod(2).Crash(1).Outdate(1).Unlisted().
				Member(1, func(m *state.Member) { m.Started, m.Pod.Started, m.Pod.Sealed = false, false, false }),
			blocked: []string{"QuorumLost: no majority serves", "StartingMember: demo-0"},
		},
		"whose Pod another object shadows is not lost": {
			cluster: three().NoPod(1).With(unreadablePod),
			blocked: []string{"OwnershipConflict: Pod demo-1 (no version)", "StartingMember: demo-1: "},
		},
	}.run(t)
}

func unreadablePod(c *state.Cluster) {
	c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-1", Problem: "no version"}}
}

func TestMissingPod(t *testing.T) {
	node := func(slot int, n state.Node) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Nodes[[]string{"node-0", "node-1", "node-2"}[slot]] = n }
	}
	pinned := func(slot int, n string) plan.Launch {
		l := resumed(3, slot)
		l.Start.Node = n
		return l
	}
	scenarios{
		"is created again on its volume, sealed": {cluster: statetest.Formed(3).NoPod(1), step: start(resumed(3, 1))},
		"is created for a single member too": {
			cluster: statetest.Formed(1).Replicas(1).NoPod(0).Unlisted(), step: start(resumed(1, 0)),
			blocked: []string{"QuorumLost: no majority"},
		},
		"is born sealed when etcd lists the member as started, whatever its record says": {
			cluster: statetest.Formed(3).NoPod(1).Member(1, func(m *state.Member) { m.Volume.Started = false }),
			step:    start(resumed(3, 1)),
		},
		"of a bootstrapped member that never ran starts with the bootstrap's list": {
			cluster: statetest.Formed(3).NoPod(1).
				Member(1, func(m *state.Member) { m.Volume.Started, m.Started = false, false }),
			step: start(again(launchOf(3, 1))),
		},
		"on a retiring volume is created: the removal may be withdrawn still": {
			cluster: statetest.Formed(3).NoPod(1).Retire(1), step: start(resumed(3, 1)),
		},
		"on a retired volume is never created": {
			cluster: statetest.Formed(3).NoPod(1).Member(1, func(m *state.Member) { m.Volume.Retired = true }),
			blocked: []string{"StartingMember: is retired"},
		},
		"on a volume that another tool re-created is never created": {
			cluster: statetest.Formed(3).NoPod(1).Member(1, func(m *state.Member) { m.Volume.PersistentVolume = "pv-velero" }),
			blocked: []string{"StartingMember: is bound to pv-velero, but its data was on pv-"},
		},
		"waits for a terminating predecessor": {
			cluster: statetest.Formed(3).Terminate(1), blocked: []string{"StartingMember: demo-1: its Pod is being deleted"},
		},
		"tells what to do when that one's node is dead": {
			cluster: statetest.Formed(3).Terminate(1).With(node(1, state.Node{})),
			blocked: []string{"StartingMember: on node node-1, which is not ready: when it is off for good, taint it"},
		},
		"goes back to a node that is not ready, where its predecessor may still run": {
			cluster: statetest.Formed(3).NoPod(1).With(node(1, state.Node{})), step: start(pinned(1, "node-1")),
		},
		"is free to go elsewhere when somebody vouches that the node is off": {
			cluster: statetest.Formed(3).NoPod(1).With(node(1, state.Node{OutOfService: true})), step: start(resumed(3, 1)),
		},
		"is free to go elsewhere when its node is ready": {
			cluster: statetest.Formed(3).NoPod(1).With(node(1, state.Node{Ready: true, Unschedulable: true})),
			step:    start(resumed(3, 1)),
		},
		"waits while a former member's Pod holds its name": {
			cluster: statetest.Formed(3).NoPod(1).LeftoverPod(1).With(terminateLeftovers),
			blocked: []string{"ScalingDown: waiting until Pod demo-1", "StartingMember: demo-1: another Pod holds its name"},
		},
		"waits while a Pod that cannot be read holds its name": {
			cluster: statetest.Formed(3).NoPod(1).With(unreadablePod),
			blocked: []string{"OwnershipConflict: Pod demo-1 (no version)", "StartingMember: demo-1: an object that it needs"},
		},
		"that ended is deleted first": {
			cluster: statetest.Formed(3).Finish(1),
			step:    plan.DeletePod{Name: "demo-1", UID: podUID(1), Why: "its containers ended for good"},
			blocked: []string{"StartingMember: demo-1"},
		},
		"that does not run is made anew from a newer spec": {
			cluster: statetest.Formed(3).Crash(1).Outdate(1), step: plan.DeletePod{
				Name: "demo-1", UID: podUID(1), Why: "it does not run, and the spec has changed since it was created",
			},
			blocked: []string{"StartingMember: demo-1"},
		},
		"that does not run and is up to date is left to the kubelet": {
			cluster: statetest.Formed(3).Crash(1), blocked: []string{"StartingMember: demo-1 is not running: CrashLoopBackOff"},
		},
		"that runs but does not answer is not deleted at once, however old its template": {
			cluster: statetest.Formed(3).Unreachable(1).Outdate(1),
			blocked: []string{"StartingMember: demo-1", "RollingOut: demo-1 is to be restarted (spec.restartedAt changed): waiting " +
				"until the disruption controller observes minAvailable 3", "RollingOut: left: demo-1"},
		},
	}.run(t)
}
