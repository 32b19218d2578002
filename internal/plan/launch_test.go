package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// What is told to come back is what the plan does once the Pod is gone.
func TestARestartedMemberComesBackAsItIsTold(t *testing.T) {
	version := func(s *v1alpha1.EtcdClusterSpec) { s.Version = new("3.6.17") }
	otherFlags := func(m *state.Member) { m.Pod.Args = m.Pod.Args[1:] }
	for name, cluster := range map[string]func() *statetest.Builder{
		"another template": func() *statetest.Builder { return statetest.Formed(3).Outdate(0, 1, 2).Budget(3) },
		"another version with other flags": func() *statetest.Builder {
			return statetest.Formed(3).Spec(version).Budget(3).Member(2, otherFlags)
		},
		"another authority": func() *statetest.Builder { return outdated(formed(3)()).Budget(3) },
		"a single member":   func() *statetest.Builder { return statetest.Formed(1).Replicas(1).Outdate(0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster().Build()
			step, stops := plan.Next(c).Step.(plan.DeletePod)
			if !stops {
				t.Fatalf("planned is %v, want a restart", plan.Next(c).Step)
			}
			told, restarts := plan.Restarted(c, step)
			if !restarts {
				t.Fatal("it is told that nothing comes back")
			}
			slot := told.Incarnation.Slot
			after := cluster().NoPod(slot).Member(slot, func(m *state.Member) {
				if step.Volume != "" {
					m.Volume.Version = step.Version
				}
			}).Build()
			if len(c.Members) == 1 {
				after.Etcd.Serving, after.Etcd.Listed = false, false
			}
			d := plan.Next(after)
			if diff := cmp.Diff(plan.Step(plan.StartMembers{Members: []plan.Launch{told}}), d.Step); diff != "" {
				t.Errorf("something else is started (-told +planned), blocked by %v:\n%s", d.Blocked, diff)
			}
		})
	}
}

func TestAPodThatStopsNothingOrForGoodHasNoSuccessor(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	hibernated := func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = new(true) }
	for name, cluster := range map[string]*statetest.Builder{
		"a member that does not run":         statetest.Formed(3).Crash(1).Outdate(1),
		"a member whose containers ended":    statetest.Formed(3).Finish(1),
		"a member that hibernates":           statetest.Formed(3).Spec(hibernated),
		"a removed member":                   statetest.Formed(3).LeftoverPod(2),
		"a Pod from a bootstrap that failed": statetest.Bootstrap(3).LeftoverPod(0).With(laterGeneration),
		"a cluster that is recovered":        lostQuorum().Recover(loss, "demo-1", "demo-2"),
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster.Build()
			step, deletes := plan.Next(c).Step.(plan.DeletePod)
			if !deletes {
				t.Fatalf("planned is %v, want the deletion of a Pod", plan.Next(c).Step)
			}
			if told, restarts := plan.Restarted(c, step); restarts {
				t.Errorf("after %q it is told to start %+v", step, told)
			}
		})
	}
}

func laterGeneration(c *state.Cluster) { c.Latch.Generation++ }
