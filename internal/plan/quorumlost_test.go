package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func unmanaged(c *state.Cluster) {
	c.Etcd.Foreign = []state.ForeignMember{{ID: 0xbeef, PeerURLs: []string{"http://10.0.0.9:2380"}}}
}

func TestQuorumLost(t *testing.T) {
	scenarios{
		"members that do not run are started again on their volumes, all at once": {
			cluster: statetest.Formed(3).NoPod(1, 2).Unlisted(),
			step:    start(resumed(3, 1), resumed(3, 2)),
			blocked: []string{
				"QuorumLost: no majority serves (only 0 of 3 voters would be healthy, 2 are required)",
				"StartingMember: demo-0 does not follow the leader",
			},
		},
		"also when no Pod is left": {
			cluster: statetest.Formed(3).NoPod(0, 1, 2).Unlisted(),
			step:    start(resumed(3, 0), resumed(3, 1), resumed(3, 2)),
			blocked: []string{"QuorumLost: no majority serves"},
		},
		"a crashed member gets the newest template": {
			cluster: statetest.Formed(3).Crash(0, 1).Outdate(0, 1, 2).Unlisted(),
			step: plan.DeletePod{Name: "demo-0", UID: podUID(0),
				Why: "it does not run, and the spec has changed since it was created"},
			blocked: []string{"QuorumLost: no majority", "StartingMember: waiting for demo-0"},
		},
		"nothing is added": {
			cluster: statetest.Formed(3).Replicas(5).Crash(1, 2).Unlisted(),
			blocked: []string{"QuorumLost: no majority", "StartingMember: waiting for"},
		},
		"nothing is removed, whatever spec.replicas says": {
			cluster: statetest.Formed(5).Replicas(1).Crash(2, 3, 4).Retire(4).Unlisted(),
			blocked: []string{"QuorumLost: no majority", "StartingMember: waiting for"},
		},
		"nothing is removed while a list is there, but no linearizable read": {
			cluster: statetest.Formed(3).Replicas(1).Budget(3).NotServing(),
			blocked: []string{"QuorumLost: no majority serves", "ScalingDown: 1 voters are wanted"},
		},
		"a retired volume is not started in need either": {
			cluster: statetest.Formed(3).NoPod(2).Unlisted().Member(2, func(m *state.Member) { m.Volume.Retired = true }),
			blocked: []string{"QuorumLost: no majority", "StartingMember: its volume demo-2-"},
		},
		"retired volumes stay": {
			cluster: statetest.Formed(3).LeftoverVolume(3, true).Crash(1, 2).Unlisted(),
			blocked: []string{"QuorumLost: no majority", "StartingMember: waiting for"},
		},
		"the budget stays as it is": {
			cluster: statetest.Formed(3).Crash(1, 2).Unlisted(), absent: []plan.Step{plan.ApplyDisruptionBudget{}},
			blocked: []string{"QuorumLost: no majority", "StartingMember: waiting for"},
		},
		"voters that the operator cannot reach are no lost quorum while etcd serves": {
			cluster: statetest.Formed(3).Replicas(1).Unreachable(1, 2),
			blocked: []string{"MemberUnhealthy: only 0 of 3 voters", "StartingMember: demo-1 cannot be reached",
				"ScalingDown: but only"},
		},
		"a list that cannot be read although etcd serves forbids changes of the membership": {
			cluster: statetest.Formed(3).Replicas(1).Unlisted().Leader(0).With(func(c *state.Cluster) {
				c.Etcd.Serving, c.Etcd.Err = true, "permission denied"
			}),
			blocked: []string{"ObservationFailed: etcd serves but its member list cannot be read: permission denied"},
		},
		"all ephemeral members lost is a loss, and never a new bootstrap": {
			cluster: statetest.Ephemeral(3).NoPod(0, 1, 2).Unlisted(),
			blocked: []string{"QuorumLost: the quorum is lost for ever",
				"QuorumLost: no member is left and no volume: the data is lost"},
		},
		"two of three ephemeral members lost wait for a person": {
			cluster: statetest.Ephemeral(3).NoPod(1, 2).Unlisted(),
			blocked: []string{"QuorumLost: the data of demo-0 is in its Pod", "QuorumLost: no majority serves",
				"StartingMember: waiting for demo-0"},
		},
		"a volume cluster that lost everything tells how to start empty": {
			cluster: statetest.Formed(3).NoPod(0, 1, 2).NoVolume(0, 1, 2).Unlisted(),
			blocked: []string{"QuorumLost: spec.recovery.quorumLossID: ", "QuorumLost: the data is lost"},
		},
		"volumes that cannot be read are no loss of data": {
			cluster: statetest.Formed(3).NoPod(0, 1, 2).NoVolume(0, 1, 2).Unlisted().With(func(c *state.Cluster) {
				c.Leftovers.Foreign = []state.ForeignObject{{Kind: "PersistentVolumeClaim", Name: "demo-0-1",
					Problem: "no version"}}
			}),
			blocked: []string{"OwnershipConflict: PersistentVolumeClaim demo-0-1",
				"QuorumLost: no member is left whose Pod or volume can be used"},
		},
	}.run(t)
}

// A member that etcd lists at an address that is no slot's may be one of ours whose peer URL a person has changed: its
// Pod and volume then look like those of a removed member.
func TestUnmanagedMembers(t *testing.T) {
	const report = "UnmanagedMember: peer URLs that are not this cluster's: beef at http://10.0.0.9:2380. Remove"
	scenarios{
		"forbid a scale-up": {
			cluster: statetest.Formed(3).Replicas(5).With(unmanaged),
			blocked: []string{report, "ScalingUp: 5 voters are wanted, 3 are listed: waiting for the above"},
		},
		"forbid a scale-down": {
			cluster: statetest.Formed(3).Replicas(1).With(unmanaged),
			blocked: []string{report, "ScalingDown: 1 voters are wanted, 3 are listed: waiting for the above"},
		},
		"forbid a promotion": {
			cluster: statetest.Formed(3).Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).
				Member(3, func(m *state.Member) { m.Pod.Voter = true }).Budget(3).With(unmanaged),
			blocked: []string{report, "ScalingUp: until the disruption controller", "ScalingUp: waiting for learner demo-3"},
		},
		"let a missing Pod be created": {
			cluster: statetest.Formed(3).NoPod(1).With(unmanaged), step: start(resumed(3, 1)),
			blocked: []string{report, "MemberUnhealthy: only 2 of 4 voters would be healthy, 3 are required"},
		},
		"no volume is retired meanwhile": {
			cluster: statetest.Formed(2).Replicas(3).LeftoverVolume(2, false).With(unmanaged),
			blocked: []string{report, "ScalingUp: waiting for the above"},
		},
		"no Pod is deleted meanwhile": {
			cluster: statetest.Formed(2).Replicas(3).Leftover(2, true).With(unmanaged),
			blocked: []string{report, "ScalingDown: waiting until Pod demo-2", "ScalingUp: waiting for the above"},
		},
		"no volume is deleted meanwhile": {
			cluster: statetest.Formed(2).Replicas(3).LeftoverVolume(2, true).With(unmanaged),
			blocked: []string{report, "ScalingUp: waiting for the above"},
		},
		"count as voters that may be needed, for the budget": {
			cluster: statetest.Formed(3).With(unmanaged), ensures: []plan.Step{budget(3)}, blocked: []string{report},
		},
	}.run(t)
}
