package plan_test

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// Members of 3.6 are launched, and another version is wanted by now.
func TestVersionEditsDuringABootstrap(t *testing.T) {
	wanting := func(version string) func(*v1alpha1.EtcdClusterSpec) {
		return func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To(version) }
	}
	launched := func(version string) *statetest.Builder {
		return statetest.Bootstrap(3).Launch(0, 1, 2).Spec(wanting(version))
	}
	unused := func(b *statetest.Builder, slots ...int) *statetest.Builder {
		for _, slot := range slots {
			b = b.Member(slot, func(m *state.Member) {
				m.Pod.Unused, m.Pod.Waiting = true, "ImagePullBackOff: not found"
			})
		}
		return b
	}
	at := func(l plan.Launch, version string) plan.Launch {
		l.Incarnation.Version = version
		return l
	}
	reused := func(slot int) plan.Launch { return again(launchOf(3, slot)) }
	remake := plan.DeletePod{
		Name: "demo-0", UID: podUID(0), Why: "it does not run, and the spec has changed since it was created",
	}
	const (
		waiting = "Bootstrapping: waiting for a quorum of 3 members to start: "
		held    = "Bootstrapping: members were launched with etcd 3.6.16, and "
	)
	turn := func(version string) plan.Step { return plan.SwitchVersion{Version: version} }
	unrecorded := []plan.Step{plan.RecordVersion{}, plan.SwitchVersion{}}
	scenarios{
		"another minor is taken up at once before any member is launched": {
			cluster: statetest.Bootstrap(3).Spec(wanting("3.7.3")), step: turn("3.7.3"), blocked: []string{waiting},
		},
		"with which they are launched then": {
			cluster: statetest.Bootstrap(3).Spec(wanting("3.7.3")).With(latched("3.7.3")), blocked: []string{waiting},
			step: start(at(launchOf(3, 0), "3.7.3"), at(launchOf(3, 1), "3.7.3"), at(launchOf(3, 2), "3.7.3")),
		},
		"and while none of them can have run, because the image does not exist for example": {
			cluster: unused(launched("3.5.35"), 0, 1, 2), step: turn("3.5.35"), blocked: []string{waiting},
		},
		"whose Pods are made anew then": {
			cluster: unused(launched("3.5.35"), 0, 1, 2).With(latched("3.5.35")), step: remake, blocked: []string{waiting},
		},
		"not while a member that was launched is not to be seen: it may run": {
			cluster: unused(launched("3.5.35"), 0, 1).NoPod(2).NoVolume(2), absent: unrecorded,
			blocked: []string{held + "3.5.35", "Bootstrapping: demo-2 cannot start", waiting},
		},
		"Pods that were deleted for that are made anew at once, on volumes that are as unused as before": {
			cluster: launched("3.5.35").NoPod(0, 1, 2).With(latched("3.5.35")),
			step: start(untouched(at(reused(0), "3.5.35")), untouched(at(reused(1), "3.5.35")),
				untouched(at(reused(2), "3.5.35"))),
			blocked: []string{waiting}, absent: unrecorded,
		},
		"an older minor would refuse the data of a member that runs: it is taken up when the cluster has formed": {
			cluster: unused(launched("3.5.35"), 0, 1, 2).Run(0), blocked: []string{held + "3.5.35", waiting}, absent: unrecorded,
		},
		"so would it that of one that its kubelet may be about to start": {
			cluster: unused(launched("3.5.35"), 0, 1, 2).Member(1, func(m *state.Member) {
				m.Pod.Waiting, m.Pod.Node = "ContainerCreating", "node-1"
			}),
			blocked: []string{held + "3.5.35", waiting}, absent: unrecorded,
		},
		"when one runs the former minor after all, it is taken back": {
			cluster: unused(launched("3.5.35"), 0, 1, 2).Run(0).With(latched("3.5.35")), step: turn(statetest.Version),
			blocked: []string{held + "3.5.35", waiting},
		},
		"so would it that of one that crashed": {
			cluster: unused(launched("3.5.35"), 0, 1, 2).Member(1, func(m *state.Member) {
				m.Pod.Restarts, m.Pod.LastExit = 1, &state.Exit{Code: 1, Message: "?"}
			}),
			blocked: []string{held + "3.5.35", waiting}, absent: unrecorded,
		},
		"that of one whose Pod is gone, of which nobody knows whether it ran": {
			cluster: unused(launched("3.5.35"), 1, 2).NoPod(0), step: start(reused(0)),
			blocked: []string{held + "3.5.35", waiting}, absent: unrecorded,
		},
		"and that of one whose Pod is not the first on its volume": {
			cluster: unused(launched("3.5.35"), 1, 2), blocked: []string{held + "3.5.35", waiting}, absent: unrecorded,
		},
		"a later minor waits, too": {
			cluster: launched("3.7.3").Run(0, 1, 2), blocked: []string{held + "3.7.3", waiting}, absent: unrecorded,
		},
		"another release of the minor reaches members that do not run": {
			cluster: launched("3.6.15").Run(0, 2).NoPod(1), ensures: []plan.Step{plan.RecordVersion{Version: "3.6.15"}}, step: start(at(reused(1), "3.6.15")),
			blocked: []string{waiting},
		},
		"once a quorum is seen it is recorded first, with the version that it has": {
			cluster: launched("3.5.35").Run(0, 1, 2).Serving().Seal(0, 1), ensures: []plan.Step{plan.FormLatch{}},
			absent: unrecorded, blocked: []string{held + "3.5.35", waiting + "demo-2"},
		},
	}.run(t)
}

func latched(version string) func(*state.Cluster) {
	return func(c *state.Cluster) { c.Latch.Version = version }
}

// untouched is the launch of an incarnation on a volume on which no etcd ever ran.
func untouched(l plan.Launch) plan.Launch {
	l.Unused = true
	return l
}
