//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// These tests take a node from all: they do not run in parallel with others.

func TestAClusterServesWhileANodeIsDownAndIsWholeAgainAfterwards(t *testing.T) {
	full(t)
	nodeFault(t, "kill", "start", func(c *cluster) string { return c.follower() })
}

func TestAClusterServesWhileTheNodeOfItsLeaderIsCutOff(t *testing.T) {
	full(t)
	nodeFault(t, "partition", "heal", func(c *cluster) string { return c.leader() })
}

func TestAllNodesRebootAndTheSameMembersComeBack(t *testing.T) {
	full(t)
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3))
	c.ready()
	ids, written := c.ids(), c.fill()
	out, err := w.Run(w.ctx, w.Kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")...)
	w.must(err)
	nodes := strings.Fields(out)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, node := range nodes {
			if err := w.Node(ctx, "start", node); err != nil {
				t.Errorf("bring %s back: %v", node, err)
			}
		}
	})
	for _, node := range nodes {
		w.must(w.Node(w.ctx, "kill", node))
	}
	w.eventually("waiting until Kubernetes gives all nodes up", settle, func(ctx context.Context) string {
		states, err := w.Run(ctx, w.Kubectl("get", "nodes", "-o",
			`jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)...)
		if err != nil || strings.Contains(states, "True") {
			return fmt.Sprintf("their conditions Ready are %s (%v)", states, err)
		}
		return ""
	})
	for _, node := range nodes {
		w.must(w.Node(w.ctx, "start", node))
	}
	c.ready()
	c.sameMembers(ids)
	c.holds(written)
	c.onlyVolumesOfMembers()
}

func nodeFault(t *testing.T, fault, remedy string, choose func(*cluster) string) {
	t.Helper()
	w := newWorld(t)
	w.localOnly()
	c := w.create("demo", spec(3))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := choose(c)
	node := c.pod(victim).Spec.NodeName
	w.awayFromOperator(node)

	w.must(w.Node(w.ctx, fault, node))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.Node(ctx, remedy, node); err != nil {
			t.Errorf("bring %s back: %v", node, err)
		}
	})
	c.await("waiting until the loss is reported", func(obj *v1alpha1.EtcdCluster) string {
		if ptr.Deref(obj.Status.Leader, "") == victim {
			return victim + " is still reported as the leader"
		}
		for _, m := range obj.Status.Members {
			if m.Name == victim && m.Health != v1alpha1.HealthHealthy {
				return framework.HasCondition(obj, v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonQuorate)
			}
		}
		return victim + " is not reported unhealthy: " + framework.ShortStatus(obj)
	})
	w.eventually("waiting until Kubernetes gives "+node+" up", settle, func(ctx context.Context) string {
		ready, err := w.Run(ctx, w.Kubectl("get", "node", node, "-o",
			`jsonpath={.status.conditions[?(@.type=="Ready")].status}`)...)
		if err != nil || ready == "True" {
			return fmt.Sprintf("its condition Ready is %s (%v)", ready, err)
		}
		return ""
	})
	writing.goesOn()
	c.sameMembers(ids) // nobody is removed for a failed node

	w.must(w.Node(w.ctx, remedy, node))
	c.ready()
	c.sameMembers(ids)
	record := writing.nothingLost()
	t.Logf("the node of %s failed (%s): no write was acknowledged for at most %s", victim, fault, record.LongestGap)
	writing.gapAtMost(tolerable)
}

// awayFromOperator moves the operator to another node than this one, so that the fault does not hit it too.
func (w *world) awayFromOperator(node string) {
	w.t.Helper()
	w.must(framework.Eventually(w.ctx, func(ctx context.Context) string {
		pods, err := w.OperatorPods(ctx)
		if err != nil {
			return err.Error()
		}
		for _, p := range pods {
			if p.Spec.NodeName == node && p.DeletionTimestamp == nil {
				if _, err := w.Run(ctx, w.Kubectl("cordon", node)...); err != nil {
					return err.Error()
				}
				if err := w.KillOperator(ctx); err != nil {
					return err.Error()
				}
				return "the operator runs on " + node
			}
		}
		if _, err = w.Run(ctx, w.Kubectl("uncordon", node)...); err != nil {
			return err.Error()
		}
		return ""
	}))
}
