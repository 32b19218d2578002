package plan_test

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// An ephemeral member that has to load other CAs cannot restart on its data: another takes its place first.
func TestMembersAreMovedThroughASurgeSlot(t *testing.T) {
	three := func() *statetest.Builder { return outdated(withoutVolumes(3)()) }
	// four is the cluster when the member in the surge slot votes, having loaded what is trusted now.
	four := func() *statetest.Builder {
		return outdated(statetest.Ephemeral(4).Replicas(3).TLS()).Load(3).Member(3, surge).Budget(4)
	}
	without := func(b *statetest.Builder, slot int) *statetest.Builder {
		return b.With(func(c *state.Cluster) { c.Members = append(c.Members[:slot:slot], c.Members[slot+1:]...) })
	}
	record := func(slot int) plan.Step { return plan.Retire{Name: member(slot), PodUID: podUID(slot)} }
	removed := func(b *statetest.Builder, slot int, why string) plan.Step {
		return plan.RemoveMember{Name: member(slot), ID: b.ID(slot), Why: why}
	}
	// settled is four when all have loaded what is trusted now.
	settled := func() *statetest.Builder { return statetest.Ephemeral(4).Replicas(3).TLS().Member(3, surge).Budget(4) }
	moves := func(who string) string {
		return "RotatingCA: members are moved to new members one at a time, because " + toLoad + "; left: " + who
	}
	back := "it stood in for members that were moved, and slots below are free"
	backs := "members are moved to new members one at a time, because " + back + "; left: demo-3"
	trust := func(who string) []string {
		return []string{"RotatingCA: waiting until all members trust the new one as well: " + who}
	}
	all, leading := moves("demo-0, demo-1, demo-2"), four().ID
	scenarios{
		"first one more is added, in the lowest free slot": {
			cluster: three(), step: secureLearner(3), blocked: []string{all}, pending: trust("demo-0, demo-1, demo-2"),
			ensures: []plan.Step{budget(2)},
		},
		"not while another member is in trouble, which is no reason to remove anybody": {
			cluster: three().Load(1).Crash(1), pending: trust("demo-0, demo-2"),
			blocked: []string{"StartingMember: demo-1", moves("demo-0, demo-2"),
				"RotatingCA: a member that takes the place of demo-2 is added first (" + toLoad + "): waiting until all voters are " +
					"healthy: demo-1"},
		},
		"a removal that was recorded too early is withdrawn": {
			cluster: three().Retire(2), step: plan.Resume{Name: member(2), PodUID: podUID(2)}, blocked: []string{all},
			pending: trust("demo-0, demo-1, demo-2"),
		},
		"the addition goes on while the move is wanted": {
			cluster: outdated(statetest.Ephemeral(3).Learner(3).TLS()), pending: trust("demo-0, demo-1, demo-2"),
			step:    start(surgeLaunch(3)),
			blocked: []string{"ScalingUp: waiting for learner demo-3", all},
		},
		"the learner is removed when the move is no longer wanted": {
			cluster: statetest.Ephemeral(3).Learner(3).TLS(), step: removed(statetest.Ephemeral(3).Learner(3).TLS(), 3, "3 voters are wanted and there are 3"),
			blocked: []string{"ScalingDown: learner demo-3 is removed"},
		},
		"then the removal of the member with the highest slot is recorded": {
			cluster: four(), step: record(2), blocked: []string{all}, pending: trust("demo-0, demo-1, demo-2"),
			ensures: []plan.Step{budget(4)},
		},
		"and it is removed": {
			cluster: four().Retire(2), step: removed(four(), 2, toLoad), blocked: []string{all}, pending: trust("demo-0, demo-1, demo-2"),
		},
		"not while another is in trouble": {
			cluster: four().Crash(1), pending: trust("demo-0, demo-1, demo-2"), blocked: []string{"StartingMember: demo-1", all,
				"RotatingCA: demo-2 is to be replaced (" + toLoad + "), but demo-1 has to be healthy and ready first"},
		},
		"then its slot is filled for the next one": {
			cluster: without(four(), 2).Budget(2), step: secureLearner(2), blocked: []string{moves("demo-0, demo-1") + ". " + backs},
			pending: trust("demo-0, demo-1"), ensures: []plan.Step{plan.ApplyServices{Clients: true, Slots: []int{0, 1, 3}}},
		},
		"the leader comes after the other ones, and hands over to one that stays": {
			cluster: four().Load(1, 2).Leader(0), blocked: []string{moves("demo-0")}, pending: trust("demo-0"),
			step: plan.MoveLeader{From: member(0), To: member(1), FromID: leading(0), ToID: leading(1)},
		},
		"at last the member in the surge slot makes room for one in the slot that is left": {
			cluster: without(settled(), 0).Leader(1).Budget(2), step: secureLearner(0), blocked: []string{"MovingMember: " + backs},
		},
		"which is wanted until it votes": {
			cluster: settled().Member(0, func(m *state.Member) { m.Learner = true }).Leader(1).Budget(2),
			blocked: []string{"ScalingUp: learner demo-0: waiting until the disruption controller observes it and minAvailable 3",
				"ScalingUp: waiting for learner demo-0", "MovingMember: " + backs},
		},
		"and is removed": {
			cluster: settled().Retire(3), step: removed(settled(), 3, "3 voters are wanted, 4 are listed"),
		},
		"but stays when more members are wanted meanwhile": {
			cluster: without(settled(), 0).Leader(1).Replicas(5).Budget(2), step: secureLearner(0),
		},
		"a single member is moved as well": {
			cluster: outdated(withoutVolumes(1)()), step: secureLearner(1), blocked: []string{moves("demo-0")},
			pending: trust("demo-0"),
		},
		"one that nobody can reach is removed at once, when all others are healthy": {
			cluster: three().Unreachable(1).Budget(3), step: record(1), blocked: []string{"StartingMember: demo-1", all},
			pending: trust("demo-0, demo-1, demo-2"),
		},
	}.run(t)
}

// The wanted number may have been edited since the member in the surge slot was added, so that nothing records what it
// was added for.
func TestAMemberThatStaysBeyondTheWantedSlotsIsRecordedAsAStandIn(t *testing.T) {
	const back = "MovingMember: members are moved to new members one at a time, because it stood in for members that were " +
		"moved, and slots below are free; left: "
	// voters are those in the slots, of which so many are wanted.
	voters := func(replicas int, slots ...int) *statetest.Builder {
		return statetest.Formed(4).Replicas(replicas).Budget(len(slots)).With(func(c *state.Cluster) {
			c.Members = slices.DeleteFunc(c.Members, func(m state.Member) bool { return !slices.Contains(slots, m.Slot) })
			c.Etcd.Leader = c.Members[0].ID
			for i := range c.Members {
				c.Members[i].Probe.Leader = c.Members[0].ID
			}
		})
	}
	id := resources.FormatID(statetest.Formed(4).ID(2))
	moving := func() *statetest.Builder {
		return voters(3, 0, 1, 2, 3).With(annotated(v1alpha1.AnnotationReplaceMember, id))
	}
	marked := func(m *state.Member) { m.Volume.Surge = true }
	record := func(slot int) plan.Step {
		return plan.RecordSurge{Member: member(slot), Volume: volume(statetest.Formed(4), slot)}
	}
	retire := func(slot int) plan.Step {
		return plan.Retire{Name: member(slot), Volume: volume(statetest.Formed(4), slot)}
	}
	const asked = "MovingMember: because a person asked for its replacement; left: demo-2"
	scenarios{
		"before the member that it stands in for is removed": {cluster: moving(), step: record(3), blocked: []string{asked}},
		"which goes on then": {cluster: moving().Member(3, marked), step: retire(2), blocked: []string{asked}},
		"so that it is moved back": {
			cluster: voters(3, 0, 1, 3).Member(3, marked), step: addLearner(2), blocked: []string{back + "demo-3"},
		},
		"also before a scale-down ends with it":            {cluster: voters(1, 1, 2).Leader(1), step: record(1)},
		"which removes the others, not the one that stays": {cluster: voters(1, 1, 2).Leader(1).Member(1, marked), step: retire(2), blocked: []string{back + "demo-1"}},
		"and moves that one back": {
			cluster: voters(1, 1).Leader(1).Member(1, marked).With(func(c *state.Cluster) { c.MemberServices = []int{1, 2} }),
			step:    addLearner(0), blocked: []string{back + "demo-1"},
		},
		"not when what stays is in the wanted slots": {cluster: voters(3, 0, 1, 2, 3), step: retire(3)},
		"not before the last removal":                {cluster: voters(1, 1, 2, 3).Leader(1), step: retire(3)},
	}.run(t)
}

// surge marks a member as one in the surge slot.
func surge(m *state.Member) { m.Pod.Surge = true }

// surgeLaunch is the launch of the learner in the surge slot beside three members.
func surgeLaunch(slot int) plan.Launch {
	b := outdated(statetest.Ephemeral(3).Learner(slot).TLS())
	c := b.Build()
	return plan.Launch{
		Incarnation: state.Incarnation{
			Slot: slot, Generation: c.Latch.Generation, Token: c.Latch.Token, Size: 3, ClusterID: c.Latch.ClusterID,
			MemberID: b.ID(slot), PeerURL: resources.PeerURL(c.Object, slot), Version: statetest.Version, Surge: true,
		},
		Start: state.Start{
			InitialCluster: b.List(0, 1, 2, slot), Existing: true, Trust: c.TLS.Trust, Certificates: c.TLS.Revision(),
		},
		First: true,
	}
}
