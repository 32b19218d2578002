//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

const mebibyte = 1 << 20

// smallLog keeps the write-ahead log small, so that a test can fill a small volume's quota and not the volume.
func smallLog(s *v1alpha1.EtcdClusterSpec) {
	if s.Etcd == nil {
		s.Etcd = &v1alpha1.EtcdOptions{}
	}
	s.Etcd.SnapshotCount = ptr.To[int64](100)
	s.Etcd.ExtraArgs = []v1alpha1.ExtraArg{{Name: "max-wals", Value: "1"}}
}

func TestAFullQuotaIsMendedByVolumesThatGrow(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, volumeSize("512Mi"), smallLog, func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage.MaxSize = ptr.To(resource.MustParse("1Gi"))
	}))
	c.ready()
	w := c.write()
	// The default quota is 40 % of the volume: 204 MiB, and 409 MiB when it has grown.
	c.putAll(250)
	c.volumesHave("1Gi")
	c.ready()
	c.withoutAlarm()
	w.goesOn()
	for member, status := range c.statuses() {
		if want := resources.QuotaBackendBytes(c.get(), 1<<30); status.DbSizeQuota != want {
			t.Errorf("the quota of %s is %d bytes, want %d, 40 %% of 1Gi", member, status.DbSizeQuota, want)
		}
	}
	w.nothingLost()
}

func TestAFullQuotaTellsWhatToDoAndIsMendedByAPermittedCompaction(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, fixedQuota("48Mi")))
	c.ready()
	w := c.write()
	c.putUntilNoSpace(100)
	c.await("waiting until the status tells what to do", func(obj *v1alpha1.EtcdCluster) string {
		if why := framework.HasCondition(
			obj, v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonAlarm); why != "" {
			return why
		}
		return framework.Mentions(obj, v1alpha1.ConditionDegraded, "set maintenance.compactOnNoSpace")
	})
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.Maintenance = &v1alpha1.MaintenanceSpec{CompactOnNoSpace: ptr.To(true), KeepRevisions: ptr.To[int64](2)}
	})
	c.ready()
	c.withoutAlarm()
	w.goesOn()
	for member, status := range c.statuses() {
		if status.DbSize > 24*mebibyte {
			t.Errorf("the database of %s has %d bytes still, want less than half of the quota", member, status.DbSize)
		}
	}
	w.nothingLost()
}

func TestAFragmentedDatabaseIsDefragmentedWithTheLeaderLast(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, func(s *v1alpha1.EtcdClusterSpec) {
		s.Maintenance = &v1alpha1.MaintenanceSpec{Defragmentation: &v1alpha1.Defragmentation{
			MinUnused: ptr.To(resource.MustParse("20Mi")),
		}}
	}))
	leader := ptr.Deref(c.ready().Status.Leader, "")
	w := c.write()
	etcd, err := c.members.Client(c.ctx, "demo-0")
	c.must(err)
	last := int64(0)
	for range 60 {
		r, err := etcd.Put(c.ctx, "/filler", strings.Repeat("x", mebibyte))
		c.must(err)
		last = r.Header.Revision
	}
	_, err = etcd.Compact(c.ctx, last, clientv3.WithCompactPhysical())
	c.must(err)
	c.eventually("waiting until every member is defragmented", settle, func(context.Context) string {
		for member, status := range c.statuses() {
			if status.DbSize > 40*mebibyte {
				return fmt.Sprintf("the database of %s has %d bytes, of which %d are used", member, status.DbSize, status.DbSizeInUse)
			}
		}
		return ""
	})
	obj := c.ready()
	if got := ptr.Deref(obj.Status.Leader, ""); got == leader {
		t.Errorf("%s leads as before, want that another member does: it is moved away before the leader is defragmented", got)
	}
	c.event(v1alpha1.ReasonDefragmenting)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// putUntilNoSpace overwrites a value of 1 MiB until etcd accepts no more; n times are more than enough.
func (c *cluster) putUntilNoSpace(n int) {
	c.t.Helper()
	value := strings.Repeat("x", mebibyte)
	for i := range n {
		member := fmt.Sprintf("demo-%d", i%3)
		etcd, err := c.members.Client(c.ctx, member)
		if err == nil {
			ctx, cancel := c.within(shortly)
			_, err = etcd.Put(ctx, "/filler", value)
			cancel()
		}
		if errors.Is(err, rpctypes.ErrNoSpace) {
			c.t.Logf("the quota is reached after %d writes", i)
			return
		}
		if err != nil {
			c.t.Logf("write %d through %s: %v", i, member, err)
			time.Sleep(time.Second)
		}
	}
	c.t.Fatalf("the quota was not reached with %d writes of 1 MiB", n)
}

// putAll writes n values of 1 MiB to different keys, each again and again until etcd has taken it.
func (c *cluster) putAll(n int) {
	c.t.Helper()
	value, refused := strings.Repeat("x", mebibyte), 0
	for i := range n {
		attempt := 0
		c.eventually(fmt.Sprintf("writing value %d", i), 2*settle, func(ctx context.Context) string {
			attempt++
			etcd, err := c.members.Client(ctx, fmt.Sprintf("demo-%d", (i+attempt)%3))
			if err == nil {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				_, err = etcd.Put(ctx, fmt.Sprintf("/filler/%d", i), value)
				cancel()
			}
			if errors.Is(err, rpctypes.ErrNoSpace) {
				refused++
			}
			if err != nil {
				return err.Error()
			}
			return ""
		})
	}
	c.t.Logf("%d values are written, %d attempts were refused because the quota was reached", n, refused)
}

// withoutAlarm waits until etcd reports no alarm.
func (c *cluster) withoutAlarm() {
	c.t.Helper()
	c.eventually("waiting until the alarm is disarmed", settle, func(context.Context) string {
		for member, status := range c.statuses() {
			if len(status.Errors) > 0 {
				return member + " reports " + strings.Join(status.Errors, "; ") + "\n" + framework.ShortStatus(c.get())
			}
		}
		return ""
	})
}

// statuses are what the members that can be reached say of themselves, by name.
func (c *cluster) statuses() map[string]*clientv3.StatusResponse {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	statuses := map[string]*clientv3.StatusResponse{}
	for i := range pods {
		etcd, err := c.members.ClientOf(c.ctx, &pods[i])
		if err != nil {
			continue
		}
		ctx, cancel := c.within(shortly)
		status, err := etcd.Status(ctx, etcd.Endpoints()[0])
		cancel()
		if err == nil {
			statuses[pods[i].Name] = status
		}
	}
	return statuses
}
