package plan_test

import (
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestALearnerDoesNotHideALoss(t *testing.T) {
	// The voters of the newest log are demo-0 and demo-1; or four, of which two are lost.
	tests := map[string]struct {
		cluster *statetest.Builder
		voters  int
	}{
		"one of two voters is lost beside a learner":   {statetest.Formed(3).Lose(1).Inspect(0, 4, 120).Inspect(2, 4, 120), 2},
		"two of four voters are lost beside a learner": {statetest.Formed(5).Lose(2, 3).Inspect(0, 4, 120).Inspect(1, 4, 120).Inspect(4, 4, 120), 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := test.cluster.Build()
			for i := range c.Inspections {
				c.Inspections[i].Report.Voters = c.Inspections[i].Report.Voters[:test.voters]
			}
			if loss := plan.QuorumLoss(c); loss == nil {
				t.Error("no loss is found")
			}
		})
	}
}

func TestNobodyKnowsWhoVotesBeforeTheLogsWereRead(t *testing.T) {
	one := func() *statetest.Builder {
		return statetest.Formed(3).Crash(0).Lose(1).With(func(c *state.Cluster) {
			// That a person asked for its replacement makes no loss of a member whose volume is there.
			c.Object.Annotations = map[string]string{v1alpha1.AnnotationReplaceMember: resources.FormatID(c.Members[1].ID)}
		})
	}
	if s := ensureLike(plan.Next(one().Build()), plan.InspectVolume{}); s == nil {
		t.Error("with one volume of three gone, the others are not read")
	}
	if loss := plan.QuorumLoss(one().Inspect(0, 4, 120).Inspect(2, 4, 120).Build()); loss != nil {
		t.Errorf("with one voter of three gone a loss is found: %+v", loss)
	}
}

func TestOfEphemeralMembersThePodsTellWhoVotes(t *testing.T) {
	two := func() *statetest.Builder { return statetest.Ephemeral(3).Lose(1) }
	const message = unproven + "the data of demo-0 is in its Pod"
	scenarios{
		"two of three voters are left": {cluster: two(), blocked: []string{noQuorum, waiting0}},
		"one of two voters is left, and a learner": {
			cluster: two().Member(2, func(m *state.Member) { m.Pod.Voter = false }), blocked: []string{message, noQuorum, waiting0},
		},
	}.run(t)
}

func TestOfEqualLogsThatOfAVoterIsTaken(t *testing.T) {
	b := statetest.Formed(3).Lose(2).Inspect(0, 4, 120).Inspect(1, 4, 120)
	c := b.Build()
	for i := range c.Inspections {
		c.Inspections[i].Report.Voters = c.Inspections[i].Report.Voters[1:]
	}
	if loss := plan.QuorumLoss(c); loss == nil || loss.Chosen != b.ID(1) {
		t.Errorf("the loss is %+v, want the voter demo-1 chosen and not the learner demo-0", loss)
	}
}

func TestAMissingMemberIsNotNamedAsASurvivor(t *testing.T) {
	b := statetest.Formed(3).Lose(1, 2).Inspect(0, 4, 120)
	gone := uint64(0xabc) // a former member of slot 0, which the newest log still lists
	c := b.Report(func(i *state.Inspection) {
		i.Report.Voters = append(i.Report.Voters, gone)
		i.Report.Names = map[uint64]string{gone: "demo-0"}
	}).Build()
	for _, m := range plan.QuorumLoss(c).Missing {
		if m.MemberID == gone && m.Name != resources.FormatID(gone) {
			t.Errorf("the former member is called %s: whoever vouches for it vouches for the survivor", m.Name)
		}
	}
}

func TestAPodKeepsDataWhoseClaimIsGone(t *testing.T) {
	// Somebody took the finalizer off the claim of demo-1.
	b := func(change func(*state.Pod)) *statetest.Builder {
		return statetest.Formed(5).Lose(1, 2, 3).Inspect(0, 4, 120).Inspect(4, 4, 120).With(func(c *state.Cluster) {
			p := state.Pod{
				Name: "demo-1", UID: "u", Slot: 1, Generation: 1, MemberID: c.Latch.Launched[1], Volume: "demo-1-x", Node: "node-1",
				Running: true,
			}
			change(&p)
			c.Leftovers.Pods = append(c.Leftovers.Pods, p)
		})
	}
	const holds = unproven + "Pod demo-1 still holds the data of its volume, whose claim is gone"
	scenarios{
		"which is not lost as long as that runs": {
			cluster: b(func(*state.Pod) {}), blocked: []string{holds, noQuorum, "StartingMember: waiting for demo-0"},
		},
	}.run(t)
	for name, change := range map[string]func(*state.Pod){
		"one that is being deleted":  func(p *state.Pod) { p.Terminating = true },
		"one that has ended":         func(p *state.Pod) { p.Finished = true },
		"one whose node is gone":     func(p *state.Pod) { p.Node = "node-gone" },
		"one that was never started": func(p *state.Pod) { p.Node = "" },
		"one of no voter":            func(p *state.Pod) { p.MemberID = 0xabc },
	} {
		if plan.QuorumLoss(b(change).With(nodes("node-1")).Build()) == nil {
			t.Errorf("%s keeps the loss from being told", name)
		}
	}
}

func TestDataThatAnotherToolBroughtIsNotChosen(t *testing.T) {
	foreign := func(m *state.Member) {
		m.Volume.RecordedPersistentVolume, m.Volume.PersistentVolume = "pv-then", "pv-now"
	}
	b := statetest.Formed(5).Lose(2, 3, 4).Inspect(0, 4, 110).Inspect(1, 4, 120).Member(1, foreign)
	loss := lossOf(t, b)
	if loss.Chosen != b.ID(0) || len(loss.Survivors) != 1 || len(loss.Missing) != 4 ||
		loss.Missing[0].Why != "its claim is bound to pv-now, but its data was on pv-then: another tool re-created it" {
		t.Errorf("the loss is %+v, want demo-0 chosen and demo-1 missing", loss)
	}
	scenarios{
		"and nothing starts empty beside it": {
			cluster: lostQuorum().Member(0, foreign),
			blocked: []string{unproven + "of what is left nothing can be used (demo-0: its claim is bound to pv-now", noQuorum, waiting0},
		},
	}.run(t)
}
