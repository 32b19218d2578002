package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// told makes all members tell that a downgrade is enabled to the minor, and that their data is of the other.
func told(target, storage string) func(*state.Cluster) {
	return func(c *state.Cluster) {
		for i := range c.Members {
			p := &c.Members[i].Probe
			p.DowngradeTarget, p.StorageVersion = target, storage+".0"
		}
	}
}

func established(version string) func(*state.Cluster) {
	return func(c *state.Cluster) { c.Latch.Version = version }
}

func TestDowngrade(t *testing.T) {
	// at37 is a cluster that completed its upgrade and is wanted at 3.6 again.
	at37 := func() *statetest.Builder {
		return statetest.Formed(3).RunVersion("3.7.3", 0, 1, 2).Spec(version("3.6.16")).Budget(3).With(established("3.7.3")).
			ClusterVersion("3.7").With(told("", "3.7"))
	}
	enabled := func() *statetest.Builder { return at37().ClusterVersion("3.6").With(told("3.6", "3.6")) }
	enable, cancel := plan.EnableDowngrade{Target: "3.6"}, plan.CancelDowngrade{Target: "3.6"}
	waits := func(what string) string { return "Downgrading: the downgrade to 3.6.16 waits " + what }
	const seen = "waiting until all members that can be reached show that"
	left := func(who string) string {
		return "Downgrading: members restart one at a time, because etcd 3.6.16 replaces 3.7.3; left: " + who
	}
	scenarios{
		"is enabled first": {
			cluster: at37(), step: enable, blocked: []string{waits("until etcd has lowered its cluster version 3.7")},
		},
		"waits for the cluster version": {
			cluster: at37().With(told("3.6", "3.7")),
			blocked: []string{waits("until etcd has lowered its cluster version 3.7")},
		},
		"waits for every member's data": {
			cluster: enabled().Member(1, func(m *state.Member) { m.Probe.StorageVersion = "3.7.0" }),
			blocked: []string{waits("until demo-1 have converted their data")},
		},
		"then changes one member after the other": {
			cluster: enabled(), step: patched(at37(), 2, "3.6.16"), blocked: []string{left("demo-0, demo-1, demo-2")},
		},
		"the leader last": {
			cluster: enabled().RunVersion("3.6.16", 1, 2), blocked: []string{left("demo-0")},
			step: plan.MoveLeader{From: "demo-0", To: "demo-1", FromID: at37().ID(0), ToID: at37().ID(1)},
		},
		"is over when all have it": {cluster: enabled().RunVersion("3.6.16", 0, 1, 2).With(established("3.6.16"))},
		"is not enabled while a member is in trouble": {
			cluster: at37().Crash(1), blocked: []string{"StartingMember: demo-1",
				"VersionRefused: version 3.6.16 is refused: not all members are healthy"},
		},
		"nor to a release that is too old": {
			cluster: at37().Spec(version("3.6.13")),
			blocked: []string{"VersionRefused: version 3.6.13 is refused: releases before 3.6.14 cannot be downgraded to"},
		},
		"is cancelled by an edit back": {
			cluster: enabled().Spec(version("3.7.3")), step: cancel,
			blocked: []string{"Downgrading: etcd's downgrade to 3.6 is cancelled (it is no longer wanted): " + seen},
		},
		"is cancelled before a member is added": {
			cluster: enabled().Replicas(5), step: cancel, blocked: []string{
				"Downgrading: etcd's downgrade to 3.6 is cancelled (5 voters are needed and there are 3",
				left("demo-0, demo-1, demo-2")},
		},
		"also as long as a single member shows it": {
			cluster: at37().Replicas(5).ClusterVersion("3.6").Member(2, func(m *state.Member) { m.Probe.DowngradeTarget = "3.6" }),
			step:    cancel, blocked: []string{
				"Downgrading: etcd's downgrade to 3.6 is cancelled (5 voters are needed and there are 3",
				waits("until demo-0, demo-1, demo-2 have converted their data")},
		},
		"is cancelled before a lost member is replaced": {
			cluster: enabled().NoPod(2).NoVolume(2), step: cancel, blocked: []string{
				"Downgrading: etcd's downgrade to 3.6 is cancelled (demo-2 is lost: its volume is gone",
				"ReplacingMember: demo-2 is replaced: its volume is gone", left("demo-0, demo-1")},
		},
		"goes on without it once a member has the former minor": {
			cluster: at37().RunVersion("3.6.16", 2).ClusterVersion("3.6").With(told("", "3.6")),
			step:    patched(at37(), 1, "3.6.16"), blocked: []string{left("demo-0, demo-1")},
		},
		"starts a member that is gone as it was": {
			cluster: enabled().NoPod(2), step: start(with(resumed(3, 2), "3.7.3")),
			blocked: []string{"Downgrading: demo-1 is to be restarted (etcd 3.6.16 replaces 3.7.3), but demo-2", left("demo-0, demo-1")},
		},
	}.run(t)
}

func with(l plan.Launch, v string) plan.Launch {
	l.Incarnation.Version = v
	return l
}

func TestLogsOfEtcd35AreSavedBeforeAnUpgradeTo37(t *testing.T) {
	// old is a cluster whose logs may hold what 3.5 wrote.
	old := func() *statetest.Builder {
		return statetest.Formed(3).ClusterVersion("3.6").Spec(version("3.7.3")).Budget(3).With(told("", "3.6")).
			With(func(c *state.Cluster) { c.Latch.LogSince = "3.5" })
	}
	ids := func(slots ...int) []uint64 {
		var list []uint64
		for _, slot := range slots {
			list = append(list, old().ID(slot))
		}
		return list
	}
	saved := func(slots ...int) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Latch.Snapshots = ids(slots...) }
	}
	begun := func(c *state.Cluster) { c.Latch.Saving = true }
	const saving = "Upgrading: waiting until all members have saved a snapshot"
	const waits = "Upgrading: the upgrade to 3.7.3 waits until "
	all := []string{"Upgrading: members restart one at a time, because etcd 3.7.3 replaces 3.6.16; left: demo-0, demo-1, demo-2"}
	scenarios{
		"by a downgrade that is enabled": {
			cluster: old(), step: plan.EnableDowngrade{Target: "3.5", Save: true}, blocked: []string{waits + "demo-0 has saved a snapshot"},
		},
		"also when nobody knows what they hold": {
			cluster: old().With(func(c *state.Cluster) { c.Latch.LogSince = "" }), step: plan.EnableDowngrade{Target: "3.5", Save: true},
			blocked: []string{waits + "demo-0 has saved a snapshot"},
		},
		"until all have converted their data": {
			cluster: old().With(begun).With(told("3.5", "3.5")).Member(1, func(m *state.Member) { m.Probe.StorageVersion = "3.6.0" }),
			blocked: []string{saving, waits + "etcd's downgrade to 3.5 is cancelled"}, absent: []plan.Step{plan.RecordSnapshots{}},
		},
		"which is recorded": {
			cluster: old().ClusterVersion("3.5").With(begun).With(told("3.5", "3.5")),
			ensures: []plan.Step{plan.RecordSnapshots{Members: ids(0, 1, 2)}},
			blocked: []string{saving, waits + "etcd's downgrade to 3.5 is cancelled"},
		},
		"not by a downgrade that was enabled to run 3.5, and members may have": {
			cluster: old().ClusterVersion("3.5").With(told("3.5", "3.5")), absent: []plan.Step{plan.RecordSnapshots{}},
			step: plan.CancelDowngrade{Target: "3.5"}, blocked: []string{
				"Downgrading: etcd's downgrade to 3.5 is cancelled", waits + "etcd's downgrade to 3.5 is cancelled"},
		},
		"which is taken back before a member gets 3.5 after all": {
			cluster: old().ClusterVersion("3.5").With(begun).With(told("3.5", "3.5")).Spec(version("3.5.35")),
			ensures: []plan.Step{plan.RecordSnapshots{}},
			blocked: []string{"Downgrading: the downgrade to 3.5.35 waits until the record that logs were saved is taken back"},
		},
		"also when all had saved theirs": {
			cluster: old().ClusterVersion("3.5").With(saved(0, 1, 2)).With(told("3.5", "3.5")).Spec(version("3.5.35")),
			ensures: []plan.Step{plan.RecordSnapshots{}},
			blocked: []string{"Downgrading: the downgrade to 3.5.35 waits until the record that logs were saved is taken back"},
		},
		"before it is cancelled": {
			cluster: old().ClusterVersion("3.5").With(told("3.5", "3.5")).With(saved(0, 1, 2)),
			step:    plan.CancelDowngrade{Target: "3.5"}, blocked: []string{
				"Downgrading: etcd's downgrade to 3.5 is cancelled", waits + "etcd's downgrade to 3.5 is cancelled"},
		},
		"and the cluster version has risen again": {
			cluster: old().ClusterVersion("3.5").With(saved(0, 1, 2)),
			blocked: []string{waits + "etcd's cluster version 3.5 follows its members"},
		},
		"then the upgrade begins": {
			cluster: old().With(saved(0, 1, 2)), step: patched(old(), 2, "3.7.3"), blocked: all,
		},
		"a member that joined later needs one of its own": {
			cluster: old().With(saved(0, 2)), step: plan.EnableDowngrade{Target: "3.5", Save: true},
			blocked: []string{waits + "demo-1 has saved a snapshot"},
		},
		"a member that joined after others were upgraded has them taken back first": {
			cluster: old().RunVersion("3.7.3", 2).With(saved(0, 2)), step: patched(old(), 2, "3.6.16"), blocked: []string{
				waits + "demo-1 has saved a snapshot",
				"Downgrading: members restart one at a time, because etcd 3.6.16 replaces 3.7.3; left: demo-2"},
		},
		"nothing is taken back once all have saved theirs": {
			cluster: old().RunVersion("3.7.3", 2).With(saved(0, 1, 2)), step: patched(old(), 1, "3.7.3"),
			blocked: []string{"Upgrading: members restart one at a time, because etcd 3.7.3 replaces 3.6.16; left: demo-0, demo-1"},
		},
		"a cluster that never ran 3.5 needs none": {
			cluster: old().With(func(c *state.Cluster) { c.Latch.LogSince = "3.6" }), step: patched(old(), 2, "3.7.3"), blocked: all,
		},
		"not while a member is in trouble": {
			cluster: old().Crash(1), blocked: []string{"StartingMember: demo-1",
				"VersionRefused: version 3.7.3 is refused: not all members are healthy"},
		},
	}.run(t)
}
