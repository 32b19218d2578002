//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// tolerable is the longest time without an acknowledged write that a change may cause which stops no majority: an
// election and a client that tries the next member, on a machine that runs several tests.
const tolerable = 10 * time.Second

func TestAClusterGrowsAndShrinksWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	growAndShrink(t, 1, 3, 5, 3, 1)
}

func TestAClusterGrowsToSevenAndShrinksToOneInOneEdit(t *testing.T) {
	full(t)
	t.Parallel()
	growAndShrink(t, 3, 7, 1)
}

func growAndShrink(t *testing.T, first int, path ...int) {
	t.Helper()
	c := newWorld(t).create("demo", spec(int32(first)))
	before := c.ready()
	w := c.write()
	for _, replicas := range path {
		start := time.Now()
		c.scale(replicas)
		obj := c.ready()
		t.Logf("%d voters after %s", replicas, time.Since(start).Round(100*time.Millisecond))
		if got, want := ptr.Deref(obj.Status.ClusterID, ""), ptr.Deref(before.Status.ClusterID, ""); got != want {
			t.Fatalf("the cluster ID is %s, want %s as before", got, want)
		}
		w.goesOn()
		c.onlyVolumesOfMembers()
	}
	c.isSealed()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// unschedulable keeps new Pods Pending; those that run are left alone.
var unschedulable = map[string]string{"example.com/no-such-node": "true"}

func TestALearnerThatCannotStartIsReportedAndRemovedWhenNoLongerWanted(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.Replicas = ptr.To[int32](5)
		s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{NodeSelector: unschedulable}}
	})
	c.await("waiting until the learner is reported", func(obj *v1alpha1.EtcdCluster) string {
		for _, m := range obj.Status.Members {
			if m.Name == "demo-3" && m.Role == v1alpha1.RoleLearner && ptr.Deref(m.Message, "") != "" {
				return framework.HasCondition(obj, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScalingUp)
			}
		}
		return "no learner demo-3 with a message: " + framework.ShortStatus(obj)
	})
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Replicas, s.PodTemplate = ptr.To[int32](3), nil })
	c.ready()
	c.sameMembers(ids)
	c.onlyVolumesOfMembers()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAScaleUpIsCancelledWhileALearnerJoins(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	w := c.write()
	c.scale(5)
	c.await("waiting until a learner joins", func(obj *v1alpha1.EtcdCluster) string {
		for _, m := range obj.Status.Members {
			if m.Role == v1alpha1.RoleLearner {
				return ""
			}
		}
		return "no learner: " + framework.ShortStatus(obj)
	})
	c.scale(3)
	c.ready()
	c.onlyVolumesOfMembers()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAScaleDownIsCancelledWhileAMemberIsRemoved(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(5))
	c.ready()
	first := c.ids()["demo-0"]
	w := c.write()
	c.scale(1)
	c.await("waiting until the removal of a member goes on", func(obj *v1alpha1.EtcdCluster) string {
		if got := ptr.Deref(obj.Status.Replicas, 5); got == 5 {
			return framework.HasCondition(obj, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScalingDown)
		}
		return ""
	})
	c.scale(5)
	c.ready()
	if got := c.ids()["demo-0"]; got != first {
		t.Errorf("demo-0 is member %x, want %x as before: it was never to be removed first", got, first)
	}
	c.onlyVolumesOfMembers()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// sameMembers checks that etcd lists the very members that it listed before.
func (c *cluster) sameMembers(want map[string]uint64) {
	c.t.Helper()
	if got := c.ids(); fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("etcd lists the members %x, want %x as before", got, want)
	}
}
