//go:build e2e

package e2e

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestMoreCPUThanAnyNodeHasIsReportedAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, cpu("100m")))
	c.ready()
	ids, before := c.ids(), c.incarnations()
	w := c.write()
	c.edit(cpu("4k"))
	obj := c.await("waiting until it is told that no node has so much", func(obj *v1alpha1.EtcdCluster) string {
		if why := framework.HasCondition(
			obj, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonResizing); why != "" {
			return why
		}
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, "no node is known that has so much")
	})
	t.Log(framework.ShortStatus(obj))
	c.staysSo("the members are to run on", 5*time.Second, c.notReady)
	c.staysAsItIs()
	asked := 0
	for name := range before {
		if c.pod(name).Spec.Containers[0].Resources.Requests.Cpu().String() == "4k" {
			asked++
		}
	}
	if asked > 1 { // Kubernetes 1.36 asks nobody: its API server refuses it already
		t.Errorf("%d Pods ask for what no node has, want that it stops at the first", asked)
	}
	w.goesOn()
	c.edit(cpu("150m"))
	c.ready()
	for name, now := range c.incarnations() {
		if now != before[name] {
			t.Errorf("%s was restarted: %+v, before %+v", name, now, before[name])
		}
		p := c.pod(name)
		for _, cond := range p.Status.Conditions {
			if cond.Type == corev1.PodResizePending {
				t.Errorf("the resize of %s is pending still: %s", name, cond.Message)
			}
		}
		if got := p.Status.ContainerStatuses[0].Resources.Requests.Cpu().String(); got != "150m" {
			t.Errorf("%s has %s of cpu, want 150m", name, got)
		}
	}
	c.sameMembers(ids)
	w.nothingLost()
	w.gapAtMost(tolerable)
}
