package sim

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/api/v1alpha1"
)

// TestSchedulesWithRequests runs random schedules in which people also ask for single things: a restart, the replacement
// of a member, a leader, another way to repair; and for another version or template where the data is in the Pods. They
// are apart from the others, because a seed reaches the same schedule only as long as the actions stay the same; and a
// tenth as many, when the environment says how many.
func TestSchedulesWithRequests(t *testing.T) {
	seen := newCoverage()
	runTenth(t)
	checkInParallel(t, func(r *rapid.T) {
		scheduleOf(r, seen, func(w *world, ephemeral bool) []action {
			list := append(actionsOf(w, ephemeral), requests(w)...)
			if ephemeral {
				list = append(list, editActions(w)...)
			}
			return list
		})
	})
	t.Log(seen)
	if seen.schedules < manyRecoveries {
		return
	}
	for _, a := range requests(newWorld(1)) {
		if seen.actions[a.name] == 0 {
			t.Errorf("action %q never happened", a.name)
		}
	}
	if seen.rules["preferred leader"] == 0 || seen.rules["requests"] == 0 {
		t.Error("nobody was heard who asked for a leader, or for a replacement")
	}
}

// requests are what people ask for by the spec's single fields and by annotations.
func requests(w *world) []action {
	return []action{
		{"the user asks for a restart", func(*rapid.T) { w.restartAll() }},
		{"the user edits the repair", func(r *rapid.T) {
			w.editRepair(&v1alpha1.RepairSpec{
				Mode:  ptr.To(rapid.SampledFrom([]v1alpha1.RepairMode{v1alpha1.RepairAutomatic, v1alpha1.RepairManual}).Draw(r, "mode")),
				After: &metav1.Duration{Duration: time.Duration(rapid.IntRange(0, 10).Draw(r, "minutes")) * time.Minute},
			})
		}},
		{"a person asks for the replacement of a member", func(r *rapid.T) {
			n := rapid.IntRange(0, 6).Draw(r, "member")
			if members := w.truth().members; len(members) > 0 {
				w.annotate(v1alpha1.AnnotationReplaceMember, fmt.Sprintf("%x", members[n%len(members)].ID))
			}
		}},
		{"a person prefers a leader", func(r *rapid.T) {
			w.annotate(v1alpha1.AnnotationPreferredLeader, fmt.Sprintf("%s-%d", clusterName, rapid.IntRange(0, 4).Draw(r, "slot")))
		}},
	}
}
