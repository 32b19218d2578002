//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// It kills the operator that all tests share: it does not run in parallel with others.
func TestAHibernatedClusterKeepsItsDataAndWakesAsTheSameMembers(t *testing.T) {
	w := newWorld(t)
	c := w.create("demo", spec(3))
	before := c.ready()
	ids := c.ids()
	claims, err := c.claims(c.ctx)
	c.must(err)
	services := c.kept("Service")
	writing := c.write()

	start := time.Now()
	c.hibernate(true)
	c.must(w.KillOperator(w.ctx))
	c.asleep()
	t.Logf("asleep after %s, the operator killed in between", time.Since(start).Round(100*time.Millisecond))
	if got := c.kept("Service"); !slices.Equal(got, services) {
		t.Errorf("asleep there are the Services %v, want %v as before", got, services)
	}
	if got := c.get().Status.Endpoints; !slices.Equal(got, before.Status.Endpoints) {
		t.Errorf("asleep the endpoints are %v, want %v as before", got, before.Status.Endpoints)
	}
	c.restsWithoutWrites(15 * time.Second)
	c.scale(5)
	c.await("waiting until the message tells that the scaling waits", func(obj *v1alpha1.EtcdCluster) string {
		cond := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionProgressing)
		if !strings.Contains(cond.Message, "5 voters are wanted and there are 3") {
			return "it says " + cond.Message
		}
		return ""
	})
	c.scale(3)

	start = time.Now()
	c.hibernate(false)
	c.eventually("waiting for a Pod", settle, func(ctx context.Context) string {
		if pods, err := c.members.Pods(ctx); err != nil || len(pods) == 0 {
			return fmt.Sprintf("there is none (%v)", err)
		}
		return ""
	})
	c.must(w.KillOperator(w.ctx))
	c.ready()
	t.Logf("awake after %s, the operator killed in between", time.Since(start).Round(100*time.Millisecond))
	c.sameMembers(ids)
	after, err := c.claims(c.ctx)
	c.must(err)
	for name, claim := range claims {
		if after[name].UID != claim.UID {
			t.Errorf("claim %s is another one after the sleep", name)
		}
	}
	if got, want := ptr.Deref(c.get().Status.ClusterID, ""), ptr.Deref(before.Status.ClusterID, ""); got != want {
		t.Errorf("the cluster ID is %s, want %s as before", got, want)
	}
	writing.goesOn()
	c.isSealed()
	writing.nothingLost()
}

func TestALearnerThatJoinsIsNotForgottenByHibernation(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	writing := c.write()
	c.scale(5)
	c.await("waiting until a learner joins", func(obj *v1alpha1.EtcdCluster) string {
		if len(obj.Status.Members) < 4 {
			return "no learner: " + framework.ShortStatus(obj)
		}
		return ""
	})
	c.hibernate(true)
	c.asleep()
	c.hibernate(false)
	c.ready()
	now := c.ids()
	for name, id := range ids {
		if now[name] != id {
			t.Errorf("%s is member %x after the sleep, want %x as before", name, now[name], id)
		}
	}
	writing.goesOn()
	c.onlyVolumesOfMembers()
	writing.nothingLost()
}

func TestACreatedClusterThatIsHibernatedFormsFirst(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(true) }))
	c.asleep()
	c.hibernate(false)
	c.ready()
	d := c.fill()
	c.hibernate(true)
	c.asleep()
	// Deleted asleep and created again, it goes on sleeping, and wakes on its data.
	c.onlyLeftAfterDeletion()
	c.createAgain(spec(1, func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(true) }))
	c.asleep()
	c.hibernate(false)
	c.ready()
	c.holds(d)
}

func (c *cluster) onlyLeftAfterDeletion() {
	c.t.Helper()
	c.delete()
	c.onlyLeft(map[string]int{"PersistentVolumeClaim": 1, "ConfigMap": 1})
}

func (c *cluster) hibernate(asleep bool) {
	c.t.Helper()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(asleep) })
}

// asleep waits until the cluster is hibernated: Ready as its spec wants it, not Available, without Pods and budget.
func (c *cluster) asleep() {
	c.t.Helper()
	c.condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonHibernated)
	c.condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonHibernated)
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonHibernated)
	for _, kind := range []string{"Pod", "PodDisruptionBudget"} {
		if got := c.kept(kind); len(got) > 0 {
			c.t.Errorf("asleep there are the %ss %v, want none", kind, got)
		}
	}
}

// kept are the names of the cluster's objects of a kind.
func (c *cluster) kept(kind string) []string {
	c.t.Helper()
	left, err := c.left(c.ctx)
	c.must(err)
	return slices.Sorted(slices.Values(left[kind]))
}

// restsWithoutWrites checks that the operator writes nothing, where the audit log of the local Kubernetes shows it.
func (c *cluster) restsWithoutWrites(rest time.Duration) {
	c.t.Helper()
	if c.Provider != framework.Local {
		return
	}
	rested := time.Now()
	<-time.After(rest)
	if got := c.writes(rested); len(got) > 0 {
		c.t.Errorf("the operator wrote %d times in %s asleep, want never: %v", len(got), rest, got)
	}
}
