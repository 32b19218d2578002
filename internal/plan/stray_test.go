package plan_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// An owner reference from an ephemeral cluster would have the garbage collector delete volumes that Retain keeps.
func TestAnEphemeralClusterKeepsAwayFromRetainedVolumes(t *testing.T) {
	c := statetest.Formed(3).Build()
	c.Object.Spec.Storage.Ephemeral = &v1alpha1.EphemeralStorage{}
	d := plan.Next(c)
	if d.Step != nil || len(d.Ensures) > 0 {
		t.Errorf("step %v and ensures %v, want nothing to be done", d.Step, d.Ensures)
	}
	if len(d.Blocked) != 1 || d.Blocked[0].Reason != v1alpha1.ReasonInvalidSpec ||
		!strings.Contains(d.Blocked[0].Message, "volumes of a cluster of this name exist") {
		t.Errorf("blocked %v, want InvalidSpec that names the volumes", d.Blocked)
	}
}

// The claim of a Pod that exists goes only when the Pod does: deleting the Pod would delete the data.
func TestAPodWhoseClaimIsBeingDeletedIsNotDeleted(t *testing.T) {
	for _, finished := range []bool{false, true} {
		b := statetest.Formed(3).Crash(1).Member(1, func(m *state.Member) {
			m.Volume.Terminating, m.Pod.Applied, m.Pod.Finished = true, "an older template", finished
		})
		if d := plan.Next(b.Build()); d.Step != nil {
			t.Errorf("finished %t: step %v, want none", finished, d.Step)
		}
	}
}
