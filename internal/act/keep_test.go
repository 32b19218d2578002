package act

import (
	"context"
	"errors"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
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
		"the latch":     plan.FormLatch{},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			kept.Cluster.Spec.Storage.ReclaimPolicy = ptr.To(v1alpha1.ReclaimDelete)
			latch := resources.Latch(kept.Cluster, resources.NewLatch(kept.Cluster, 1, "token-1", 3, statetest.Version))
			latch.OwnerReferences = nil
			w := newWorld(t, kept, orphaned).create(budget.DeepCopy(), latch)
			w.unchanged(w.do(w.observe(), step), observeAgain)
		})
	}
}

// stale is a cache that holds the budget as it was.
type stale struct {
	client.Client
	budget *policyv1.PodDisruptionBudget
}

func (c stale) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	if budget, ok := into.(*policyv1.PodDisruptionBudget); ok {
		c.budget.DeepCopyInto(budget)
		return nil
	}
	return c.Client.Get(ctx, key, into, o...)
}

func TestABudgetThatWasRaisedUnseenIsNotLowered(t *testing.T) {
	w := memberWorld(t)
	w.create(resources.DisruptionBudget(w.kept.Cluster, 2))
	var before policyv1.PodDisruptionBudget
	key := client.ObjectKey{Namespace: "shop", Name: resources.DisruptionBudgetName("demo")}
	if err := w.api.Get(t.Context(), key, &before); err != nil {
		t.Fatal(err)
	}
	if err := w.do(w.observe(), plan.ApplyDisruptionBudget{MinAvailable: 4}); err != nil {
		t.Fatal(err)
	}
	w.operator.Client = stale{w.api, &before}
	observeAgain.check(t, w.do(w.observe(), plan.ApplyDisruptionBudget{MinAvailable: 3}))
	var after policyv1.PodDisruptionBudget
	if err := w.api.Get(t.Context(), key, &after); err != nil || after.Spec.MinAvailable.IntValue() != 4 {
		t.Errorf("the budget is %v (%v), want it as it was raised", after.Spec.MinAvailable, err)
	}
}

func TestAServiceThatIsBeingDeletedHidesNothingThatIsWrongWithAnother(t *testing.T) {
	w := memberWorld(t)
	going, foreign := resources.ClientService(w.kept.Cluster), resources.PeerService(w.kept.Cluster)
	going.Finalizers, foreign.OwnerReferences, foreign.Labels = []string{"example.com/hold"}, nil, nil
	w.create(going, foreign)
	if err := w.api.Delete(t.Context(), going); err != nil {
		t.Fatal(err)
	}
	err, waits := w.do(w.observe(), plan.ApplyServices{Clients: true}), (*RefusedError)(nil)
	conflict.check(t, err)
	if errors.As(err, &waits) {
		t.Errorf("only this is told: %v", waits)
	}
}
