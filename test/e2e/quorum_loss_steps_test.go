//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// deleteVolumesBeside deletes the claims that were not made for the cluster of this token.
func (c *cluster) deleteVolumesBeside(token string) {
	c.t.Helper()
	claims, err := c.claims(c.ctx)
	c.must(err)
	for _, claim := range claims {
		if claim.Annotations[resources.AnnotationToken] != token {
			c.must(c.Client.Delete(c.ctx, &claim))
		}
	}
}

func TestABadImageOnAllMembersLosesNothing(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids, kept := c.ids(), c.fill()
	image := func(repository *string) func(*v1alpha1.EtcdClusterSpec) {
		return func(s *v1alpha1.EtcdClusterSpec) { s.Image = &v1alpha1.ImageSpec{Repository: repository} }
	}
	c.edit(image(ptr.To("quorate.dev/no-such-image")))
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	for _, p := range pods {
		c.deletePod(p.Name, 0)
	}
	obj := c.condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonQuorumLost)
	if obj.Status.QuorumLoss != nil {
		t.Errorf("with all volumes there, status.quorumLoss is %+v, want none", obj.Status.QuorumLoss)
	}
	c.edit(image(nil))
	c.ready()
	c.sameMembers(ids)
	c.holds(kept)
}

// others are the names of the members beside this one, in order.
func (c *cluster) others(than string) []string {
	c.t.Helper()
	var names []string
	for name := range c.ids() {
		if name != than {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lose deletes the claims of members, and then their Pods, so that the volumes go for good. The operator looks away
// meanwhile: it is quick enough to replace the first one before the second is gone.
func (c *cluster) lose(members ...string) {
	c.t.Helper()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) })
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPaused)
	defer c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = nil })
	for _, name := range members {
		c.must(c.Client.Delete(c.ctx, c.volumeOf(c.pod(name))))
	}
	for _, name := range members {
		c.deletePod(name, 0)
	}
}

// lossOf waits until the status tells the loss, and checks its evidence.
func (c *cluster) lossOf(survivor string, missing []string) v1alpha1.QuorumLossStatus {
	c.t.Helper()
	obj := c.await("waiting for status.quorumLoss", func(obj *v1alpha1.EtcdCluster) string {
		if obj.Status.QuorumLoss == nil {
			return "there is none: " + framework.ShortStatus(obj)
		}
		return ""
	})
	loss := *obj.Status.QuorumLoss
	var names []string
	for _, m := range loss.Missing {
		names = append(names, m.Name)
		if m.Reason == "" || ptr.Deref(m.Fenced, true) {
			c.t.Errorf("%s is missing because of %q, fenced %t; want a reason, and that its node is not known to be gone",
				m.Name, m.Reason, ptr.Deref(m.Fenced, true))
		}
	}
	if !slices.Equal(names, missing) || ptr.Deref(loss.Chosen, "") != survivor || len(loss.Survivors) != 1 {
		c.t.Fatalf("the loss is %+v, want %v missing and %s chosen", loss, missing, survivor)
	}
	s := loss.Survivors[0]
	if s.Name != survivor || *s.Term < 1 || *s.Index < 50 || *s.Index < *s.Committed || len(loss.Plan) < 3 || loss.MayBeLost == "" {
		c.t.Errorf("the evidence is %+v, plan %q, lost may be %q: not what the survivor's log has", s, loss.Plan, loss.MayBeLost)
	}
	return loss
}

func (c *cluster) consent(id string, confirm ...string) {
	c.t.Helper()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.Recovery = &v1alpha1.RecoverySpec{QuorumLossID: id, ConfirmMissing: confirm}
	})
}

// tells waits until the cluster says so.
func (c *cluster) tells(what string) {
	c.t.Helper()
	c.await("waiting until it is told that "+what, func(obj *v1alpha1.EtcdCluster) string {
		for _, cond := range obj.Status.Conditions {
			if cond.Type == v1alpha1.ConditionProgressing && strings.Contains(cond.Message, what) &&
				cond.ObservedGeneration == obj.Generation {
				return ""
			}
		}
		return framework.ShortStatus(obj)
	})
}

// nothingHappens watches for a while that no member Pod and no volume comes, goes or changes its identity.
func (c *cluster) nothingHappens(d time.Duration) {
	c.t.Helper()
	look := func() map[string]types.UID {
		seen := map[string]types.UID{}
		pods, err := c.members.Pods(c.ctx)
		c.must(err)
		for _, p := range pods {
			seen["Pod "+p.Name] = p.UID
			if p.DeletionTimestamp != nil {
				c.t.Errorf("Pod %s is being deleted without consent", p.Name)
			}
		}
		claims, err := c.claims(c.ctx)
		c.must(err)
		for name, claim := range claims {
			seen["claim "+name] = claim.UID
		}
		return seen
	}
	before := look()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		if now := look(); fmt.Sprint(now) != fmt.Sprint(before) {
			c.t.Fatalf("without consent %v became %v", before, now)
		}
	}
}

// appears tells whether an object of the namespace is there.
func (c *cluster) appears(obj client.Object, name string) func(context.Context) string {
	return func(ctx context.Context) string {
		if err := c.Client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, obj); err != nil {
			return err.Error()
		}
		return ""
	}
}

func (c *cluster) killOperatorOnce(when string, check func(context.Context) string) {
	c.t.Helper()
	c.eventually("waiting until "+when, settle, check)
	c.must(c.KillOperator(c.ctx))
}

// isKeptAside checks that a volume of the lost cluster is there as it was, and is not used.
func (c *cluster) isKeptAside(volume *corev1.PersistentVolumeClaim) {
	c.t.Helper()
	claims, err := c.claims(c.ctx)
	c.must(err)
	now, found := claims[volume.Name]
	if !found || now.UID != volume.UID || now.Spec.VolumeName != volume.Spec.VolumeName || now.DeletionTimestamp != nil {
		c.t.Errorf("claim %s is %+v, want it kept as it was", volume.Name, now.ObjectMeta)
	}
	if now.Annotations[resources.AnnotationRetired] != "true" {
		c.t.Errorf("claim %s is not marked as retired: %v", volume.Name, now.Annotations)
	}
	for _, m := range c.get().Status.Members {
		if ptr.Deref(m.Volume, "") == volume.Name {
			c.t.Errorf("%s runs on claim %s of the lost cluster", m.Name, volume.Name)
		}
	}
}

// isTidied waits until the Pods of the recovery are gone.
func (c *cluster) isTidied() {
	c.t.Helper()
	c.eventually("waiting until the Pods of the recovery are gone", settle, func(ctx context.Context) string {
		var pods corev1.PodList
		if err := c.Client.List(ctx, &pods, client.InNamespace(c.namespace)); err != nil {
			return err.Error()
		}
		for _, p := range pods.Items {
			if p.Labels[resources.ComponentLabel] != resources.ComponentMember {
				return "Pod " + p.Name + " is there"
			}
		}
		return ""
	})
}

// retainPersistentVolume keeps what the claim is bound to when the claim goes.
func (c *cluster) retainPersistentVolume(claim *corev1.PersistentVolumeClaim) {
	c.t.Helper()
	c.kubectl("patch", "pv", claim.Spec.VolumeName, "--type=merge",
		"--patch", `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`)
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName}}
		if err := client.IgnoreNotFound(c.Client.Delete(ctx, pv)); err != nil {
			c.t.Errorf("remove PersistentVolume %s: %v", pv.Name, err)
		}
	})
}

// bringBack makes a claim again that is bound to the PersistentVolume that it had.
func (c *cluster) bringBack(claim *corev1.PersistentVolumeClaim) {
	c.t.Helper()
	c.kubectl("patch", "pv", claim.Spec.VolumeName, "--type=merge", "--patch", `{"spec":{"claimRef":null}}`)
	again := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.Name, Labels: claim.Labels, Annotations: map[string]string{},
		},
		Spec: claim.Spec,
	}
	for key, value := range claim.Annotations {
		if strings.HasPrefix(key, "quorate.dev/") {
			again.Annotations[key] = value
		}
	}
	c.must(c.Client.Create(c.ctx, again))
}
