package plan_test

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// latchOf is the latch of a bootstrap of this size, restored from what its incarnations record.
func latchOf(b *statetest.Builder, size int, formed bool) plan.Step {
	c := b.Build()
	latch := resources.NewLatch(c.Object, 1, statetest.Token, size, statetest.Version)
	latch.Formed = formed
	for _, in := range resources.LatchMembers(c.Object, latch) {
		latch.Launched = append(latch.Launched, in.MemberID)
	}
	latch.LogSince = ""
	return plan.RestoreLatch{Latch: latch}
}

func TestLatch(t *testing.T) {
	version := func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To("3.5.35") }
	const resumedHint = "Resuming: the record of the bootstrap is lost"
	scenarios{
		"a new cluster gets its latch before anything else": {
			cluster: statetest.Fresh(), step: plan.CreateLatch{Size: 3, Version: statetest.Version},
			ensures: []plan.Step{plan.ApplyServices{}}, absent: []plan.Step{plan.ApplyDisruptionBudget{}},
		},
		"with the size and version of its spec": {
			cluster: statetest.Fresh().Replicas(5).Spec(version), step: plan.CreateLatch{Size: 5, Version: "3.5.35"},
		},
		"retired volumes of a former cluster hinder none": {
			cluster: statetest.Fresh().LeftoverVolume(0, true), step: plan.CreateLatch{Size: 3, Version: statetest.Version},
		},
		"a lost latch is restored from volumes that never ran, not formed": {
			cluster: statetest.Bootstrap(3).Launch(0, 1, 2).LatchLost(), step: latchOf(statetest.Fresh(), 3, false),
		},
		"from a single volume that ran, formed, whatever spec.replicas says now": {
			cluster: statetest.Formed(5).Replicas(1).NoPod(0, 1, 2, 3, 4).NoVolume(0, 1, 2, 4).LatchLost(),
			step:    latchOf(statetest.Fresh(), 5, true),
		},
		"from ephemeral Pods that ran": {
			cluster: statetest.Ephemeral(3).LatchLost(), step: latchOf(statetest.Bootstrap(3).MakeEphemeral(), 3, true),
		},
		"and meanwhile no Service, above all no member's, is taken away": {
			cluster: statetest.Formed(3).LatchLost(), step: latchOf(statetest.Fresh(), 3, true),
			absent: []plan.Step{plan.ApplyServices{}, plan.ApplyDisruptionBudget{}},
		},
		"data of two different bootstraps is not decided on": {
			cluster: statetest.Formed(3).LatchLost().Member(1, func(m *state.Member) { m.Volume.Token = "token-2" }),
			blocked: []string{"WrongClusterID: comes from 2 different bootstraps: delete the volumes that are not wanted"},
		},
		"an unretired volume that fits no member is never bootstrapped over": {
			cluster: statetest.Fresh().LeftoverVolume(0, false), blocked: []string{resumedHint},
		},
		"nor is a Pod that runs without its claim": {
			cluster: statetest.Fresh().LeftoverPod(0), blocked: []string{resumedHint},
		},
	}.run(t)
}

func TestBootstrap(t *testing.T) {
	const waiting = "Bootstrapping: waiting for a quorum of 3 members to start: "
	started := func() *statetest.Builder { return statetest.Bootstrap(3).Launch(0, 1, 2) }
	again3 := func(slot int) plan.Launch { return again(launchOf(3, slot)) }
	scenarios{
		"starts all members at once, each with the whole list": {
			cluster: statetest.Bootstrap(3), step: start(launchOf(3, 0), launchOf(3, 1), launchOf(3, 2)),
			blocked: []string{waiting + "demo-0 has no Pod; demo-1 has no Pod; demo-2 has no Pod"},
			ensures: []plan.Step{budget(2)},
		},
		"a single member too, without a budget": {
			cluster: statetest.Bootstrap(1), step: start(launchOf(1, 0)), ensures: []plan.Step{budget(0)},
			blocked: []string{"Bootstrapping: waiting for a quorum of 1 members"},
		},
		"keeps the size of the latch, whatever spec.replicas says by now": {
			cluster: statetest.Bootstrap(3).Replicas(5), step: start(launchOf(3, 0), launchOf(3, 1), launchOf(3, 2)),
			blocked: []string{waiting}, ensures: []plan.Step{budget(2)},
		},
		"waits for the Service that the members find one another by": {
			cluster: statetest.Bootstrap(3).With(func(c *state.Cluster) { c.PeerService = nil }),
			blocked: []string{"Bootstrapping: waiting until Kubernetes has the Service of the peers"},
			ensures: []plan.Step{plan.ApplyServices{}},
		},
		"listens on IPv6 where that is the Service's first family": {
			cluster: started().NoPod(1).With(func(c *state.Cluster) { c.PeerService.IPv6 = true }),
			step:    start(onIPv6(again3(1))), blocked: []string{waiting},
		},
		"shows the client Services to nobody": {
			cluster: started().Run(0, 1, 2).Serving(), ensures: []plan.Step{plan.ApplyServices{}}, blocked: []string{waiting},
		},
		"seals each member that is listed as started": {
			cluster: started().Run(0, 1).Serving(), blocked: []string{waiting}, absent: []plan.Step{plan.FormLatch{}},
			ensures: []plan.Step{sealOf(started(), 3, 0), sealOf(started(), 3, 1)},
		},
		"does not seal a member that runs but is not listed as started": {
			cluster: started().Run(0, 1, 2), blocked: []string{waiting}, absent: []plan.Step{plan.Seal{}, plan.FormLatch{}},
		},
		"is not formed by members that are not sealed": {
			cluster: started().Run(0, 1, 2).Serving().Seal(0), blocked: []string{waiting}, absent: []plan.Step{plan.FormLatch{}},
		},
		"is not formed by sealed members that do not serve": {
			cluster: started().Run(0, 1, 2).Serving().Seal(0, 1, 2).NotServing(), blocked: []string{waiting},
			absent: []plan.Step{plan.FormLatch{}},
		},
		"is formed by a sealed majority that serves": {
			cluster: started().Run(0, 1).Serving().Seal(0, 1), ensures: []plan.Step{plan.FormLatch{}},
			blocked: []string{waiting + "demo-2"},
		},
		"records the version when the spec changes it": {
			cluster: started().Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To("3.6.14") }).Run(0, 1, 2),
			ensures: []plan.Step{plan.RecordVersion{Version: "3.6.14"}}, blocked: []string{waiting},
		},
		"a member whose Pod is gone is started again with the list, because it never ran": {
			cluster: started().NoPod(1), step: start(again3(1)), blocked: []string{waiting},
		},
		"a member that ran is started again sealed": {
			cluster: started().Run(0, 1, 2).Serving().Seal(1).NoPod(1), step: start(resumed(3, 1)), blocked: []string{waiting},
		},
		"a Pod that cannot start is made anew from a newer spec": {
			cluster: started().Crash(0, 1, 2).Outdate(0, 1, 2), blocked: []string{waiting}, step: plan.DeletePod{
				Name: "demo-0", UID: podUID(0), Why: "it does not run, and the spec has changed since it was created",
			},
		},
	}.run(t)
}

func onIPv6(l plan.Launch) plan.Launch {
	l.Start.IPv6 = true
	return l
}

func TestFailedBootstrap(t *testing.T) {
	const waiting = "Bootstrapping: waiting for a quorum of 3 members to start: "
	restart := plan.RestartBootstrap{Generation: 2, Size: 3, Version: statetest.Version}
	started := func() *statetest.Builder { return statetest.Bootstrap(3).Launch(0, 1, 2) }
	next := func(b *statetest.Builder) *statetest.Builder {
		return b.With(func(c *state.Cluster) { c.Latch.Generation = 2 })
	}
	scenarios{
		"goes on with a majority when one volume is lost, which never starts empty": {
			cluster: started().NoPod(1).NoVolume(1),
			blocked: []string{"Bootstrapping: demo-1 cannot start: its data is gone", waiting},
		},
		"waits for a volume that is being deleted, and does not start on it": {
			cluster: started().NoPod(1).Member(1, func(m *state.Member) { m.Volume.Terminating = true }),
			blocked: []string{"Bootstrapping: demo-1 cannot start: its volume demo-1-", waiting},
		},
		"starts again under a new identity when a majority of the volumes is lost": {
			cluster: started().NoPod(0, 1).NoVolume(0, 1), step: restart,
		},
		"or wiped after it was recorded that their members ran": {
			cluster: started().Run(0, 1, 2).Serving().Seal(0, 1, 2).NotServing().NoPod(0).NoVolume(0).Wipe(1), step: restart,
		},
		"but not when a majority is left, and tells what is wrong with the others": {
			cluster: started().Run(0, 1, 2).Serving().Seal(0, 1).NotServing().Wipe(1),
			ensures: []plan.Step{sealOf(started(), 3, 2)},
			blocked: []string{waiting + "demo-1 refuses to start: its volume demo-1-30f2dc217cfdb1fb was wiped; " +
				"demo-2 is not sealed yet"},
		},
		"with the size that is wanted by then": {
			cluster: started().NoPod(0, 1).NoVolume(0, 1).Replicas(5), step: plan.RestartBootstrap{
				Generation: 2, Size: 5, Version: statetest.Version,
			},
		},
		"so does a single member that lost its volume": {
			cluster: statetest.Bootstrap(1).Launch(0).NoPod(0).NoVolume(0), step: plan.RestartBootstrap{
				Generation: 2, Size: 1, Version: statetest.Version,
			},
		},
		"so does an ephemeral one that lost a majority of its Pods": {
			cluster: statetest.Bootstrap(3).MakeEphemeral().Launch(0, 1, 2).NoPod(1, 2), step: restart,
		},
		"an ephemeral member that was never launched is launched, though others run": {
			cluster: statetest.Bootstrap(3).MakeEphemeral().Launch(0, 1).Run(0, 1), blocked: []string{waiting},
			step: start(ephemeral(launchOf(3, 2))),
		},
		"is never given up in the moment in which it forms": {
			cluster: started().Run(0, 1, 2).Serving().Seal(0, 1, 2).
				Member(0, func(m *state.Member) { m.Volume.Terminating = true }).
				NoPod(2).NoVolume(2),
			ensures: []plan.Step{plan.FormLatch{}},
			blocked: []string{"Bootstrapping: demo-2 cannot start: its data is gone", waiting},
		},
		"deletes the Pods of the generation that failed": {
			cluster: next(statetest.Bootstrap(3).LeftoverPod(0)), step: plan.DeletePod{
				Name: "demo-0", UID: "uid-former-demo-0", Why: "it belongs to a bootstrap that failed",
			},
			blocked: []string{waiting},
		},
		"and its volumes, once no Pod holds them": {
			cluster: next(statetest.Bootstrap(3).Leftover(0, false)).With(terminateLeftovers), blocked: []string{waiting},
			step: start(second(launchOf(3, 1)), second(launchOf(3, 2))),
		},
		"even before the new members start": {
			cluster: next(statetest.Bootstrap(3).LeftoverVolume(0, false)), blocked: []string{waiting},
			step: plan.DeleteVolume{Name: "demo-0-00000000000000f0", UID: "uid-volume-f0"},
		},
		"deletes nothing of the present generation": {
			cluster: started().Leftover(1, false), blocked: []string{waiting},
		},
	}.run(t)
}

func ephemeral(l plan.Launch) plan.Launch {
	l.Volume = ""
	return l
}

func second(l plan.Launch) plan.Launch {
	l.Incarnation.Generation = 2
	return l
}
