package plan_test

import (
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func hibernated(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(true) }

func stop(slot int) plan.Step {
	return plan.DeletePod{Name: member(slot), UID: podUID(slot), Why: "the cluster is hibernated"}
}

// stopped takes the members' Pods away, as hibernation does: etcd lists nobody once no majority is left.
func stopped(b *statetest.Builder, slots ...int) *statetest.Builder {
	b.NoPod(slots...)
	running := 0
	for _, m := range b.Build().Members {
		if m.Pod != nil {
			running++
		}
	}
	if running <= len(b.Build().Members)/2 {
		b.Unlisted()
	}
	return b
}

func TestHibernationStopsTheMembers(t *testing.T) {
	formed := func(n int) *statetest.Builder { return statetest.Formed(n).Replicas(n).Spec(hibernated) }
	scenarios{
		"followers go first, from the highest slot down, and the budget blocks no drain any more": {
			cluster: formed(3), step: stop(2), ensures: []plan.Step{budget(0)},
		},
		"the leader is passed over": {cluster: formed(3).Leader(2), step: stop(1)},
		"the next follower does not wait for the end of the one before": {
			cluster: formed(3).Terminate(2), step: stop(1), ensures: []plan.Step{budget(0)},
		},
		"without a majority nobody leads: the one that applied most goes last": {
			cluster: stopped(formed(5), 4, 3, 2).Member(1, func(m *state.Member) { m.Probe.Applied = 101 }), step: stop(0),
		},
		"the last waits until the others have ended": {
			cluster: stopped(formed(3), 2).Terminate(1).Unlisted(), ensures: []plan.Step{budget(0)},
			blocked: []string{"Hibernating: waiting until these Pods have ended: demo-1"},
		},
		"the last goes":              {cluster: stopped(formed(3), 1, 2), step: stop(0), ensures: []plan.Step{budget(0)}},
		"a single member is stopped": {cluster: formed(1), step: stop(0)},
		"a Pod on a dead node is waited for, and it is said how to go on": {
			cluster: stopped(formed(3), 0, 1).Terminate(2).With(func(c *state.Cluster) { c.Nodes["node-2"] = state.Node{} }),
			blocked: []string{"Hibernating: demo-2 on node node-2, which is not ready"},
		},
		"members that do not run are not started": {cluster: formed(3).NoPod(1), step: stop(2)},
		"members that crash are stopped like others": {
			cluster: formed(3).Crash(0, 1, 2).Unlisted(), step: stop(2), ensures: []plan.Step{budget(0)},
		},
		"what the disks do not hold cannot be hibernated: ephemeral clusters go on": {
			cluster: statetest.Ephemeral(3).Spec(hibernated),
		},
		"a paused cluster is left alone": {
			cluster: formed(3).Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) }),
			blocked: []string{"Paused: nothing is changed"},
		},
	}.run(t)
}

func TestHibernationWaits(t *testing.T) {
	formed := func() *statetest.Builder { return statetest.Formed(3).Spec(hibernated) }
	scenarios{
		"for the end of the bootstrap": {
			cluster: statetest.Bootstrap(3).Spec(hibernated), step: start(launchOf(3, 0), launchOf(3, 1), launchOf(3, 2)),
			blocked: []string{"Bootstrapping: waiting for a quorum of 3"},
		},
		"for a learner in sync, which is promoted": {
			cluster: formed().Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).Budget(3).
				Member(3, func(m *state.Member) { m.Pod.Voter = true }).With(func(c *state.Cluster) { c.Disruption.Expected = 4 }),
			step:    plan.Promote{Name: "demo-3", ID: statetest.Formed(3).Learner(3).ID(3)},
			blocked: []string{"Hibernating: learner demo-3", "ScalingUp: demo-3"},
		},
		"for a learner that is not in sync, which is removed": {
			cluster: formed().Replicas(5).Learner(3).Launch(3),
			step:    plan.Retire{Name: "demo-3", Volume: volume(statetest.Formed(3).Learner(3), 3)},
			blocked: []string{"Hibernating: learner demo-3", "ScalingDown: the cluster is about to hibernate"},
		},
		"for a learner, and no voter that is lost is removed meanwhile": {
			cluster: formed().Replicas(5).Learner(3).Launch(3).NoPod(1).NoVolume(1),
			step:    plan.Retire{Name: "demo-3", Volume: volume(statetest.Formed(3).Learner(3), 3)},
			blocked: []string{"Hibernating: learner demo-3", "ScalingDown: the cluster is about to hibernate"},
		},
		"for a learner in sync beside one, which no disruption controller would count for its promotion": {
			cluster: formed().Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).NoPod(1).NoVolume(1),
			step:    plan.Retire{Name: "demo-3", Volume: volume(statetest.Formed(3).Learner(3), 3)},
			blocked: []string{"Hibernating: learner demo-3", "ScalingDown: the cluster is about to hibernate, and demo-1 is lost"},
		},
		"for the Pod of a removed member": {
			cluster: formed().Leftover(3, true).With(terminateLeftovers),
			blocked: []string{"ScalingDown: Pod demo-3"}, ensures: []plan.Step{budget(4)},
		},
		"for a removal that was about to begin, which is withdrawn": {
			cluster: formed().Replicas(1).Retire(2),
			step:    plan.Resume{Name: "demo-2", Volume: volume(statetest.Formed(3), 2)},
		},
		"for a member that has just started: it must never start empty": {
			cluster: formed().Member(2, func(m *state.Member) { m.Volume.Started, m.Pod.Sealed = false, false }),
			blocked: []string{"Hibernating: demo-2: it has just started"}, ensures: []plan.Step{budget(2)},
		},
		"for the list, while only the operator cannot reach the members": {
			cluster: formed().Unreachable(0, 1, 2).Unlisted(),
			blocked: []string{"Hibernating: etcd's member list cannot be read"}, absent: []plan.Step{budget(0)},
		},
		"for the list, while those that are ready are a majority if one of the others is a learner": {
			cluster: statetest.Formed(4).Spec(hibernated).NoPod(2, 3).Unreachable(0, 1).Unlisted(),
			blocked: []string{"Hibernating: etcd's member list cannot be read"}, absent: []plan.Step{budget(0)},
		},
		"for a person, when a claim is being deleted: it goes with its last Pod, so nobody is stopped": {
			cluster: formed().Member(1, func(m *state.Member) { m.Volume.Terminating = true }),
			blocked: []string{"Hibernating: demo-1: its volume claim"}, ensures: []plan.Step{budget(2)},
		},
		"but once the majority is given up, only the member whose claim is being deleted runs on": {
			cluster: stopped(formed(), 0, 2).Member(1, func(m *state.Member) { m.Volume.Terminating = true }),
			blocked: []string{"Hibernating: demo-1: its volume claim"}, ensures: []plan.Step{budget(0)},
		},
		"for a person, when a PersistentVolume is gone: only the Pod holds the data": {
			cluster: formed().Member(1, func(m *state.Member) { m.Volume.Disk = &state.Disk{Gone: true} }),
			blocked: []string{"Hibernating: demo-1: the PersistentVolume of its volume"}, ensures: []plan.Step{budget(2)},
		},
		"for a person, when a claim lost its PersistentVolume": {
			cluster: formed().Member(1, func(m *state.Member) { m.Volume.Lost = true }),
			blocked: []string{"Hibernating: demo-1: the PersistentVolume of its volume"}, ensures: []plan.Step{budget(2)},
		},
		"for a spec that is refused": {
			cluster: formed().Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To("3.4.1") }),
			blocked: []string{"InvalidSpec: version"}, ensures: []plan.Step{budget(2)},
		},
	}.run(t)
}

func TestAsleepNothingHappens(t *testing.T) {
	asleep := func() *statetest.Builder { return statetest.Formed(3).Spec(hibernated).NoPod(0, 1, 2).Unlisted() }
	tests := map[string]struct {
		cluster *statetest.Builder
		says    string
	}{
		"at rest":                 {asleep(), "remove spec.hibernated to wake the cluster"},
		"a change of replicas":    {asleep().Replicas(5), "5 voters are wanted and there are 3: that changes once it is awake"},
		"a volume that was lost":  {asleep().NoVolume(1), "no Pod runs"},
		"certificates of its own": {asleep().TLS(), "no Pod runs"},
	}
	for name, row := range tests {
		t.Run(name, func(t *testing.T) {
			d := plan.Next(row.cluster.Build())
			if d.Step != nil || len(d.Blocked)+len(d.Pending) > 0 {
				t.Errorf("it does %v, waits for %v and for %v in the background; want nothing", d.Step, d.Blocked, d.Pending)
			}
			if !strings.Contains(d.Asleep, row.says) {
				t.Errorf("it says %q, want %q in it", d.Asleep, row.says)
			}
			for _, e := range []plan.Step{plan.ApplyServices{}, plan.ApplyDisruptionBudget{}} {
				if ensureLike(d, e) == nil {
					t.Errorf("%T is missing among %#v", e, d.Ensures)
				}
			}
		})
	}
	awake := asleep().Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = nil }).
		With(func(c *state.Cluster) { c.Disruption = nil })
	scenarios{
		"awake, all members start on their volumes at once, and nobody is removed": {
			cluster: awake, step: start(resumed(3, 0), resumed(3, 1), resumed(3, 2)), ensures: []plan.Step{budget(2)},
			blocked: []string{"QuorumLost: no majority serves"},
		},
		"awake, they start also while no node exists for their volumes: Pods that wait have an autoscaler add some": {
			cluster: nodeless(statetest.Formed(3).NoPod(0, 1, 2).Unlisted(), 0, 1, 2),
			step:    start(resumed(3, 0), resumed(3, 1), resumed(3, 2)), blocked: []string{"QuorumLost: no majority serves"},
		},
	}.run(t)
}

// nodeless leaves no node to which the members' volumes could be attached.
func nodeless(b *statetest.Builder, slots ...int) *statetest.Builder {
	for _, slot := range slots {
		b.Member(slot, func(m *state.Member) { m.Volume.Disk = &state.Disk{Searched: true} })
	}
	return b.With(func(c *state.Cluster) { c.Nodes = map[string]state.Node{} })
}
