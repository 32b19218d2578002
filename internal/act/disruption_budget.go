package act

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
)

// applyDisruptionBudget keeps the budget, or deletes it.
func applyDisruptionBudget(ctx context.Context, w *writer, s plan.ApplyDisruptionBudget) error {
	seen := &policyv1.PodDisruptionBudget{}
	if s.MinAvailable == 0 {
		return w.removeOwn(ctx, resources.DisruptionBudgetName(w.cluster.Name), seen)
	}
	minAvailable, err := w.minAvailable(ctx, s.MinAvailable)
	if err != nil {
		return err
	}
	d := resources.DisruptionBudget(w.cluster, minAvailable)
	return w.apply(ctx, kept{
		desired: d, seen: seen,
		same: func() bool { return equality.Semantic.DeepEqual(d.Spec, seen.Spec) },
		mend: func() { seen.Spec = *d.Spec.DeepCopy() },
	})
}

// minAvailable is what was planned. A budget that is made or lowered counts at least a majority of the Pods that are
// there, read live: evictions count the Pod of a removed voter as well, which a cache that is behind may not show.
func (w *writer) minAvailable(ctx context.Context, planned int) (int, error) {
	var seen policyv1.PodDisruptionBudget
	err := w.Get(ctx, clientKey(w.cluster.Namespace, resources.DisruptionBudgetName(w.cluster.Name)), &seen)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("read the PodDisruptionBudget: %w", err)
	}
	if m := seen.Spec.MinAvailable; m != nil && m.IntValue() <= planned {
		return planned, nil
	}
	var pods corev1.PodList
	if err := w.live.List(ctx, &pods, client.InNamespace(w.cluster.Namespace),
		client.MatchingLabels(resources.VoterSelector(w.cluster.Name))); err != nil {
		return 0, fmt.Errorf("list the Pods: %w", err)
	}
	evictable := 0
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			evictable++
		}
	}
	return max(planned, quorum.Majority(evictable)), nil
}
