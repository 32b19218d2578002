package state_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestAssessMember(t *testing.T) {
	healthy := func() *statetest.Builder { return statetest.Formed(3) }
	one := func(change func(*state.Member)) *statetest.Builder { return healthy().Member(1, change) }
	tests := map[string]struct {
		cluster *statetest.Builder
		health  state.Health
		reason  string
	}{
		"that answers as itself, follows the leader and is sealed is healthy": {healthy(), state.Healthy, ""},
		"without a Pod is unhealthy": {healthy().NoPod(1), state.Unhealthy,
			"has no Pod"},
		"whose Pod is being deleted is unhealthy, though it answers": {healthy().Terminate(1), state.Unhealthy,
			"its Pod is being deleted"},
		"that cannot be reached while its Pod is ready is unknown": {
			healthy().Unreachable(1), state.Unknown, "cannot be reached although its Pod is ready: context deadline exceeded",
		},
		"that cannot be reached and is not ready is unhealthy": {
			healthy().Unreachable(1).Member(1, func(m *state.Member) { m.Pod.Ready = false }), state.Unhealthy,
			"does not serve yet",
		},
		"whose container does not run says why": {healthy().Crash(1), state.Unhealthy, "is not running: CrashLoopBackOff"},
		"whose container was not started yet": {
			healthy().Crash(1).Member(1, func(m *state.Member) { m.Pod.Waiting = "" }), state.Unhealthy, "is not running yet",
		},
		"that was restarted and does not answer tells how it ended, and not how often": {
			healthy().Crash(1).Member(1, func(m *state.Member) { m.Pod.Running, m.Pod.Waiting, m.Pod.Restarts = true, "", 7 }),
			state.Unhealthy, "does not serve (it was restarted, last exit code 1)",
		},
		"that found its volume empty is told apart": {healthy().Wipe(1), state.Unhealthy,
			"refuses to start: its volume demo-1-"},
		"whose data differs from a peer's tells what a person has to find out": {
			healthy().Crash(1).Member(1, func(m *state.Member) {
				m.Pod.LastExit.Message = "discovery failed: 1a2b found data inconsistency with peers"
			}),
			state.Unhealthy, "refuses to start, because its data differs from a peer's: find out with etcdctl endpoint hashkv",
		},
		"of another cluster is unhealthy": {
			one(func(m *state.Member) { m.Probe.ClusterID = 0xbad }), state.Unhealthy, "answers for another cluster (bad)",
		},
		"that answers as another is unhealthy": {
			one(func(m *state.Member) { m.Probe.MemberID = 0xbad }), state.Unhealthy, "answers as another member (bad)",
		},
		"that knows no leader is unhealthy": {
			one(func(m *state.Member) { m.Probe.Leader = 0 }), state.Unhealthy, "does not follow the leader",
		},
		"that follows another leader than the majority is unhealthy": {
			one(func(m *state.Member) { m.Probe.Leader = m.ID }), state.Unhealthy, "does not follow the leader",
		},
		"with an error of its own is unhealthy": {
			one(func(m *state.Member) { m.Probe.Errors = []string{"etcdserver: request timed out"} }), state.Unhealthy,
			"request timed out",
		},
		"that only tells of a NOSPACE alarm, as all do, is healthy": {
			one(func(m *state.Member) { m.Probe.Errors = []string{"memberID:1 alarm:NOSPACE "} }), state.Healthy, "",
		},
		"that has applied less than the others have committed is unhealthy": {
			one(func(m *state.Member) { m.Probe.Applied = 1 }).Member(0, func(m *state.Member) { m.Probe.Committed = 1002 }),
			state.Unhealthy, "is behind the log of the others",
		},
		"may lag by a thousand entries": {
			one(func(m *state.Member) { m.Probe.Applied = 2 }).Member(0, func(m *state.Member) { m.Probe.Committed = 1002 }),
			state.Healthy, "",
		},
		"that runs another minor than its Pod was made for, ahead of the cluster, is unhealthy": {
			one(func(m *state.Member) { m.Probe.Version = "3.7.3" }).ClusterVersion("3.6"), state.Unhealthy,
			"runs etcd 3.7.3 although its image is to be that of 3.6.16: spec.image must be of spec.version",
		},
		"may do so where the cluster has got there": {
			one(func(m *state.Member) { m.Probe.Version = "3.7.3" }).ClusterVersion("3.7"), state.Healthy, "",
		},
		"is not behind what another cluster has committed": {
			healthy().Member(2, func(m *state.Member) { m.Probe.ClusterID, m.Probe.Committed = 0xbad, 1e6 }), state.Healthy, "",
		},
		"that is not recorded as started is unhealthy: it could start empty": {
			one(func(m *state.Member) { m.Volume.Started = false }), state.Unhealthy, "is not sealed yet",
		},
		"whose Pod is not sealed is unhealthy": {
			one(func(m *state.Member) { m.Pod.Sealed = false }), state.Unhealthy, "is not sealed yet",
		},
		"of an ephemeral cluster that is not recorded as started is unhealthy": {
			statetest.Ephemeral(3).Member(1, func(m *state.Member) { m.Pod.Started = false }), state.Unhealthy,
			"is not sealed yet",
		},
		"that learns and has caught up is healthy": {
			statetest.Formed(1).Learner(1).Launch(1).Run(1).Seal(1), state.Healthy, "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := test.cluster.Build().Members[1]
			if m.Health != test.health || !strings.Contains(m.Reason, test.reason) || (m.Reason == "") != (test.reason == "") {
				t.Errorf("demo-1 is %s (%q), want %s (%q)", m.Health, m.Reason, test.health, test.reason)
			}
		})
	}
}

func TestAgreedLeader(t *testing.T) {
	tests := map[string]struct {
		cluster *statetest.Builder
		leader  string
	}{
		"is the one that all name":             {statetest.Formed(3), "demo-0"},
		"is the one that a majority names":     {statetest.Formed(3).NoPod(0), "demo-0"},
		"is none that only one of three names": {statetest.Formed(3).NoPod(0, 1), ""},
		"is none that half of the voters name": {statetest.Formed(2).NoPod(1), ""},
		"is none while no member answers":      {statetest.Formed(3).Crash(0, 1, 2), ""},
		"is the only member":                   {statetest.Formed(1), "demo-0"},
		"is not chosen by learners":            {statetest.Formed(2).Learner(2).Launch(2).Run(2).NoPod(1), ""},
		"is not chosen by members of other clusters": {statetest.Formed(3).NoPod(2).
			Member(1, func(m *state.Member) { m.Probe.ClusterID = 1 }), ""},
		"is not somebody of whom two of four tell": {statetest.Formed(4).NoPod(2, 3), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.cluster.Build().LeaderName(); got != test.leader {
				t.Errorf("the leader is %q, want %q", got, test.leader)
			}
		})
	}
}

func TestWiped(t *testing.T) {
	tests := map[string]struct {
		cluster *statetest.Builder
		wiped   bool
	}{
		"a sealed member that ended for want of peers to ask": {statetest.Formed(3).Wipe(1), true},
		"a member that ended for another reason":              {statetest.Formed(3).Crash(1), false},
		"a member that was not sealed: its peers may be slow": {
			statetest.Formed(3).Wipe(1).Member(1, func(m *state.Member) { m.Pod.Sealed = false }), false,
		},
		"a member whose first start failed so, long ago, and that answers": {
			statetest.Formed(3).Member(1, func(m *state.Member) { m.Pod.LastExit = wipedExit() }), false,
		},
		"one that does not answer now, but is ready": {
			statetest.Formed(3).Unreachable(1).Member(1, func(m *state.Member) { m.Pod.LastExit = wipedExit() }), false,
		},
		"one that does not answer now, and is not ready, but has run for long": {
			statetest.Formed(3).Unreachable(1).Member(1, func(m *state.Member) {
				m.Pod.Ready, m.Pod.RunningFor, m.Pod.LastExit = false, time.Hour, wipedExit()
			}), false,
		},
		"one that was sealed just now, in this run of its container": {
			statetest.Formed(3).Unreachable(1).Member(1, func(m *state.Member) {
				m.Pod.Ready, m.Pod.RunningFor, m.Pod.LastExit = false, 5*time.Second, wipedExit()
			}), false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.cluster.Build().Members[1].Wiped(); got != test.wiped {
				t.Errorf("wiped is %t, want %t", got, test.wiped)
			}
		})
	}
}

func wipedExit() *state.Exit { return &state.Exit{Code: 1, Message: statetest.WipedLog} }
