package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestAPersonAsksForTheReplacementOfAMember(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	id := resources.FormatID(three().ID(1))
	ask := func(b *statetest.Builder, value string) *statetest.Builder {
		return b.With(annotated(v1alpha1.AnnotationReplaceMember, value))
	}
	const why = "it is unhealthy; a person asked for its replacement"
	down := func(b *statetest.Builder, since time.Duration) *statetest.Builder {
		return b.Crash(1).Member(1, func(m *state.Member) { m.Pod.NotReadySince = ago(since) })
	}
	ids := resources.FormatID(three().ID(0)) + " (demo-0), " + id + " (demo-1)"
	scenarios{
		"of one that is lost, where it is not replaced by itself": {
			cluster: ask(three().NoPod(1).NoVolume(1), id).Spec(manual), step: gone(three(), 1, "its volume is gone; a person asked for its replacement"),
			blocked: []string{replaced("demo-1", "its volume is gone; a person asked")},
		},
		"of one that is not ready for a minute, for whatever reason": {
			cluster: ask(down(three(), time.Minute).Budget(3).Retire(1), id), step: gone(three(), 1, why),
			blocked: []string{replaced("demo-1", why), starting},
		},
		"not yet of one that may merely restart, and is moved once it is back": {
			cluster: ask(down(three(), 20*time.Second), id), wake: 40 * time.Second,
			blocked: []string{"MemberUnhealthy: demo-1: " + why + "; unless it comes back, it is replaced after", starting},
		},
		"nor of one whose Pod never was ready, until a minute after its creation": {
			cluster: ask(three().Crash(1).Member(1, func(m *state.Member) { m.Pod.Created = ago(59 * time.Second) }), id),
			wake:    time.Second, blocked: []string{"MemberUnhealthy: demo-1: " + why, starting},
		},
		"nor of one whose Pod is gone, which is created again first": {
			cluster: ask(three().NoPod(1), id), step: start(resumed(3, 1)),
			blocked: []string{"MovingMember: demo-1 is to be replaced, as a person asked, but it has no Pod"},
		},
		"but of one that can never be started again": {
			cluster: ask(three().NoPod(1).Retire(1).Member(1, func(m *state.Member) { m.Volume.PersistentVolume = "pv-velero" }), id),
			step:    gone(three(), 1, why), blocked: []string{replaced("demo-1", why)},
		},
		"at once of one that is lost for another reason already": {
			cluster: ask(three().Wipe(1).Budget(3).Retire(1), id), step: gone(three(), 1, "its data was wiped and it refuses to start empty"),
			blocked: []string{replaced("demo-1", "its data was wiped"), starting},
		},
		"of one that crashes on its data, also while it is being tried once more: the volume is kept": {
			cluster: ask(down(three(), time.Minute).Member(1, func(m *state.Member) {
				m.Pod.Restarts, m.Pod.Running = 3, true
				m.Pod.LastExit = &state.Exit{Code: 2, Message: "panic: freepages: failed to get all reachable pages"}
			}).Budget(3), id),
			step:    plan.Retire{Name: member(1), Volume: volume(three(), 1), Evidence: true},
			blocked: []string{replaced("demo-1", why), starting},
		},
		"of one that is healthy: another takes its place first": {
			cluster: ask(three(), id), step: addLearner(3),
			blocked: []string{"MovingMember: members are moved to new members one at a time, because a person asked for its " +
				"replacement; left: demo-1"},
		},
		"of the only member, if it is healthy": {
			cluster: ask(statetest.Formed(1).Replicas(1), resources.FormatID(statetest.Formed(1).ID(0))), step: addLearner(1),
			blocked: []string{"MovingMember: because a person asked for its replacement; left: demo-0"},
		},
		"not of one that only we cannot reach": {
			cluster: ask(three().Unreachable(1), id),
			blocked: []string{"MovingMember: demo-1 is to be replaced, as a person asked, but it cannot be reached", starting},
		},
		"not yet of one that serves and is in trouble: it is said what is waited for": {
			cluster: ask(three().Member(1, func(m *state.Member) { m.Probe.Leader = 0 }), id),
			blocked: []string{"MovingMember: demo-1 is to be replaced, as a person asked, but it does not follow the leader: " +
				"waiting until it is healthy, or not ready for 1m0s", starting},
		},
		"by a name, which would act again and again": {
			cluster: ask(three(), "demo-1"),
			blocked: []string{`InvalidSpec: the annotation quorate.dev/replace-member is refused: "demo-1" is no member ID. Set it ` +
				"to one of " + ids},
		},
		"and it is done": {
			cluster: ask(three(), "abc"), wake: never,
			pending: []string{"AsSpecified: the annotation quorate.dev/replace-member names abc, which is no member, or none any more"},
		},
	}.run(t)
}

func TestAPersonPrefersALeader(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	prefer := func(b *statetest.Builder, name string) *statetest.Builder {
		return b.With(annotated(v1alpha1.AnnotationPreferredLeader, name))
	}
	node := func(n state.Node) func(*state.Cluster) { return func(c *state.Cluster) { c.Nodes["node-2"] = n } }
	stays := []string{"MovingLeader: demo-2 does not lead as a person asked"}
	scenarios{
		"that does not lead": {
			cluster: prefer(three(), "demo-2"),
			step:    plan.MoveLeader{From: member(0), To: member(2), FromID: three().ID(0), ToID: three().ID(2)},
		},
		"that leads":           {cluster: prefer(three(), "demo-0")},
		"that is none of them": {cluster: prefer(three(), "demo-7"), pending: []string{`AsSpecified: names "demo-7", which is no voter: set it to one of demo-0, demo-1, demo-2`}},
		"while another is in trouble": {
			cluster: prefer(three().Crash(1), "demo-2"), blocked: []string{starting},
		},
		"while there is something else to do": {cluster: prefer(three(), "demo-2").Replicas(5), step: addLearner(3)},
		"on a node that is cordoned":          {cluster: prefer(three(), "demo-2").With(node(state.Node{Ready: true, Unschedulable: true})), pending: stays},
		"on a node that is not ready":         {cluster: prefer(three(), "demo-2").With(node(state.Node{})), pending: stays},
	}.run(t)
}
