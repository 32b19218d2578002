//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// These tests cordon nodes that all tests share: they do not run in parallel with others. The local Kubernetes has
// volumes that stay on their node: an evicted member waits until its node is open again.

// drain evicts the cluster's members from a node, as kubectl does, and cordons it first.
func (c *cluster) drain(ctx context.Context, node string, limit time.Duration) error {
	_, err := c.Run(ctx, c.Kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
		"--pod-selector="+resources.LabelCluster+"="+c.key.Name, fmt.Sprintf("--timeout=%s", limit))...)
	return err
}

// cordon closes the node to new Pods until the end of the test, or open.
func (w *world) cordon(node string) {
	w.t.Helper()
	w.openLater(node)
	_, err := w.Run(w.ctx, w.Kubectl("cordon", node)...)
	w.must(err)
}

func (w *world) open(node string) {
	w.t.Helper()
	_, err := w.Run(w.ctx, w.Kubectl("uncordon", node)...)
	w.must(err)
}

func (w *world) openLater(node string) {
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := w.Run(ctx, w.Kubectl("uncordon", node)...); err != nil {
			w.t.Errorf("open node %s again: %v", node, err)
		}
	})
}

// spread places each member on a node of its own.
func spread(s *v1alpha1.EtcdClusterSpec) {
	s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Affinity: &corev1.Affinity{
		PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey:   corev1.LabelHostname,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{resources.LabelCluster: "demo"}},
		}}},
	}}}
}

func TestTheLeaderLeavesANodeBeforeItIsDrained(t *testing.T) {
	c := newWorld(t).create("demo", spec(3, spread))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.leader()
	pod := c.pod(victim)
	node := pod.Spec.NodeName

	c.cordon(node)
	c.await("waiting until another member leads", func(obj *v1alpha1.EtcdCluster) string {
		if leader := ptr.Deref(obj.Status.Leader, ""); leader == victim || leader == "" {
			return "the leader is " + leader
		}
		return ""
	})
	if now := c.pod(victim); now.UID != pod.UID || now.DeletionTimestamp != nil {
		t.Errorf("the Pod of %s was stopped for a cordon", victim)
	}
	c.must(c.drain(c.ctx, node, time.Minute))
	writing.goesOn()
	for _, m := range c.get().Status.Members {
		if other := c.pod(m.Name); m.Name != victim {
			if err := c.drain(c.ctx, other.Spec.NodeName, 8*time.Second); err == nil {
				t.Errorf("the drain of %s, where %s runs, went through while %s was down", other.Spec.NodeName, m.Name, victim)
			}
			c.open(other.Spec.NodeName)
			break
		}
	}
	writing.goesOn()
	c.open(node)
	c.ready()
	c.sameMembers(ids)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestDrainsOfAllNodesAtOnceNeverCostTheQuorum(t *testing.T) {
	c := newWorld(t).create("demo", spec(3, spread))
	c.ready()
	ids := c.ids()
	writing := c.write()
	done := make(chan drained)
	nodes := map[string]bool{}
	for _, m := range c.get().Status.Members {
		node := ptr.Deref(m.Node, "")
		nodes[node] = true
		c.openLater(node)
		go func() { done <- drained{node, c.drain(c.ctx, node, 4*time.Minute)} }()
	}
	for left := len(nodes); left > 0; left-- {
		first := <-done
		c.must(first.err)
		t.Logf("node %s is drained", first.node)
		select {
		case second := <-done:
			t.Fatalf("node %s was drained as well (%v), before the member of %s was back", second.node, second.err, first.node)
		case <-time.After(8 * time.Second):
		}
		writing.goesOn()
		if left > 1 {
			c.condition(v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonQuorate)
		}
		c.open(first.node)
	}
	c.ready()
	c.sameMembers(ids)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestAnUpgradeGoesOnWhileAllNodesAreDrained(t *testing.T) {
	c := newWorld(t).create("demo", spec(3, spread, version("3.6.16")))
	c.ready()
	ids := c.ids()
	writing := c.write()
	done := make(chan drained)
	nodes := map[string]bool{}
	c.edit(version("3.7.3"))
	for _, m := range c.get().Status.Members {
		node := ptr.Deref(m.Node, "")
		nodes[node] = true
		c.openLater(node)
		go func() { done <- drained{node, c.drain(c.ctx, node, 4*time.Minute)} }()
	}
	for range nodes {
		one := <-done
		c.must(one.err)
		t.Logf("node %s is drained: %v", one.node, c.versions())
		writing.goesOn()
		c.open(one.node)
	}
	c.runs("3.7.3")
	c.sameMembers(ids)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

// versions are those that the members run, as the status has them.
func (c *cluster) versions() map[string]string {
	c.t.Helper()
	versions := map[string]string{}
	for _, m := range c.get().Status.Members {
		versions[m.Name] = ptr.Deref(m.Version, "")
	}
	return versions
}

// drained is how the drain of a node ended.
type drained struct {
	node string
	err  error
}

func TestADrainWhileMembersAreAddedAndRemoved(t *testing.T) {
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	writing := c.write()
	for _, replicas := range []int{5, 3} {
		node := c.pod(c.follower()).Spec.NodeName
		c.openLater(node)
		c.scale(replicas)
		ctx, cancel := context.WithTimeout(c.ctx, 90*time.Second)
		err := c.drain(ctx, node, 40*time.Second)
		cancel()
		t.Logf("the drain of %s while scaling to %d ended: %v", node, replicas, err)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("kubectl drain hangs: %v", err)
		}
		writing.goesOn()
		c.open(node)
		c.ready()
	}
	c.onlyVolumesOfMembers()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestASingleMemberLeavesACordonedNodeWithoutAnInterruption(t *testing.T) {
	c := newWorld(t).create("demo", spec(1))
	before := c.ready()
	writing := c.write()
	pod := c.pod("demo-0")
	c.cordon(pod.Spec.NodeName)
	c.eventually("waiting until the member runs on another node", settle, func(ctx context.Context) string {
		now := c.get()
		if len(now.Status.Members) != 1 || now.Status.Members[0].Name != "demo-0" ||
			ptr.Deref(now.Status.Members[0].Node, pod.Spec.NodeName) == pod.Spec.NodeName {
			return framework.ShortStatus(now)
		}
		return framework.Ready(now)
	})
	c.ready()
	c.must(c.drain(c.ctx, pod.Spec.NodeName, 30*time.Second))
	writing.goesOn()
	if got, want := ptr.Deref(c.get().Status.ClusterID, ""), ptr.Deref(before.Status.ClusterID, ""); got != want {
		t.Errorf("the cluster ID is %s, want %s as before", got, want)
	}
	c.onlyVolumesOfMembers()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}
