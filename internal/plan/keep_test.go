package plan_test

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func reclaim(p v1alpha1.ReclaimPolicy) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Storage.ReclaimPolicy = ptr.To(p) }
}

func TestServices(t *testing.T) {
	const waiting = "Bootstrapping: waiting for a quorum"
	scenarios{
		"before the first quorum only the peers': clients could write what a member that starts empty forgets": {
			cluster: statetest.Bootstrap(3).Launch(0, 1, 2).Run(0, 1, 2).Serving(), blocked: []string{waiting},
			ensures: []plan.Step{plan.ApplyServices{}},
		},
		"then one for all and one for each voter": {
			cluster: statetest.Formed(3), ensures: []plan.Step{plan.ApplyServices{Clients: true, Slots: []int{0, 1, 2},
				Prune: true}},
		},
		"a learner gets none": {
			cluster: statetest.Formed(3).Replicas(5).Learner(3).Launch(3), blocked: []string{"ScalingUp: learner demo-3"},
			ensures: []plan.Step{plan.ApplyServices{Clients: true, Slots: []int{0, 1, 2}}},
		},
		"the member that is being removed keeps its own until etcd no longer lists it": {
			cluster: statetest.Formed(3).Replicas(1).Retire(2).Budget(3).Leader(2), step: moveLeader(statetest.Formed(3), 2, 0),
			ensures: []plan.Step{plan.ApplyServices{Clients: true, Slots: []int{0, 1, 2}, Prune: true}},
		},
		"none is taken away while etcd's list is not known": {
			cluster: statetest.Ephemeral(3).NoPod(1).Crash(2).Unlisted(),
			blocked: []string{"QuorumLost: no", "StartingMember: demo-0"},
			ensures: []plan.Step{plan.ApplyServices{Clients: true, Slots: []int{0, 2}}},
		},
	}.run(t)
}

func TestOwners(t *testing.T) {
	scenarios{
		"nobody owns the data with reclaimPolicy Retain": {
			cluster: statetest.Formed(3).Member(1, func(m *state.Member) { m.Volume.Owner = statetest.UID }),
			ensures: []plan.Step{plan.ApplyOwners{Owned: false}},
			blocked: []string{v1alpha1.ReasonWaiting + ": reclaimPolicy Retain is not in force yet"},
		},
		"the latch neither": {
			cluster: statetest.Formed(3).With(func(c *state.Cluster) { c.Latch.Owner = statetest.UID }),
			ensures: []plan.Step{plan.ApplyOwners{Owned: false}},
			blocked: []string{v1alpha1.ReasonWaiting + ": reclaimPolicy Retain is not in force yet"},
		},
		"the cluster owns them with Delete": {
			cluster: statetest.Formed(3).Spec(reclaim(v1alpha1.ReclaimDelete)),
			ensures: []plan.Step{plan.ApplyOwners{Owned: true}},
		},
		"retired volumes as well": {
			cluster: statetest.Formed(3).Spec(reclaim(v1alpha1.ReclaimDelete)).LeftoverVolume(3, true).
				With(func(c *state.Cluster) {
					c.Latch.Owner = statetest.UID
					for _, m := range c.Members {
						m.Volume.Owner = statetest.UID
					}
				}),
			ensures: []plan.Step{plan.ApplyOwners{Owned: true}},
			step:    plan.DeleteVolume{Name: "demo-3-00000000000000f3", UID: "uid-volume-f3"},
		},
	}.run(t)
}

func TestPlacement(t *testing.T) {
	place := func(pv, node string) plan.Step {
		return plan.RecordPlacement{Volume: volume(statetest.Formed(3), 1), PersistentVolume: pv, Node: node}
	}
	pv := statetest.Formed(3).Build().Members[1].Volume.PersistentVolume
	scenarios{
		"is recorded when the volume is bound and the Pod has a node": {
			cluster: statetest.Formed(3).Member(1,
				func(m *state.Member) { m.Volume.RecordedPersistentVolume, m.Volume.Node = "", "" }),
			ensures: []plan.Step{place(pv, "node-1")},
		},
		"follows the Pod to another node": {
			cluster: statetest.Formed(3).Member(1, func(m *state.Member) { m.Pod.Node = "node-9" }),
			ensures: []plan.Step{place(pv, "node-9")},
		},
		"is not recorded before the claim is bound": {
			cluster: statetest.Formed(3).Member(1, func(m *state.Member) {
				m.Volume.RecordedPersistentVolume, m.Volume.PersistentVolume, m.Volume.Node = "", "", ""
			}),
			absent: []plan.Step{plan.RecordPlacement{}},
		},
		"is not recorded for data that is not the member's": {
			cluster: statetest.Formed(3).Member(1, func(m *state.Member) {
				m.Volume.PersistentVolume, m.Volume.Node = "pv-velero", ""
			}),
			absent: []plan.Step{plan.RecordPlacement{}},
		},
	}.run(t)
}

func TestSeal(t *testing.T) {
	unsealed := func() *statetest.Builder {
		return statetest.Formed(3).Member(1, func(m *state.Member) { m.Pod.Sealed, m.Volume.Started = false, false })
	}
	starting := func(why string) []string {
		return []string{"StartingMember: demo-1 " + why}
	}
	scenarios{
		"a member that is listed as started and answers is sealed": {
			cluster: unsealed(), ensures: []plan.Step{sealOf(statetest.Formed(3), 3, 1)}, blocked: starting("is not sealed yet"),
		},
		"and again when only its volume records it": {
			cluster: statetest.Formed(3).Member(1, func(m *state.Member) { m.Pod.Sealed = false }),
			ensures: []plan.Step{sealOf(statetest.Formed(3), 3, 1)}, blocked: starting("is not sealed yet"),
		},
		"not before etcd lists its client URLs: a sealed member that never ran would never start": {
			cluster: unsealed().Member(1, func(m *state.Member) { m.Started = false }), absent: []plan.Step{plan.Seal{}},
			blocked: starting("is not sealed yet"),
		},
		"not when it does not answer: who knows what runs there": {
			cluster: unsealed().Crash(1), absent: []plan.Step{plan.Seal{}}, blocked: starting("is not running"),
		},
		"not when it answers as another member": {
			cluster: unsealed().Member(1, func(m *state.Member) { m.Probe.MemberID = 0xbad }), absent: []plan.Step{plan.Seal{}},
			blocked: starting("answers as another member (bad)"),
		},
		"not when its Pod is being deleted": {
			cluster: unsealed().Terminate(1), absent: []plan.Step{plan.Seal{}},
			blocked: []string{"StartingMember: demo-1: its Pod"},
		},
	}.run(t)
}

func TestVersionOfPods(t *testing.T) {
	to := func(v string) func(*v1alpha1.EtcdClusterSpec) {
		return func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To(v) }
	}
	const minor = "VersionRefused: version 3.7.3 is refused: "
	waits := func(version string) []string {
		replaces := "etcd " + version + " replaces 3.6.16"
		return []string{"RollingOut: demo-2 is to be restarted (" + replaces + "), but demo-1 has to be healthy and ready first",
			"RollingOut: members restart one at a time, because " + replaces + "; left: demo-0, demo-2"}
	}
	scenarios{
		"a Pod that is created again gets another patch of its minor": {
			cluster: statetest.Formed(3).NoPod(1).Spec(to("3.6.20")), step: start(with(resumed(3, 1), "3.6.20")),
			blocked: waits("3.6.20"),
		},
		"also a lower one": {
			cluster: statetest.Formed(3).NoPod(1).Spec(to("3.6.14")), step: start(with(resumed(3, 1), "3.6.14")),
			blocked: waits("3.6.14"),
		},
		"but never another minor": {
			cluster: statetest.Formed(3).NoPod(1).ClusterVersion("3.6").Spec(to("3.7.3")), step: start(resumed(3, 1)),
			blocked: []string{minor + "not all members are healthy: demo-1 has no Pod"},
		},
		"nor does a learner": {
			cluster: statetest.Formed(3).Replicas(5).Learner(3).ClusterVersion("3.6").Spec(to("3.7.3")), step: start(joining(3, 3, 0, 1, 2, 3)),
			blocked: []string{"ScalingUp: learner demo-3", minor + "demo-3 is a learner"},
		},
		"a crashed Pod is not made anew for the sake of another minor": {
			cluster: statetest.Formed(3).Crash(1).ClusterVersion("3.6").Spec(to("3.7.3")),
			blocked: []string{"StartingMember: demo-1", minor + "not all members are healthy: demo-1"},
		},
		"a version that was chosen once is kept when the operator's default moves on": {
			cluster: statetest.Formed(3).NoPod(1).With(func(c *state.Cluster) { c.DefaultVersion = "3.7.3" }),
			step:    start(resumed(3, 1)),
		},
		"a joiner gets the lowest minor that a member runs": {
			cluster: statetest.Formed(3).Replicas(5).Learner(3).ClusterVersion("3.6").Spec(to("3.7.3")).RunVersion("3.7.3", 0),
			step:    start(joining(3, 3, 0, 1, 2, 3)),
			blocked: []string{"ScalingUp: learner demo-3", "Upgrading: the upgrade to 3.7.3 waits: demo-3 is a learner"},
		},
	}.run(t)
}
