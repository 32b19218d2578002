package act

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

// Three voters' Pods are there, of which the cache of a second operator may show none.
func TestABudgetThatIsMadeOrLoweredCountsThePodsThatAreThere(t *testing.T) {
	tests := []struct {
		name                  string
		before, planned, want int
	}{
		{name: "made anew for fewer voters than have Pods", planned: 1, want: 2},
		{name: "made anew for more voters", planned: 3, want: 3},
		{name: "lowered to what fewer voters can spare", before: 3, planned: 1, want: 2},
		{name: "lowered to a majority", before: 3, planned: 2, want: 2},
		{name: "raised", before: 1, planned: 2, want: 2},
		{name: "left as it is", before: 1, planned: 1, want: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := memberWorld(t)
			c, trust := w.kept.Cluster, w.kept.Trust().Name
			w.create(podOf(c, 1, trust), podOf(c, 2, trust))
			if tt.before > 0 {
				w.create(resources.DisruptionBudget(c, tt.before))
			}
			if err := w.do(w.observe(), plan.ApplyDisruptionBudget{MinAvailable: tt.planned}); err != nil {
				t.Fatal(err)
			}
			var got policyv1.PodDisruptionBudget
			key := client.ObjectKey{Namespace: "shop", Name: resources.DisruptionBudgetName("demo")}
			if err := w.api.Get(t.Context(), key, &got); err != nil {
				t.Fatal(err)
			}
			if n := got.Spec.MinAvailable.IntValue(); n != tt.want {
				t.Errorf("minAvailable is %d, want %d", n, tt.want)
			}
		})
	}
}
