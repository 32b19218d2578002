package plan_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func deleting(c *state.Cluster) { c.Object.DeletionTimestamp = &metav1.Time{Time: statetest.Now} }

func namespaceDeleting(c *state.Cluster) { c.NamespaceDeleting = true }

func pausing(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) }

// everyEnsure has the kinds of ensures that a cluster which is left alone must not get.
var everyEnsure = []plan.Step{
	plan.ApplyServices{}, plan.ApplyDisruptionBudget{}, plan.ApplyOwners{}, plan.Seal{}, plan.RecordPlacement{},
	plan.MarkVoter{},
}

func TestDeletingAndPaused(t *testing.T) {
	const namespace = "Deleting: the namespace is being deleted"
	const gone, still = "Deleting: being deleted", "Paused: nothing is changed until it is removed"
	scenarios{
		"a cluster that is being deleted is left to Kubernetes": {
			cluster: statetest.Formed(3).NoPod(1).With(deleting), blocked: []string{gone}, absent: everyEnsure,
		},
		"a new cluster that is being deleted is not bootstrapped": {
			cluster: statetest.Fresh().With(deleting), blocked: []string{gone}, absent: everyEnsure,
		},
		"nor is one whose namespace is being deleted": {
			cluster: statetest.Fresh().With(namespaceDeleting), blocked: []string{namespace}, absent: everyEnsure,
		},
		"in such a namespace no Pod is created again": {
			cluster: statetest.Formed(3).NoPod(0, 1, 2).With(namespaceDeleting), blocked: []string{namespace}, absent: everyEnsure,
		},
		"nor is a member moved whose claim goes": {
			cluster: statetest.Formed(3).With(namespaceDeleting).Member(2, func(m *state.Member) { m.Volume.Terminating = true }),
			blocked: []string{namespace}, absent: everyEnsure,
		},
		"deletion counts more than pause": {
			cluster: statetest.Formed(3).With(deleting).Spec(pausing), blocked: []string{gone},
		},
		"a paused cluster is left alone, also with a missing Pod": {
			cluster: statetest.Formed(3).NoPod(1).Spec(pausing), blocked: []string{still}, absent: everyEnsure,
		},
		"a paused new cluster is not bootstrapped": {
			cluster: statetest.Fresh().Spec(pausing), blocked: []string{still}, absent: everyEnsure,
		},
		"a paused scale-down does not go on": {
			cluster: statetest.Formed(3).Replicas(1).Retire(2).Budget(3).Spec(pausing), blocked: []string{still},
			absent: everyEnsure,
		},
	}.run(t)
}

func TestOwnershipConflict(t *testing.T) {
	foreign := func(c *state.Cluster) {
		c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-1"}, {Kind: "ConfigMap", Name: "demo-latch"}}
	}
	const conflict = "OwnershipConflict: are gone or mended: Pod demo-1, ConfigMap demo-latch"
	scenarios{
		"a new cluster waits until the objects of its predecessor are collected": {
			cluster: statetest.Fresh().With(foreign), blocked: []string{conflict},
		},
		"so does a bootstrap": {
			cluster: statetest.Bootstrap(3).With(foreign), blocked: []string{conflict},
		},
		"and a lost latch is not restored meanwhile": {
			cluster: statetest.Formed(3).LatchLost().With(foreign), blocked: []string{conflict},
		},
		"a formed cluster goes on with what is its own": {
			cluster: statetest.Formed(3).NoPod(2).With(foreign), step: start(resumed(3, 2)), blocked: []string{conflict},
		},
		"but a Pod is not created while another holds its name": {
			cluster: statetest.Formed(3).NoPod(1).With(foreign),
			blocked: []string{conflict, "StartingMember: demo-1: an object that it needs belongs to something else"},
		},
	}.run(t)
}

func TestInvalidSpec(t *testing.T) {
	unknown := func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To("3.4.1") }
	const refused = "InvalidSpec: the spec is refused: spec.version \"3.4.1\" is not supported"
	refusedFlag := func(s *v1alpha1.EtcdClusterSpec) {
		s.Etcd = &v1alpha1.EtcdOptions{ExtraArgs: []v1alpha1.ExtraArg{{Name: "max-txn-ops", Value: "many"}}}
	}
	const flag = "InvalidSpec: the spec is refused: spec.etcd.extraArgs[max-txn-ops] is \"many\": give a whole number"
	left := func(who string) string {
		return "RollingOut: members restart one at a time, because spec.etcd changed; left: " + who
	}
	scenarios{
		"a new cluster is not bootstrapped with it": {
			cluster: statetest.Fresh().Spec(unknown), blocked: []string{refused},
			absent: []plan.Step{plan.ApplyServices{}},
		},
		"running members go on, and none is created from it": {
			cluster: statetest.Bootstrap(3).Launch(0, 1, 2).Run(0, 1).Spec(unknown),
			blocked: []string{refused, "Bootstrapping: waiting for a quorum of 3 members"},
		},
		"of a cluster that has formed, those without a Pod are started all the same": {
			cluster: statetest.Formed(3).NoPod(2).Spec(refusedFlag), step: start(resumed(3, 2)), blocked: []string{flag, left("demo-0, demo-1")},
		},
		"those whose containers ended for good get new ones": {
			cluster: statetest.Formed(3).Finish(2).Spec(refusedFlag), blocked: []string{flag, "StartingMember: demo-2", left("demo-0, demo-1")},
			step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "its containers ended for good"},
		},
		"one that is about to be restarted by its node runs on as it was made": {
			cluster: statetest.Formed(3).Crash(2).Spec(refusedFlag), blocked: []string{flag, "StartingMember: demo-2", left("demo-0, demo-1")},
		},
		"nor is any changed": {
			cluster: statetest.Formed(3).Budget(3).Spec(refusedFlag), blocked: []string{flag, left("demo-0, demo-1, demo-2")},
		},
		"what members are not made from holds nothing back": {
			cluster: statetest.Formed(3).Budget(3).Spec(func(s *v1alpha1.EtcdClusterSpec) {
				s.Maintenance = &v1alpha1.MaintenanceSpec{Window: &v1alpha1.MaintenanceWindow{Schedule: "61 3 * * *"}}
				s.RestartedAt = ptr.To("now")
			}),
			step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "spec.restartedAt changed"},
			blocked: []string{"InvalidSpec: the spec is refused: spec.maintenance.window is refused",
				"RollingOut: members restart one at a time"},
		},
	}.run(t)
}

func TestWrongClusterID(t *testing.T) {
	wrong := func(c *state.Cluster) { c.Etcd.WrongClusterID = []string{"demo-2"} }
	const stop = "WrongClusterID: demo-2 answered with a cluster ID other than"
	scenarios{
		"stops a missing Pod, a scale-down and the clean-up": {
			cluster: statetest.Formed(3).Replicas(1).NoPod(1).Leftover(4, true).With(wrong), blocked: []string{stop},
			absent: []plan.Step{plan.ApplyDisruptionBudget{}},
		},
		"stops the retirement of a volume": {
			cluster: statetest.Formed(3).LeftoverVolume(3, false).With(wrong), blocked: []string{stop},
		},
		"a member that answers for another cluster under its own ID is not sealed": {
			cluster: statetest.Formed(3).With(wrong).Member(2, func(m *state.Member) {
				m.Probe.ClusterID, m.Pod.Sealed = 0xbad, false
			}),
			blocked: []string{stop}, absent: []plan.Step{plan.Seal{}},
		},
	}.run(t)
}

func TestAlarms(t *testing.T) {
	alarm := func(kind string) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Etcd.Alarms = []state.Alarm{{Type: kind, Member: "demo-1"}} }
	}
	const full = "Alarm: demo-1 has reached its quota and etcd accepts no writes: "
	const corrupt = "Alarm: etcd reports CORRUPT for demo-1: nothing is removed or added"
	scenarios{
		"NOSPACE stops a scale-up": {
			cluster: statetest.Formed(3).Replicas(5).With(alarm("NOSPACE")),
			blocked: []string{full, "ScalingUp: 5 voters are wanted, 3 are listed: waiting for the above"},
		},
		"NOSPACE stops a scale-down, and no budget is raised for it": {
			cluster: statetest.Formed(3).Replicas(1).With(alarm("NOSPACE")), ensures: []plan.Step{budget(2)},
			blocked: []string{full, "ScalingDown: 1 voters are wanted, 3 are listed: waiting for the above"},
		},
		"NOSPACE lets a missing Pod be created": {
			cluster: statetest.Formed(3).NoPod(1).With(alarm("NOSPACE")), step: start(resumed(3, 1)), blocked: []string{full},
		},
		"CORRUPT keeps retired volumes": {
			cluster: statetest.Formed(3).LeftoverVolume(3, true).With(alarm("CORRUPT")), blocked: []string{corrupt},
		},
		"CORRUPT lets a missing Pod be created": {
			cluster: statetest.Formed(3).NoPod(1).With(alarm("CORRUPT")), step: start(resumed(3, 1)), blocked: []string{corrupt},
		},
	}.run(t)
}
