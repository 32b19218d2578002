package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// scenario is a row of the rule tables: a cluster, and the whole decision that it asks for.
type scenario struct {
	cluster *statetest.Builder
	// step that is done now; nil when none may be.
	step plan.Step
	// blocked is what is waited for, in order, each as "Reason: part of the message".
	blocked []string
	// pending is what goes on in the background, in the same way.
	pending []string
	// mustLoad is what clients have to load.
	mustLoad string
	// wake is when to look again at the latest; not checked when zero.
	wake time.Duration
	// ensures that must be among the decision's.
	ensures []plan.Step
	// absent are ensures whose kind must not be among the decision's.
	absent []plan.Step
}

// never is the wake of a decision that leaves it to events.
const never time.Duration = -1

type scenarios map[string]scenario

func (s scenarios) run(t *testing.T) {
	t.Helper()
	for name, row := range s {
		t.Run(name, func(t *testing.T) {
			d := plan.Next(row.cluster.Build())
			if diff := cmp.Diff(row.step, d.Step); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
			if why := blockedDiffer(row.blocked, d.Blocked); why != "" {
				t.Errorf("blocked: %s\nwant %q\ngot  %q", why, row.blocked, d.Blocked)
			}
			if why := blockedDiffer(row.pending, d.Pending); why != "" {
				t.Errorf("pending: %s\nwant %q\ngot  %q", why, row.pending, d.Pending)
			}
			if row.mustLoad != d.ClientsMustLoad {
				t.Errorf("clients must load %q, want %q", d.ClientsMustLoad, row.mustLoad)
			}
			if row.wake != 0 && row.wake != d.Wake && (row.wake != never || d.Wake != 0) {
				t.Errorf("wakes after %s, want %s", d.Wake, row.wake)
			}
			for _, e := range row.ensures {
				if !slices.ContainsFunc(d.Ensures, func(got plan.Step) bool { return cmp.Equal(e, got) }) {
					t.Errorf("ensure is missing: %#v\ngot %#v", e, d.Ensures)
				}
			}
			for _, e := range row.absent {
				if got := ensureLike(d, e); got != nil {
					t.Errorf("ensure must not be: %#v", got)
				}
			}
			if d.Step != nil && (d.Reason == "" || d.Activity == "") {
				t.Errorf("a step without activity (%q) or reason (%q)", d.Activity, d.Reason)
			}
		})
	}
}

func blockedDiffer(want []string, got []plan.Blocked) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d things, want %d", len(got), len(want))
	}
	for i, w := range want {
		reason, message, _ := strings.Cut(w, ": ")
		if got[i].Reason != reason || !strings.Contains(got[i].Message, message) {
			return fmt.Sprintf("number %d differs", i+1)
		}
	}
	return ""
}

// ensureLike finds the decision's ensure of the same kind.
func ensureLike(d plan.Decision, kind plan.Step) plan.Step {
	for _, e := range d.Ensures {
		if fmt.Sprintf("%T", e) == fmt.Sprintf("%T", kind) {
			return e
		}
	}
	return nil
}

// launchOf is the launch of a member of a bootstrap of this size that never ran: with its list, and a new volume.
func launchOf(size, slot int) plan.Launch {
	latch := resources.NewLatch(statetest.Fresh().Build().Object, 1, statetest.Token, size, statetest.Version)
	in := resources.LatchMembers(statetest.Fresh().Build().Object, latch)[slot]
	return plan.Launch{
		Incarnation: in,
		Start:       state.Start{InitialCluster: latch.InitialCluster, Voter: true},
		Volume:      resources.VolumeName(statetest.Name, slot, in.MemberID),
		First:       true,
	}
}

// resumed is the launch of a bootstrapped member that ran: sealed, on the volume that it has.
func resumed(size, slot int) plan.Launch {
	l := launchOf(size, slot)
	l.Start = state.Start{InitialCluster: statetest.List(slot), Existing: true, Sealed: true, Voter: true}
	return again(l)
}

// again is a launch of an incarnation that was launched before, on the volume that it has.
func again(l plan.Launch) plan.Launch {
	l.First = false
	l.VolumeUID = types.UID("uid-volume-" + resources.FormatID(l.Incarnation.MemberID))
	return l
}

// joining is the launch of a learner beside the bootstrapped members of these slots.
func joining(size, slot int, slots ...int) plan.Launch {
	l := launchOf(size, 0)
	id := statetest.Formed(size).Learner(slot).ID(slot)
	l.Incarnation.Slot, l.Incarnation.MemberID, l.Incarnation.BootstrapList = slot, id, ""
	l.Incarnation.PeerURL = statetest.PeerURL(slot)
	l.Start = state.Start{InitialCluster: statetest.List(slots...), Existing: true}
	l.Volume = resources.VolumeName(statetest.Name, slot, id)
	return l
}

func start(launches ...plan.Launch) plan.Step { return plan.StartMembers{Members: launches} }

func budget(minAvailable int) plan.Step {
	return plan.ApplyDisruptionBudget{MinAvailable: minAvailable}
}

func member(slot int) string { return resources.MemberName(statetest.Name, slot) }

func podUID(slot int) types.UID { return types.UID("uid-" + member(slot)) }

func volume(b *statetest.Builder, slot int) string {
	return resources.VolumeName(statetest.Name, slot, b.ID(slot))
}

func TestAtRestThereIsNothingToDo(t *testing.T) {
	rows := scenarios{}
	for _, voters := range []int{1, 3, 5, 7} {
		spared := voters/2 + 1
		if voters == 1 {
			spared = 0
		}
		rows[fmt.Sprintf("a healthy cluster of %d", voters)] = scenario{
			cluster: statetest.Formed(voters).Replicas(voters),
			ensures: []plan.Step{budget(spared)},
			absent: []plan.Step{
				plan.Seal{}, plan.RecordPlacement{}, plan.ApplyOwners{}, plan.FormLatch{}, plan.RecordVersion{}, plan.MarkVoter{},
			},
		}
		rows[fmt.Sprintf("a healthy ephemeral cluster of %d", voters)] = scenario{
			cluster: statetest.Ephemeral(voters).Replicas(voters),
			ensures: []plan.Step{budget(spared)},
			absent:  []plan.Step{plan.Seal{}, plan.ApplyOwners{}},
		}
	}
	rows.run(t)
}

func diffOf(want, got plan.Step) string { return cmp.Diff(want, got) }
