//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// volumeOf is the claim that a Pod mounts.
func (c *cluster) volumeOf(pod *corev1.Pod) *corev1.PersistentVolumeClaim {
	c.t.Helper()
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			claim := &corev1.PersistentVolumeClaim{}
			c.must(c.Client.Get(c.ctx, client.ObjectKey{Namespace: c.namespace, Name: v.PersistentVolumeClaim.ClaimName}, claim))
			return claim
		}
	}
	c.t.Fatalf("Pod %s mounts no claim", pod.Name)
	return nil
}

func TestADeletedPodComesBackOnItsVolumeAsTheSameMember(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	for name, member := range map[string]string{"a follower": c.follower(), "the leader": c.leader()} {
		old := c.pod(member)
		volume := c.volumeOf(old)
		c.deletePod(member, 30)
		if got := c.volumeOf(c.replaced(old)); got.UID != volume.UID {
			t.Errorf("%s: %s runs on claim %s (%s), want %s (%s) as before", name, member, got.Name, got.UID, volume.Name, volume.UID)
		}
		w.goesOn()
	}
	c.sameMembers(ids)
	c.isSealed()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAForceDeletedLeaderIsFollowedByAnElection(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	old := c.pod(c.leader())
	volume := c.volumeOf(old)
	c.deletePod(old.Name, 0)
	if got := c.volumeOf(c.replaced(old)); got.UID != volume.UID {
		t.Errorf("%s runs on claim %s, want %s as before", old.Name, got.Name, volume.Name)
	}
	w.goesOn()
	c.sameMembers(ids)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAllPodsDeletedAtOnceComeBackWithTheirData(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	for _, p := range pods {
		c.deletePod(p.Name, 0)
	}
	for _, p := range pods {
		c.replaced(&p)
	}
	w.goesOn()
	c.sameMembers(ids)
	w.nothingLost()
}

func TestAKilledEtcdRestartsSealedInItsPod(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3))
	c.ready()
	c.isSealed()
	ids := c.ids()
	w := c.write()
	member := c.leader()
	before := c.pod(member)
	c.must(framework.KillEtcd(before))
	c.restarted(before)
	c.ready()
	w.goesOn()
	c.sameMembers(ids)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// restarted waits until the container of the Pod was started again.
func (c *cluster) restarted(before *corev1.Pod) {
	c.t.Helper()
	c.eventually("waiting until "+before.Name+" restarts", settle, func(ctx context.Context) string {
		pod := &corev1.Pod{}
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(before), pod); err != nil {
			return err.Error()
		}
		if pod.UID != before.UID {
			return "the Pod was replaced, want only its container restarted"
		}
		was, is := before.Status.ContainerStatuses[0], pod.Status.ContainerStatuses[0]
		if is.RestartCount <= was.RestartCount || is.ContainerID == was.ContainerID {
			return fmt.Sprintf("its container was restarted %d times, before %d", is.RestartCount, was.RestartCount)
		}
		return ""
	})
}

func TestAnEphemeralMemberWhosePodIsGoneIsReplaced(t *testing.T) {
	for _, medium := range []v1alpha1.EphemeralMedium{v1alpha1.EphemeralDisk, v1alpha1.EphemeralMemory} {
		t.Run(string(medium), func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("cache", v1alpha1.EtcdClusterSpec{
				Replicas: ptr.To[int32](3),
				Storage:  v1alpha1.StorageSpec{Ephemeral: &v1alpha1.EphemeralStorage{Medium: &medium}},
			})
			c.ready()
			ids := c.ids()
			w := c.write()
			member := c.leader()
			old := c.pod(member)
			c.deletePod(member, 0)
			pod := c.replaced(old)
			w.goesOn()
			now := c.ids()
			for name, id := range ids {
				if name == member && now[name] == id {
					t.Errorf("%s is member %x as before, want a new ID: its data was lost", name, id)
				}
				if name != member && now[name] != id {
					t.Errorf("%s is member %x, want %x as before", name, now[name], id)
				}
			}
			if pod.Annotations[resources.AnnotationInitialClusterState] != "existing" {
				t.Errorf("%s is not sealed", pod.Name)
			}
			w.nothingLost()
			w.gapAtMost(tolerable)
		})
	}
}
