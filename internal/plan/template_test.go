package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

const image = "gcr.io/etcd-development/etcd:v"

func version(v string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Version = new(v) }
}

func repository(name string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Image = &v1alpha1.ImageSpec{Repository: new(name)} }
}

func cpu(request string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse(request), corev1.ResourceMemory: resource.MustParse("100Mi"),
			},
		}}}
	}
}

func patched(b *statetest.Builder, slot int, v string) plan.Step {
	p := plan.PatchPod{Member: member(slot), PodUID: podUID(slot), Version: v, Image: image + v}
	if !b.Build().Ephemeral() {
		p.Volume = volume(b, slot)
	}
	return p
}

// patchedIn makes the member's Pod one whose image was changed in place while this container ran.
func patchedIn(container, v string) func(*state.Member) {
	return func(m *state.Member) {
		m.Pod.PatchedContainer, m.Pod.Version, m.Volume.Version = container, v, v
		m.Pod.Applied = resources.Applied(statetest.Fresh().Spec(version(v)).Build().Object, v)
	}
}

func TestImageIsChangedInPlace(t *testing.T) {
	to := func() *statetest.Builder { return statetest.Formed(3).Spec(version("3.6.17")) }
	const why = "etcd 3.6.17 replaces 3.6.16"
	left := func(who string) string {
		return "RollingOut: members restart one at a time, because " + why + "; left: " + who
	}
	waits := func(what string) string { return "RollingOut: demo-1 is to be restarted (" + why + "), but " + what }
	all := []string{left("demo-0, demo-1, demo-2")}
	sameContainer, another := "containerd://demo-2", "containerd://former"
	scenarios{
		"first the budget is raised": {
			cluster: to(), ensures: []plan.Step{budget(3)}, blocked: []string{"RollingOut: demo-2 is to be restarted (" + why +
				"): waiting until the disruption controller observes minAvailable 3", all[0]},
		},
		"then the highest slot is changed": {cluster: to().Budget(3), step: patched(to(), 2, "3.6.17"), blocked: all},
		"the old process that still answers is no proof, and Kubernetes is told that it ends": {
			cluster: to().Budget(3).Member(2, patchedIn(sameContainer, "3.6.17")), ensures: []plan.Step{budget(3)},
			blocked: []string{"StartingMember: waiting for demo-2 is about to be restarted with etcd 3.6.17",
				waits("demo-2 has to be healthy and ready first"), left("demo-0, demo-1")},
		},
		"nor is a new process that reports the old version": {
			cluster: to().Budget(3).Member(2, patchedIn(another, "3.6.17")), ensures: []plan.Step{budget(2)},
			blocked: []string{"StartingMember: demo-2 runs etcd 3.6.16 although its image is to be that of 3.6.17",
				waits("demo-2 has to be healthy and ready first"), left("demo-0, demo-1")},
		},
		"a new process of the new version is": {
			cluster: to().Budget(3).RunVersion("3.6.17", 2).Member(2, patchedIn(another, "3.6.17")),
			step:    patched(to(), 1, "3.6.17"), blocked: []string{left("demo-0, demo-1")},
		},
		"the leader comes last, and hands over first": {
			cluster: to().Budget(3).RunVersion("3.6.17", 1, 2), blocked: []string{left("demo-0")},
			step: plan.MoveLeader{From: "demo-0", To: "demo-1", FromID: to().ID(0), ToID: to().ID(1)},
		},
		"a bad image stops at the first member": {
			cluster: to().Budget(3).Member(2, patchedIn(another, "3.6.17")).Crash(2), ensures: []plan.Step{budget(2)},
			blocked: []string{"StartingMember: demo-2 is not running", waits("demo-2 has to be healthy and ready first"),
				left("demo-0, demo-1")},
		},
		"and is mended at once by an edit": {
			cluster: statetest.Formed(3).Budget(3).Member(2, patchedIn(another, "3.6.17")).Crash(2),
			step: plan.DeletePod{
				Name: "demo-2", UID: podUID(2), Why: "it does not run, and the spec has changed since it was created",
			},
			blocked: []string{"StartingMember: demo-2 is not running"},
		},
		"other flags than the Pod has take a new one": {
			cluster: to().Budget(3).Member(2, func(m *state.Member) { m.Pod.Args = m.Pod.Args[1:] }),
			step: plan.DeletePod{
				Name: "demo-2", UID: podUID(2), Why: why, Volume: volume(to(), 2), Version: "3.6.17",
			}, blocked: all,
		},
		"a single member is changed without a budget": {
			cluster: statetest.Formed(1).Spec(version("3.6.17")).Replicas(1), step: patched(statetest.Formed(1), 0, "3.6.17"),
			blocked: []string{left("demo-0")},
		},
		"also one whose data is in its Pod": {
			cluster: statetest.Ephemeral(3).Budget(3).Spec(version("3.6.17")),
			step:    patched(statetest.Ephemeral(3), 2, "3.6.17"), blocked: all,
		},
		"which is mended in place when it does not run": {
			cluster: statetest.Ephemeral(3).Template(repository("wrong"), 2).Crash(2).With(func(c *state.Cluster) {
				c.Object.Spec.Version = new("3.6.17")
			}).Template(repository("right"), 0, 1),
			step: patched(statetest.Ephemeral(3), 2, "3.6.17"),
			blocked: []string{"StartingMember: demo-2 is not running",
				"RollingOut: demo-1 is to be restarted (" + why + "), but demo-2 has to be healthy", left("demo-0, demo-1")},
		},
		"and without a quorum too": {
			cluster: statetest.Ephemeral(1).Replicas(1).Template(repository("wrong"), 0).Crash(0).Unlisted(),
			step:    patched(statetest.Ephemeral(1), 0, "3.6.16"),
			blocked: []string{"QuorumLost: no majority serves", "StartingMember: demo-0 is not running"},
		},
	}.run(t)
}

func TestTemplateIsRolledOut(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3).Outdate(0, 1, 2) }
	const why = "spec.restartedAt changed"
	all := "RollingOut: members restart one at a time, because " + why + "; left: demo-0, demo-1, demo-2"
	scenarios{
		"the highest slot first": {
			cluster: three().Budget(3), step: plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: why}, blocked: []string{all},
		},
		"scaling up first": {
			cluster: three().Replicas(5), step: addLearner(3), blocked: []string{
				"RollingOut: demo-2 is to be restarted (" + why + "), but 5 voters are wanted and there are 3", all},
		},
		"a record that nobody can read is replaced": {
			cluster: statetest.Formed(3).Budget(3).Member(1, func(m *state.Member) { m.Pod.Applied = "damaged" }),
			step: plan.DeletePod{
				Name: "demo-1", UID: podUID(1), Why: "spec.the unreadable record quorate.dev/applied changed",
			},
			blocked: []string{"RollingOut: left: demo-1"},
		},
		"nothing while etcd raises an alarm": {
			cluster: three().Budget(3).With(func(c *state.Cluster) {
				c.Etcd.Alarms = []state.Alarm{{Type: "NOSPACE", Member: "demo-0"}}
			}), blocked: []string{"Alarm: demo-0 has reached its quota", all},
		},
		"labels are changed at once, on all": {
			cluster: statetest.Formed(3).Template(labelled, 0, 2), ensures: []plan.Step{
				plan.ApplyPodMetadata{Member: "demo-0", PodUID: podUID(0)},
				plan.ApplyPodMetadata{Member: "demo-2", PodUID: podUID(2)},
			},
		},
		"no Pod that does not run is made anew for its labels": {
			cluster: statetest.Formed(3).Template(labelled, 1).Crash(1), blocked: []string{"StartingMember: demo-1"},
			ensures: []plan.Step{plan.ApplyPodMetadata{Member: "demo-1", PodUID: podUID(1)}},
		},
		"an ephemeral member is replaced, because its data would go with its Pod": {
			cluster: statetest.Ephemeral(3).Outdate(2), step: addLearner(3),
			blocked: []string{"RollingOut: members are moved to new members one at a time, because " + why + "; left: demo-2"},
		},
	}.run(t)
}

func labelled(s *v1alpha1.EtcdClusterSpec) {
	s.PodTemplate = &v1alpha1.PodTemplate{Metadata: &v1alpha1.PodMetadata{Labels: map[string]string{"team": "a"}}}
}

func TestCPUAndMemoryAreChangedInPlace(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3).Template(cpu("200m"), 0, 1, 2) }
	hash := resources.TemplateHash(resources.Applied(statetest.Formed(3).Build().Object, statetest.Version))
	resized := func(slot int) plan.Step {
		return plan.ResizePod{Member: member(slot), PodUID: podUID(slot), Template: hash}
	}
	pending := func(why string, infeasible bool) func(*state.Member) {
		return func(m *state.Member) { m.Pod.Resize = state.Resize{Pending: why, Infeasible: infeasible} }
	}
	const waiting = "Resizing: waiting until the node of demo-2 has changed its cpu and memory (Deferred: node is full)"
	infeasible := func(room bool) func(*state.Member) {
		return func(m *state.Member) {
			m.Pod.Resize = state.Resize{Pending: "Infeasible: too big", Infeasible: true, Room: room}
		}
	}
	tooLarge := func(room bool) func(*state.Member) {
		return func(m *state.Member) { m.Pod.Resize = state.Resize{Refused: hash, TooLarge: true, Room: room} }
	}
	nowhere := func(why string) string {
		return "Resizing: demo-2 runs on with the cpu and memory that it has: its node cannot give it what the spec asks for (" +
			why + "), and no node is known that has so much"
	}
	guaranteed := func(s *v1alpha1.EtcdClusterSpec) { // another QoS class
		cpu("4")(s)
		s.PodTemplate.Spec.Resources.Limits = s.PodTemplate.Spec.Resources.Requests
	}
	roomy := func(m *state.Member) { m.Pod.Resize.Room = true }
	again := func(why string) string { return "its node cannot change its cpu and memory in place (" + why + ")" }
	scenarios{
		"the highest slot first": {cluster: three(), step: resized(2)},
		"the leader last":        {cluster: three().Leader(2), step: resized(1)},
		"one in trouble first, all others being healthy": {cluster: three().Member(0, func(m *state.Member) {
			m.Probe.Leader = 0
		}).Leader(1).Member(0, func(m *state.Member) { m.Probe.Leader = 0 }), step: resized(0), blocked: []string{
			"StartingMember: waiting for demo-0 does not follow the leader"}},
		"not while another is in trouble": {cluster: statetest.Formed(3).Template(cpu("200m"), 2).Crash(1), blocked: []string{
			"StartingMember: demo-1", "Resizing: demo-2 is to get another amount of cpu and memory, but demo-1 has to be healthy"}},
		"not while another is being resized": {
			cluster: statetest.Formed(3).Template(cpu("200m"), 0, 1).Member(2, pending("Deferred: node is full", false)),
			blocked: []string{waiting},
		},
		"but the same may be, to another size": {
			cluster: three().Member(2, pending("Deferred: node is full", false)), step: resized(2), blocked: []string{waiting},
		},
		"what its node can never fit takes a new Pod, where another node has room for it": {
			cluster: statetest.Formed(3).Budget(3).Member(2, infeasible(true)),
			step:    plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: again("Infeasible: too big")},
			blocked: []string{"RollingOut: left: demo-2"},
		},
		"what no node can fit disturbs nobody, and is not asked of the others": {
			cluster: statetest.Formed(3).Budget(3).Template(cpu("200m"), 0, 1).Member(2, infeasible(false)),
			ensures: []plan.Step{budget(2)}, blocked: []string{nowhere("Infeasible: too big")},
		},
		"also when the API server refuses it": {
			cluster: three().Budget(3).Member(2, tooLarge(false)),
			ensures: []plan.Step{budget(2)}, blocked: []string{nowhere("refused")},
		},
		"nor is a Pod that would have to be made anew for it": {
			cluster: statetest.Formed(3).Budget(3).Spec(guaranteed), ensures: []plan.Step{budget(2)},
			blocked: []string{strings.Replace(nowhere("which takes a new Pod"), "demo-2", "demo-0", 1)},
		},
		"which is, where a node has room": {
			cluster: statetest.Formed(3).Budget(3).Spec(guaranteed).Member(2, roomy), blocked: []string{"Resizing: demo-0 runs on with the cpu and memory that it has", "RollingOut: left: demo-2"},
			step: plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: "spec.podTemplate.spec.resources changed"},
		},
		"which takes a new Pod too, where another node has room for it": {
			cluster: three().Budget(3).Member(2, tooLarge(true)), step: resized(1), blocked: []string{"RollingOut: left: demo-2"},
		},
		"and is over when less is asked for": {
			cluster: statetest.Formed(3).Template(cpu("200m"), 2).Member(2, infeasible(false)), step: resized(2),
		},
		"or when it was asked for before the last edit": {
			cluster: statetest.Formed(3).Member(2, tooLarge(false)),
		},
		"a restart that a person asks for is done all the same": {
			cluster: statetest.Formed(3).Budget(3).Outdate(2).Member(2, infeasible(false)),
			step:    plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: "spec.restartedAt changed"},
			blocked: []string{"RollingOut: left: demo-2"},
		},
		"so does what Kubernetes refused": {
			cluster: statetest.Formed(3).Budget(3).Template(cpu("200m"), 2).Member(2, func(m *state.Member) {
				m.Pod.Resize.Refused = hash
			}),
			step:    plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: again("refused")},
			blocked: []string{"RollingOut: left: demo-2"},
		},
		"but another size is tried again": {
			cluster: statetest.Formed(3).Template(cpu("200m"), 2).Member(2, func(m *state.Member) { m.Pod.Resize.Refused = "other" }),
			step:    resized(2),
		},
		"a Pod that is made anew anyway is not resized": {
			cluster: statetest.Formed(3).Budget(3).Template(func(s *v1alpha1.EtcdClusterSpec) {
				cpu("200m")(s)
				s.RestartedAt = new("earlier")
			}, 2), step: plan.DeletePod{Name: "demo-2", UID: podUID(2), Why: "spec.restartedAt changed"},
			blocked: []string{"RollingOut: left: demo-2"},
		},
	}.run(t)
}
