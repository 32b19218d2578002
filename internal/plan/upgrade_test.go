package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestUpgrade(t *testing.T) {
	to := func() *statetest.Builder {
		return statetest.Formed(3).ClusterVersion("3.6").Spec(version("3.7.3")).Budget(3)
	}
	const refused = "VersionRefused: version 3.7.3 is refused: "
	left := func(who string) string {
		return "Upgrading: members restart one at a time, because etcd 3.7.3 replaces 3.6.16; left: " + who
	}
	reports := func(slot int, v string) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Members[slot].Probe.Version = v }
	}
	scenarios{
		"of a healthy cluster begins with the highest slot, in place": {
			cluster: to(), step: patched(to(), 2, "3.7.3"), blocked: []string{left("demo-0, demo-1, demo-2")},
		},
		"goes on with the next": {
			cluster: to().RunVersion("3.7.3", 2), step: patched(to(), 1, "3.7.3"), blocked: []string{left("demo-0, demo-1")},
		},
		"waits for etcd to tell where it is": {
			cluster: to().ClusterVersion(""), blocked: []string{"Upgrading: waiting until etcd tells its cluster version"},
		},
		"skips no minor": {
			cluster: to().RunVersion("3.5.35", 0, 1, 2).ClusterVersion("3.5"), blocked: []string{refused +
				"the cluster is at etcd 3.5, and minors cannot be skipped: set spec.version to a release of 3.6 first"},
		},
		"needs every member at a release that can be upgraded": {
			cluster: to().With(reports(1, "3.6.13")), blocked: []string{refused +
				"demo-1 runs 3.6.13, and only 3.6.14 or later can be upgraded: set spec.version to it first"},
		},
		"goes to no release that is too old": {
			cluster: to().Spec(version("3.7.1")),
			blocked: []string{"VersionRefused: version 3.7.1 is refused: releases before 3.7.2 cannot be upgraded to"},
		},
		"needs members that agree on who they are": {
			cluster: to().With(func(c *state.Cluster) { c.Etcd.ListsDiffer = []string{"demo-1"} }),
			blocked: []string{refused + "the member list of demo-1 differs from the cluster's"},
		},
		"needs healthy members": {
			cluster: to().Crash(1),
			blocked: []string{"StartingMember: demo-1", refused + "not all members are healthy: demo-1 is not running"},
		},
		"needs a cluster without alarms": {
			cluster: to().With(func(c *state.Cluster) { c.Etcd.Alarms = []state.Alarm{{Type: "NOSPACE", Member: "demo-0"}} }),
			blocked: []string{"Alarm: demo-0", refused + "etcd raises the alarm NOSPACE"},
		},
		"once begun, waits for the member that has the new version": {
			cluster: to().RunVersion("3.7.3", 2).Crash(2), blocked: []string{
				"StartingMember: demo-2 is not running", "Upgrading: the upgrade to 3.7.3 waits: not all members are healthy: demo-2"},
		},
		"of a crash-looping new version goes to another patch": {
			cluster: statetest.Formed(3).ClusterVersion("3.6").RunVersion("3.7.2", 2).Crash(2).Spec(version("3.7.3")),
			step: plan.DeletePod{
				Name: "demo-2", UID: podUID(2), Why: "it does not run, and the spec has changed since it was created",
			},
			blocked: []string{"StartingMember: demo-2 is not running", "Upgrading: the upgrade to 3.7.3 waits"},
		},
		"with other flags makes a new Pod, and records the version before": {
			cluster: statetest.Formed(3).RunVersion("3.5.35", 0, 1, 2).ClusterVersion("3.5").Spec(version("3.6.16")).Budget(3),
			step: plan.DeletePod{
				Name: "demo-2", UID: podUID(2), Why: "etcd 3.6.16 replaces 3.5.35", Volume: volume(to(), 2), Version: "3.6.16",
			},
			blocked: []string{"Upgrading: members restart one at a time, because etcd 3.6.16 replaces 3.5.35; left: demo-0, " +
				"demo-1, demo-2"},
		},
		"with other flags is refused where the data is in the Pods": {
			cluster: statetest.Ephemeral(3).RunVersion("3.5.35", 0, 1, 2).ClusterVersion("3.5").Spec(version("3.6.16")),
			blocked: []string{"VersionRefused: version 3.6.16 is refused: it needs other flags than the members have"},
		},
	}.run(t)
}

func TestAVolumeThatIsToRunANewVersionIsStartedWithIt(t *testing.T) {
	l := resumed(3, 2)
	l.Incarnation.Version = "3.6.16"
	scenarios{
		"its Pod was deleted for that": {
			cluster: statetest.Formed(3).RunVersion("3.5.35", 0, 1, 2).ClusterVersion("3.5").Spec(version("3.6.16")).
				Member(2, func(m *state.Member) { m.Volume.Version = "3.6.16" }).NoPod(2),
			step: start(l), blocked: []string{"Upgrading: the upgrade to 3.6.16 waits: not all members are healthy: demo-2 has no Pod"},
		},
	}.run(t)
}

func TestAnUpgradeIsTakenBack(t *testing.T) {
	// mixed is a cluster in the middle of an upgrade that is no longer wanted.
	mixed := func() *statetest.Builder {
		return statetest.Formed(3).ClusterVersion("3.6").RunVersion("3.7.3", 2).Spec(version("3.6.16")).Budget(3)
	}
	const why = "etcd 3.6.16 replaces 3.7.3"
	remade := plan.DeletePod{
		Name: "demo-2", UID: podUID(2), Why: "it does not run, and the spec has changed since it was created",
	}
	single := func() *statetest.Builder {
		return statetest.Formed(1).Replicas(1).RunVersion("3.7.3", 0).Spec(version("3.6.16"))
	}
	scenarios{
		"by the former binary, while a member still has it": {
			cluster: mixed(), step: patched(mixed(), 2, "3.6.16"),
			blocked: []string{"Downgrading: members restart one at a time, because " + why + "; left: demo-2"},
		},
		"at once where the new one does not run": {
			cluster: mixed().Crash(2), step: remade, blocked: []string{"StartingMember: demo-2 is not running"},
		},
		"also of a single member that the new one never served": {
			cluster: single().Crash(0).Unlisted(), step: plan.DeletePod{Name: "demo-0", UID: podUID(0), Why: remade.Why},
			blocked: []string{"QuorumLost: no majority serves", "StartingMember: demo-0 is not running"},
		},
		"not when its completion was seen: a member that is gone returns as it was": {
			cluster: single().With(func(c *state.Cluster) { c.Latch.Version = "3.7.3" }).NoPod(0).Unlisted(),
			step:    start(with(resumed(1, 0), "3.7.3")), blocked: []string{"QuorumLost: no majority serves"},
		},
		"not when etcd tells that it is completed": {
			cluster: mixed().ClusterVersion("3.7").NoPod(2), step: start(with(resumed(3, 2), "3.7.3")),
		},
		"not while it is about to be completed, as no member has the former version": {
			cluster: mixed().RunVersion("3.7.3", 0, 1), blocked: []string{
				"Downgrading: the downgrade to 3.6.16 waits until etcd's cluster version follows its members to 3.7"},
		},
		"not by two minors": {
			cluster: mixed().Spec(version("3.5.35")).RunVersion("3.7.3", 0, 1), blocked: []string{
				"VersionRefused: version 3.5.35 is refused: the cluster runs 3.7.3, and only one minor back is possible"},
		},
	}.run(t)
}

func TestAnUpgradeIsRecordedOnceItIsCompleted(t *testing.T) {
	all := func() *statetest.Builder {
		return statetest.Formed(3).Spec(version("3.7.3")).RunVersion("3.7.3", 0, 1, 2)
	}
	recorded := plan.RecordVersion{Version: "3.7.3"}
	scenarios{
		"when the cluster version has followed": {cluster: all().ClusterVersion("3.7"), ensures: []plan.Step{recorded}},
		"not before":                            {cluster: all().ClusterVersion("3.6"), absent: []plan.Step{recorded}},
		"a patch at once": {
			cluster: statetest.Formed(3).Spec(version("3.6.17")).RunVersion("3.6.17", 0, 1, 2),
			ensures: []plan.Step{plan.RecordVersion{Version: "3.6.17"}},
		},
		"not while a member lacks it": {
			cluster: statetest.Formed(3).Spec(version("3.6.17")).RunVersion("3.6.17", 1, 2).Budget(3),
			absent:  []plan.Step{recorded}, step: plan.MoveLeader{
				From: "demo-0", To: "demo-1", FromID: all().ID(0), ToID: all().ID(1),
			}, blocked: []string{"RollingOut: left: demo-0"},
		},
		"never again": {
			cluster: all().With(func(c *state.Cluster) { c.Latch.Version = "3.7.3" }), absent: []plan.Step{recorded},
		},
	}.run(t)
}

func TestAMemberThatWasTakenBackTooFarStartsAgain(t *testing.T) {
	tooOld := func(m *state.Member) {
		m.Pod.LastExit.Message = `{"level":"panic","msg":"invalid downgrade; server version is lower than determined..."}`
	}
	b := func() *statetest.Builder {
		return statetest.Formed(1).Replicas(1).Crash(0).Unlisted().Spec(version("3.7.3")).Member(0, tooOld)
	}
	scenarios{
		"because its etcd says that its data is of the wanted minor": {
			cluster: b(), ensures: []plan.Step{plan.RecordVolumeVersion{Volume: volume(b(), 0), Version: "3.7.3"}},
			blocked: []string{"QuorumLost: no majority", "StartingMember: demo-0"},
		},
		"not with its data in its Pod: a person is told how to have it replaced": {
			cluster: statetest.Ephemeral(3).RunVersion("3.7.3", 0, 1).ClusterVersion("3.7").Spec(version("3.7.3")).Crash(2).
				Member(2, tooOld), absent: []plan.Step{plan.RecordVolumeVersion{}},
			blocked: []string{"StartingMember: demo-2", "MemberUnhealthy: the data of demo-2 is of a later minor"},
		},
		"once a person wants that minor again, and is told so until then": {
			cluster: b().Spec(version("3.6.16")), absent: []plan.Step{plan.RecordVolumeVersion{}},
			blocked: []string{"QuorumLost: no majority", "StartingMember: demo-0", "VersionRefused: version 3.6.16 is refused: " +
				"the data of demo-0 is of a later minor, and etcd 3.6.16 does not start on it: set spec.version to a release of 3.7"},
		},
	}.run(t)
}

func TestAJoinerGetsWhatTheOthersRun(t *testing.T) {
	// The operator crashed after it had recorded what was about to run, and then the upgrade had to wait.
	b := statetest.Formed(1).Replicas(3).ClusterVersion("3.6").Spec(version("3.7.3")).Learner(1).
		Member(0, func(m *state.Member) { m.Volume.Version = "3.7.3" })
	s, starts := plan.Next(b.Build()).Step.(plan.StartMembers)
	if !starts || s.Members[0].Incarnation.Version != statetest.Version {
		t.Errorf("the step is %+v, want the learner started with etcd %s", s, statetest.Version)
	}
}
