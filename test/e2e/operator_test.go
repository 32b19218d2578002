//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// These tests stop the operator that all tests share: they do not run in parallel with others.

func TestAnOperatorThatIsKilledGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	c := w.create("demo", spec(3))
	w.eventually("waiting for the first member Pod", settle, func(ctx context.Context) string {
		if pods, err := c.members.Pods(ctx); err != nil || len(pods) == 0 {
			return "there is none"
		}
		return ""
	})
	w.must(w.KillOperator(w.ctx))
	c.ready()
	writing := c.write()

	c.scale(5)
	c.await("waiting until a learner joins", func(obj *v1alpha1.EtcdCluster) string {
		if len(obj.Status.Members) < 4 {
			return "no learner: " + framework.ShortStatus(obj)
		}
		return ""
	})
	w.must(w.KillOperator(w.ctx))
	c.ready()

	c.scale(1)
	c.await("waiting until the removal of a member goes on", func(obj *v1alpha1.EtcdCluster) string {
		return framework.HasCondition(obj, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScalingDown)
	})
	w.must(w.KillOperator(w.ctx))
	c.ready()
	c.onlyVolumesOfMembers()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestWithoutTheOperatorClustersServeAndNamespacesCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	c := w.create("demo", spec(3))
	c.ready()
	doomed := newWorld(t)
	for name, policy := range map[string]v1alpha1.ReclaimPolicy{"kept": v1alpha1.ReclaimRetain, "dropped": v1alpha1.ReclaimDelete} {
		doomed.create(name, spec(1, reclaim(policy))).ready()
	}
	writing := c.write()

	w.must(w.ScaleOperator(w.ctx, 0))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.ScaleOperator(ctx, 1); err != nil {
			t.Errorf("start the operator again: %v", err)
		}
	})
	ns := &corev1.Namespace{}
	w.must(w.Client.Get(w.ctx, types.NamespacedName{Name: doomed.namespace}, ns))
	w.must(w.Client.Delete(w.ctx, ns))
	ctx, cancel := w.within(settle)
	defer cancel()
	w.must(w.AwaitGone(ctx, ns))

	victim := c.pod(c.leader())
	c.must(framework.KillEtcd(victim)) // a container restarts without the operator
	c.restarted(victim)
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { *s.Replicas = 1 })
	writing.goesOn()
	w.must(w.ScaleOperator(w.ctx, 1))
	c.ready()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}
