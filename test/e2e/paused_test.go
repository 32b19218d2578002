//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestAPausedClusterIsReportedButNotChanged(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused, s.Replicas = ptr.To(true), ptr.To[int32](5) })
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPaused)
	victim := c.pod(c.follower())
	c.deletePod(victim.Name, 0)
	service := c.service("demo-client")
	c.must(c.Client.Delete(c.ctx, service))
	c.await("waiting until the loss is reported", func(obj *v1alpha1.EtcdCluster) string {
		return framework.HasCondition(obj, v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonMemberUnhealthy)
	})
	w.goesOn()
	c.staysSo("nothing is to be changed while the cluster is paused", 8*time.Second, func(ctx context.Context) string {
		left, err := c.left(ctx)
		switch {
		case err != nil:
			return err.Error()
		case len(left["Pod"]) != 2:
			return "there are the Pods " + strings.Join(left["Pod"], ", ") + ", want two: the deleted one is not to be created again"
		case len(left["Service"]) != 4:
			return "there are the Services " + strings.Join(left["Service"], ", ") + ", want four: the deleted one is not to be created again"
		}
		return ""
	})
	c.sameMembers(ids)

	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = nil })
	c.ready()
	c.must(c.Client.Get(c.ctx, client.ObjectKeyFromObject(service), &corev1.Service{}))
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// staysSo fails the test when check finds something missing within d.
func (w *world) staysSo(what string, d time.Duration, check func(context.Context) string) {
	w.t.Helper()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for end := time.After(d); ; {
		if fault := check(w.ctx); fault != "" {
			w.t.Fatalf("%s: %s", what, fault)
		}
		select {
		case <-end:
			return
		case <-ticker.C:
		}
	}
}
