package plan_test

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func class(name string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = ptr.To(name) }
}

// of makes the volume one that was asked for with a class and got an actual one.
func of(asked, actual string) func(*state.Member) {
	return func(m *state.Member) { m.Volume.StorageClass, m.Volume.ActualStorageClass = asked, actual }
}

func movesBecause(why, who string) string {
	return "MovingMember: members are moved to new members one at a time, because " + why + "; left: " + who
}

func TestMembersMoveToAnotherStorageClass(t *testing.T) {
	slow := func(voters int) *statetest.Builder {
		b := statetest.Formed(voters).Replicas(voters).Spec(class("fast"))
		for slot := range voters {
			b.Member(slot, of("slow", "slow"))
		}
		return b
	}
	const why = `its volume is of storage class "slow" and the spec asks for "fast"`
	surge := func(m *state.Member) { m.Volume.Surge = true; of("fast", "fast")(m) }
	four := func() *statetest.Builder {
		b := statetest.Formed(4).Replicas(3).Spec(class("fast")).Budget(4).Member(3, surge)
		for slot := range 3 {
			b.Member(slot, of("slow", "slow"))
		}
		return b
	}
	scenarios{
		"one more is added first": {
			cluster: slow(3), step: addLearner(3), blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"a single member is moved in the same way": {
			cluster: slow(1), step: addLearner(1), blocked: []string{movesBecause(why, "demo-0")},
		},
		"then the member with the highest slot leaves": {
			cluster: four(), step: retire(four(), 2), blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"one that does not run is started first, and nobody leaves meanwhile": {
			cluster: four().NoPod(2), step: start(resumed(4, 2)),
			blocked: []string{"MovingMember: left: demo-0, demo-1, demo-2"},
		},
		"a member that does not run is started on its old volume, and nobody is removed": {
			cluster: slow(3).NoPod(1), step: start(resumed(3, 1)),
			blocked: []string{"MovingMember: left: demo-0, demo-1, demo-2"},
		},
		"a learner on a volume of another class than is wanted by now is removed": {
			cluster: slow(3).Learner(3).Launch(3).Member(3, of("slow", "slow")), step: retire(slow(3).Learner(3), 3),
			blocked: []string{"ScalingDown: learner demo-3 is removed: " + why, "MovingMember: left"},
		},
		"a learner whose volume cannot be provisioned is waited for, and nothing is lost": {
			cluster: slow(3).Learner(3).Launch(3).Member(3, of("fast", "fast")).Member(3, func(m *state.Member) {
				m.Volume.PersistentVolume = ""
			}), blocked: []string{`ScalingUp: of storage class "fast" yet`, "MovingMember: "}, ensures: []plan.Step{budget(2)},
		},
		"which ends the move when the class is edited back": {
			cluster: slow(3).Spec(class("slow")).Learner(3).Launch(3).Member(3, of("fast", "fast")),
			step:    retire(slow(3).Learner(3), 3), blocked: []string{"ScalingDown: learner demo-3 is removed"},
		},
		"nobody moves when the spec names no class any more": {
			cluster: slow(3).Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = nil }),
		},
		"nobody moves when the default class is named": {
			cluster: slow(3).Member(0, of("", "fast")).Member(1, of("", "fast")).Member(2, of("", "fast")),
		},
		"nobody moves for ever when a webhook changes the class of claims": {
			cluster: slow(3).Member(0, of("fast", "encrypted")).Member(1, of("fast", "encrypted")).Member(2, of("fast", "encrypted")),
		},
	}.run(t)
}

func TestMembersThatTheSpecAdmitsNowhereNearTheirVolumesAreMoved(t *testing.T) {
	apart := func(m *state.Member) {
		m.Volume.Disk = &state.Disk{Searched: true, Hosts: []string{"node-1"}, Unfit: true}
	}
	near := func(m *state.Member) { m.Volume.Disk = &state.Disk{Searched: true, Hosts: []string{"node-1"}} }
	const why = "its volume cannot be attached to any node that spec.podTemplate admits"
	scenarios{
		"after an edit of the template": {
			cluster: statetest.Formed(3).Member(1, apart).Outdate(1), step: addLearner(3),
			blocked: []string{movesBecause(why, "demo-1")},
		},
		"not when the volume is at hand there": {
			cluster: statetest.Formed(3).Member(1, near).Outdate(1), blocked: []string{
				"RollingOut: demo-1 is to be restarted (spec.restartedAt changed): waiting", "RollingOut: left: demo-1"},
		},
		"not because a node's labels have changed": {cluster: statetest.Formed(3).Member(1, apart)},
		"also where volumes have grown since, and the quota has not": {
			cluster: statetest.Formed(3).Volumes("30Gi").Grown("40Gi", 0, 1, 2).Spec(sizeOf("40Gi")).Member(1, apart),
		},
	}.run(t)
}

func TestASingleMemberLeavesACordonedNode(t *testing.T) {
	one := func(cordoned ...int) *statetest.Builder {
		return statetest.Formed(1).Replicas(1).With(onNodes(2, cordoned...))
	}
	two := func(cordoned ...int) *statetest.Builder {
		return statetest.Formed(2).Replicas(1).Budget(2).With(onNodes(2, cordoned...)).
			Member(1, func(m *state.Member) { m.Volume.Surge = true })
	}
	const why = "it is the only member, and its node node-0 is cordoned"
	scenarios{
		"another one is added first": {
			cluster: one(0), step: addLearner(1), blocked: []string{movesBecause(why, "demo-0")}, ensures: []plan.Step{budget(0)},
		},
		"the new one leads": {
			cluster: two(0), step: moveLeader(two(), 0, 1), blocked: []string{movesBecause(why, "demo-0")}, ensures: []plan.Step{budget(2)},
		},
		"then it leaves": {
			cluster: two(0).Leader(1), step: retire(two(), 0), blocked: []string{movesBecause(why, "demo-0")},
		},
		"the new one leaves instead when the node is open again": {cluster: two().Budget(2), step: retire(two(), 1)},
		"three members are left where they are: the budget lets one at a time be drained": {
			cluster: statetest.Formed(3).With(onNodes(3, 1)), ensures: []plan.Step{budget(2)},
		},
		"nobody moves in a cluster whose nodes may not be read": {
			cluster: one(0).With(func(c *state.Cluster) { c.Nodes = nil }),
		},
	}.run(t)
}
