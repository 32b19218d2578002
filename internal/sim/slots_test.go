package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// A member is moved through one slot more than there are members. Whatever is edited at whichever moment of that, the
// slots end as they began: clients know their names.
func TestSlotsEndAsTheyBeganWhateverIsEditedDuringAMove(t *testing.T) {
	for name, edits := range map[string][]int32{
		"more members, and back":   {5, 3},
		"fewer members":            {1},
		"fewer members, and back":  {1, 3},
		"more members, then fewer": {5, 1},
	} {
		for _, after := range []int{1, 2, 4, 6, 9, 13} {
			t.Run(fmt.Sprintf("%s, after %d steps", name, after), func(t *testing.T) {
				t.Parallel()
				w := newWorld(6)
				create(w, 3, false)
				settle(w)
				askToReplace(w, 0)
				for range after {
					w.step(0)
				}
				for _, replicas := range edits {
					scale(w, replicas)
					w.step(0)
				}
				settle(w)
				if len(w.failures) > 0 {
					t.Fatalf("%s\n\ntrace:\n%s", strings.Join(w.failures, "\n"), strings.Join(w.trace, "\n"))
				}
				var names, want []string
				for _, pod := range all[*corev1.Pod](w.store) {
					names = append(names, pod.Name)
				}
				for slot := range int(*w.cluster().Spec.Replicas) {
					want = append(want, resources.MemberName(clusterName, slot))
				}
				if slices.Sort(names); !slices.Equal(names, want) {
					t.Errorf("the members are %v, want %v\n\ntrace:\n%s", names, want, strings.Join(w.trace, "\n"))
				}
			})
		}
	}
}

// askToReplace has a person ask for the replacement of the member in the slot.
func askToReplace(w *world, slot int) {
	c := w.cluster()
	for _, m := range c.Status.Members {
		if m.Name == resources.MemberName(clusterName, slot) {
			w.log("a person asks for the replacement of %s", m.Name)
			metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationReplaceMember, *m.ID)
			must(w.store.update(c, false))
			return
		}
	}
	panic("no such member")
}
