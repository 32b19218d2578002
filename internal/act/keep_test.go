package act

import (
	"context"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// withoutBudgets is a cache whose watch of budgets stands still since before there was one.
type withoutBudgets struct{ client.Client }

func (c withoutBudgets) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	if _, ok := into.(*policyv1.PodDisruptionBudget); ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "poddisruptionbudgets"}, key.Name)
	}
	return c.Client.Get(ctx, key, into, o...)
}

func TestABudgetThatTheCacheDoesNotKnowYetIsNotLowered(t *testing.T) {
	w := memberWorld(t)
	w.create(resources.DisruptionBudget(w.kept.Cluster, 3))
	w.operator.Client = withoutBudgets{w.api}
	w.unchanged(w.do(w.observe(), plan.ApplyDisruptionBudget{MinAvailable: 2}), observeAgain)
}

func TestABudgetWithoutItsLabelIsMended(t *testing.T) {
	w := memberWorld(t)
	budget := resources.DisruptionBudget(w.kept.Cluster, 3)
	budget.Labels = nil
	w.create(budget)
	w.operator.Client = withoutBudgets{w.api}
	if err := w.do(w.observe(), plan.ApplyDisruptionBudget{MinAvailable: 2}); err != nil {
		t.Fatal(err)
	}
	var got policyv1.PodDisruptionBudget
	if err := w.api.Get(t.Context(), client.ObjectKeyFromObject(budget), &got); err != nil {
		t.Fatal(err)
	}
	if got.Labels[resources.LabelCluster] != "demo" || got.Spec.MinAvailable.IntValue() != 2 {
		t.Errorf("the budget has the labels %v and asks for %s", got.Labels, got.Spec.MinAvailable)
	}
}

// The EtcdCluster was deleted without its dependents, and another of its name exists by now: a reference to the former
// would have them collected.
func TestWhatAPredecessorLeftIsNotAdoptedForAnEtcdClusterThatIsGone(t *testing.T) {
	orphaned := func(o client.Object) client.Object {
		if o.GetName() == "demo" {
			o.SetUID("uid-successor")
		} else {
			o.SetOwnerReferences(nil)
		}
		return o
	}
	budget := resources.DisruptionBudget(managed(t).Cluster, 3)
	budget.OwnerReferences = nil
	for name, step := range map[string]plan.Step{
		"a certificate": plan.PublishCertificate{Name: state.PeerCertificate, Renew: true},
		"an authority":  plan.SetAuthority{Side: state.PeerSide, Change: plan.BeginRotation},
		"a budget":      plan.ApplyDisruptionBudget{MinAvailable: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, managed(t), orphaned).create(budget.DeepCopy())
			w.unchanged(w.do(w.observe(), step), observeAgain)
		})
	}
}
