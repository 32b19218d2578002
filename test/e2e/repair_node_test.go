//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// These tests take a node from all, or the operator's view: they do not run in parallel with others.

// evictedSoon has Kubernetes delete the Pods of a node that is not ready after two seconds instead of five minutes.
func evictedSoon(s *v1alpha1.EtcdClusterSpec) {
	s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{}}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		s.PodTemplate.Spec.Tolerations = append(s.PodTemplate.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
			TolerationSeconds: ptr.To[int64](2),
		})
	}
}

func TestAMemberWhoseNodeIsOffForTooLongIsReplacedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3, repairAfter(10*time.Second), evictedSoon))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.leader()
	node := c.nodeOf(victim)
	w.awayFromOperator(node)
	bringBack := w.fail(node)
	c.onlyReplaced(ids, victim)
	if now := c.nodeOf(victim); now == node {
		t.Errorf("%s runs on %s, which is off", victim, now)
	}
	writing.goesOn()
	now := c.ids()
	bringBack()
	w.nodeReady(node)
	c.ready()
	writing.goesOn()
	c.sameMembers(now)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
	c.onlyVolumesOfMembers()
}

func TestAMemberWhoseNodeIsDeletedIsReplacedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.follower()
	node := c.nodeOf(victim)
	w.awayFromOperator(node)
	bringBack := w.fail(node)
	w.kubectl("delete", "node", node)
	c.onlyReplaced(ids, victim)
	now := c.ids()
	bringBack()
	w.nodeReady(node)
	c.ready()
	c.sameMembers(now)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestAnEphemeralMemberInMemoryIsReplacedAfterItsNodeBooted(t *testing.T) {
	w := newWorld(t)
	w.localOnly()
	memory := v1alpha1.EphemeralMemory
	c := w.create("cache", v1alpha1.EtcdClusterSpec{
		Replicas: ptr.To[int32](3), Storage: v1alpha1.StorageSpec{Ephemeral: &v1alpha1.EphemeralStorage{Medium: &memory}},
	})
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.follower()
	node := c.nodeOf(victim)
	w.awayFromOperator(node)
	w.fail(node)()
	c.onlyReplaced(ids, victim)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestAPendingMemberIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3, repairAfter(time.Second)))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.follower()
	node := c.nodeOf(victim)
	w.kubectl("cordon", node)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := w.Run(ctx, w.Kubectl("uncordon", node)...); err != nil {
			t.Errorf("uncordon %s: %v", node, err)
		}
	})
	c.deletePod(victim, 0)
	c.await("waiting until it is reported as not running", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, victim+" is not running: Unschedulable")
	})
	c.remain(ids, 15*time.Second)
	w.kubectl("uncordon", node)
	c.ready()
	c.sameMembers(ids)
	writing.nothingLost()
}

func TestAnOperatorThatIsCutOffFromEtcdRemovesNobody(t *testing.T) {
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3, repairAfter(time.Second)))
	c.ready()
	ids := c.ids()
	writing := c.write()
	operator := w.operatorNode()
	var routes []string
	for name := range ids {
		if pod := c.pod(name); pod.Spec.NodeName != operator {
			routes = append(routes, pod.Status.PodIP+"/32")
		}
	}
	connect := func(ctx context.Context, verb string) error {
		for _, route := range routes {
			if _, err := w.NodeExec(ctx, operator, "ip", "route", verb, "blackhole", route); err != nil {
				return err
			}
		}
		return nil
	}
	w.must(connect(w.ctx, "add"))
	cut := true
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if cut {
			w.must(connect(ctx, "del"))
		}
	})
	c.await("waiting until the operator notices", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, "cannot be reached")
	})
	c.remain(ids, 20*time.Second)
	writing.goesOn()
	w.must(connect(w.ctx, "del"))
	cut = false
	c.ready()
	c.sameMembers(ids)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

// fail cuts the node's power, and returns what brings it back, which is done after the test at the latest.
func (w *world) fail(node string) (bringBack func()) {
	w.t.Helper()
	w.must(w.Node(w.ctx, "kill", node))
	down := true
	bringBack = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.Node(ctx, "start", node); err != nil {
			w.t.Errorf("bring %s back: %v", node, err)
		}
		down = false
	}
	w.t.Cleanup(func() {
		if down {
			bringBack()
		}
		w.nodeReadyAfterwards(node)
	})
	return bringBack
}

func (w *world) nodeReady(node string) {
	w.t.Helper()
	w.eventually("waiting until "+node+" is ready", settle, w.nodeNotReady(node))
}

// nodeReadyAfterwards waits for the node on behalf of the next test.
func (w *world) nodeReadyAfterwards(node string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := framework.Eventually(ctx, w.nodeNotReady(node)); err != nil {
		w.t.Errorf("node %s: %v", node, err)
	}
}

func (w *world) nodeNotReady(node string) func(context.Context) string {
	return func(ctx context.Context) string {
		ready, err := w.Run(ctx, w.Kubectl("get", "node", node, "-o",
			`jsonpath={.status.conditions[?(@.type=="Ready")].status}`)...)
		if err != nil || ready != "True" {
			return fmt.Sprintf("its condition Ready is %q (%v)", ready, err)
		}
		return ""
	}
}

// operatorNode is the node on which the operator that acts runs.
func (w *world) operatorNode() string {
	w.t.Helper()
	pods, err := w.OperatorPods(w.ctx)
	w.must(err)
	if len(pods) != 1 {
		w.t.Skipf("%d operators run: it is not known which one acts", len(pods))
	}
	return pods[0].Spec.NodeName
}

// remain checks for a while that the members stay those that they are.
func (c *cluster) remain(ids map[string]uint64, d time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.sameMembers(ids)
		select {
		case <-c.ctx.Done():
			c.t.Fatal(c.ctx.Err())
		case <-time.After(time.Second):
		}
	}
}
