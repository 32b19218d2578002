//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// The volumes of the local Kubernetes are file systems of exactly their size, so that one can really be full.
func TestAMemberWhoseVolumeIsFullComesBackOnItsDataWhenTheVolumeMayGrow(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	// A member that crashed on its data would be replaced after a second.
	c := world.create("demo", spec(3, volumeSize("512Mi"), fixedQuota("128Mi"), repairAfter(time.Second)))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.follower())
	volume := c.volumeOf(victim)
	c.fillUp(victim)
	w.untilFull(victim)
	obj := c.await("waiting until it is told what to do", func(obj *v1alpha1.EtcdCluster) string {
		if why := framework.Mentions(obj, v1alpha1.ConditionProgressing, victim.Name+" stopped because its volume is full"); why != "" {
			return why
		}
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, "set storage.maxSize")
	})
	if why := framework.HasCondition(obj, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonVolumeFull); why != "" {
		t.Error(why)
	}
	c.sameMembers(ids)
	w.goesOn()

	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Storage.MaxSize = new(resource.MustParse("2Gi")) })
	c.volumesHave("2Gi")
	c.ready()
	c.event(v1alpha1.ReasonVolumeGrowing)
	c.sameMembers(ids)
	if now := c.volumeOf(c.pod(victim.Name)); now.UID != volume.UID {
		t.Errorf("%s runs on the claim %s, want %s as before", victim.Name, now.Name, volume.Name)
	}
	c.onlyVolumesOfMembers()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// fillUp writes a file that leaves no block of the member's volume free.
func (c *cluster) fillUp(pod *corev1.Pod) {
	c.t.Helper()
	path := c.pathOf(pod)
	file, err := os.Create(filepath.Join(path, "ballast"))
	c.must(err)
	defer func() { c.must(file.Close()) }()
	for _, size := range []int{mebibyte, 4096} {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = file.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			c.t.Fatalf("fill %s: %v", path, err)
		}
	}
	c.must(file.Sync())
}

// untilFull writes more than the databases have room for, until etcd of the member with the full volume has ended.
func (w *writing) untilFull(victim *corev1.Pod) {
	w.t.Helper()
	value, n := strings.Repeat("x", mebibyte/2), 0
	w.eventually("waiting until etcd of "+victim.Name+" ends", settle, func(ctx context.Context) string {
		if s := w.pod(victim.Name).Status.ContainerStatuses[0]; s.RestartCount > victim.Status.ContainerStatuses[0].RestartCount {
			w.t.Logf("%s ended after %d values: %.300s", victim.Name, n, s.LastTerminationState.Terminated.Message)
			return ""
		}
		if n++; n > 100 {
			return "100 values are written and it runs on"
		}
		etcd, err := w.members.Client(ctx, w.memberBeside(victim.Name))
		if err == nil {
			_, err = etcd.Put(ctx, fmt.Sprintf("/filler/%d", n), value)
		}
		if err != nil {
			return err.Error()
		}
		return "it runs still"
	})
}
