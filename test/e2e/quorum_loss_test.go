//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

func TestAQuorumThatIsLostForEverIsRecoveredByConsentOnly(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	before := c.ready()
	kept := c.fill()
	c.holds(kept)
	survivor := c.follower()
	missing := c.others(survivor)
	former := c.volumeOf(c.pod(survivor))
	c.lose(missing...)
	loss := c.lossOf(survivor, missing)
	c.condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonQuorumLost)
	c.event(v1alpha1.ReasonQuorumLost)

	c.nothingHappens(15 * time.Second)
	c.consent("0123456789abcdef", missing...)
	c.tells("which is not this loss")
	c.nothingHappens(3 * time.Second)
	c.consent(loss.ID)
	c.tells("name them in spec.recovery.confirmMissing")
	c.nothingHappens(3 * time.Second)

	c.consent(loss.ID, missing...)
	c.killOperatorOnce("the recovery is recorded", c.appears(&corev1.ConfigMap{}, resources.RecoveryName("demo", loss.ID)))
	c.killOperatorOnce("the data is salvaged", c.appears(&corev1.Pod{}, resources.SalvageName("demo", loss.ID)))
	after := c.ready()
	if got := ptr.Deref(after.Status.ClusterID, ""); got == ptr.Deref(before.Status.ClusterID, "") {
		t.Errorf("the cluster ID is still %s, want a new one", got)
	}
	if after.Status.QuorumLoss != nil {
		t.Errorf("status.quorumLoss is still %+v, want none", after.Status.QuorumLoss)
	}
	c.holds(kept)
	c.isKeptAside(former)
	c.holds(c.fill())
	c.isTidied()
}

func TestAMissingMemberThatReturnsStopsTheRecovery(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	before := c.ready()
	kept := c.fill()
	c.holds(kept)
	survivor := c.follower()
	missing := c.others(survivor)
	returning := c.volumeOf(c.pod(missing[0]))
	c.retainPersistentVolume(returning)
	c.lose(missing...)
	loss := c.lossOf(survivor, missing)
	// The salvage finds no node, so that the recovery waits.
	nowhere := func(s *v1alpha1.EtcdClusterSpec) {
		s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{NodeSelector: map[string]string{"no": "such-node"}}}
	}
	c.edit(nowhere)
	c.consent(loss.ID, missing...)
	c.eventually("waiting for the salvage", settle, c.appears(&corev1.Pod{}, resources.SalvageName("demo", loss.ID)))
	c.bringBack(returning)
	c.tells("which was missing, is back")

	// Whoever gives the recovery up gets the cluster that was lost: it has its quorum again.
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.PodTemplate, s.Recovery = nil, nil })
	c.kubectl("delete", "pod", resources.SalvageName("demo", loss.ID), "--wait=false")
	c.kubectl("delete", "configmap", resources.RecoveryName("demo", loss.ID))
	c.condition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonQuorate)
	if got := ptr.Deref(c.get().Status.ClusterID, ""); got != ptr.Deref(before.Status.ClusterID, "") {
		t.Errorf("the cluster ID is %s, want %s as before", got, ptr.Deref(before.Status.ClusterID, ""))
	}
	c.deleteVolumesBeside(returning.Annotations[resources.AnnotationToken])
	for name, id := range c.ids() {
		if name == missing[1] {
			// It is lost all the same. Where it is replaced without a person, this comes too late, and fails.
			_, _ = c.tryKubectl("exec", survivor, "--", "etcdctl", "member", "remove", fmt.Sprintf("%x", id))
		}
	}
	c.ready()
	c.holds(kept)
}

func TestAnEphemeralClusterThatIsLostStartsEmptyByConsentOnly(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage = v1alpha1.StorageSpec{Ephemeral: &v1alpha1.EphemeralStorage{}}
	}))
	before := c.ready()
	lost := c.fill()
	names := slices.Sorted(maps.Keys(c.ids()))
	for _, name := range names {
		c.deletePod(name, 0)
	}
	obj := c.await("waiting for status.quorumLoss", func(obj *v1alpha1.EtcdCluster) string {
		if obj.Status.QuorumLoss == nil {
			return "there is none: " + framework.ShortStatus(obj)
		}
		return ""
	})
	loss := obj.Status.QuorumLoss
	if loss.Chosen != nil || len(loss.Survivors) > 0 || len(loss.Missing) != 3 || !strings.HasPrefix(loss.MayBeLost, "everything") {
		t.Errorf("the loss is %+v, want that nothing is left", loss)
	}
	c.nothingHappens(10 * time.Second)
	c.consent(loss.ID, names...)
	after := c.ready()
	if got := ptr.Deref(after.Status.ClusterID, ""); got == ptr.Deref(before.Status.ClusterID, "") {
		t.Errorf("the cluster ID is still %s, want a new one", got)
	}
	c.empty(lost)
	c.holds(c.fill())
}
