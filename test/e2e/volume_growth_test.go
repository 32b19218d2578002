//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// fixedQuota is one that does not follow the volumes, so that their growth restarts no member.
func fixedQuota(size string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		s.Etcd = &v1alpha1.EtcdOptions{QuotaBackendBytes: ptr.To(resource.MustParse(size))}
	}
}

func volumeSize(size string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Storage.Size = ptr.To(resource.MustParse(size)) }
}

func TestVolumesAreExpandedByAnEditAlsoThatOfAMemberWithoutAPod(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, fixedQuota("64Mi")))
	c.ready()
	pods := c.podUIDs()
	w := c.write()
	c.edit(volumeSize("1200Mi"))
	c.volumesHave("1200Mi")
	c.ready()
	if got := c.podUIDs(); fmt.Sprint(got) != fmt.Sprint(pods) {
		t.Errorf("the Pods are %v, want %v as before: an expansion is online", got, pods)
	}
	c.event(v1alpha1.ReasonVolumeGrowing)
	w.goesOn()

	// A quota for Pods keeps the one that is lost from being created again.
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "no-more-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}},
	}
	c.must(c.Client.Create(c.ctx, quota))
	c.eventually("waiting until the quota is in force", settle, func(ctx context.Context) string {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return err.Error()
		}
		if len(quota.Status.Hard) == 0 {
			return "it was not seen yet"
		}
		return ""
	})
	c.must(c.Client.Delete(c.ctx, c.pod("demo-1")))
	c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonActionFailed)
	c.edit(volumeSize("1400Mi"))
	c.volumesHave("1400Mi")
	c.must(c.Client.Delete(c.ctx, quota))
	c.ready()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAnExpansionThatTheStorageClassRefusesIsToldAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localOnly() // its storage class "retained" does not permit expansions
	c := w.create("demo", spec(1, fixedQuota("64Mi"), reclaim(v1alpha1.ReclaimDelete), func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage.StorageClassName = ptr.To("retained")
	}))
	c.ready()
	data := c.fill()
	c.edit(volumeSize("2Gi"))
	c.await("waiting until the refusal is told", func(obj *v1alpha1.EtcdCluster) string {
		if why := framework.HasCondition(
			obj, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonVolumeGrowthRefused); why != "" {
			return why
		}
		return framework.Mentions(obj, v1alpha1.ConditionReady, "set storage.size back to 1Gi")
	})
	c.edit(volumeSize("1Gi"))
	c.ready()
	c.holds(data)
}

func TestAnExpansionThatTheProviderCannotGiveIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localOnly() // whose volumes have 1Ti at most
	c := w.create("demo", spec(3, fixedQuota("64Mi")))
	c.ready()
	writer := c.write()
	c.edit(volumeSize("2Ti"))
	c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonVolumeGrowthRefused)
	c.edit(volumeSize("1100Mi"))
	c.volumesHave("1100Mi")
	c.ready()
	writer.nothingLost()
	writer.gapAtMost(tolerable)
}

// podUIDs are the UIDs of the member Pods by name.
func (c *cluster) podUIDs() map[string]string {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	uids := map[string]string{}
	for i := range pods {
		uids[pods[i].Name] = string(pods[i].UID)
	}
	return uids
}

// volumesHave waits until every volume has the size: in its claim's status and, where it can be seen, on the disk.
func (c *cluster) volumesHave(size string) {
	c.t.Helper()
	want := resource.MustParse(size)
	c.eventually("waiting until all volumes have "+size, settle, func(ctx context.Context) string {
		claims, err := c.claims(ctx)
		if err != nil {
			return err.Error()
		}
		var small []string
		for _, claim := range claims {
			if got := claim.Status.Capacity.Storage(); got.Cmp(want) != 0 {
				small = append(small, fmt.Sprintf("%s has %s", claim.Name, got))
			}
		}
		return strings.Join(small, ", ")
	})
	if c.Provider != framework.Local {
		return
	}
	claims, err := c.claims(c.ctx)
	c.must(err)
	for _, claim := range claims {
		pv := &corev1.PersistentVolume{}
		c.must(c.Client.Get(c.ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv))
		var fs syscall.Statfs_t
		c.must(syscall.Statfs(pv.Spec.Local.Path, &fs))
		// A file system takes some of its device for itself.
		if got := int64(fs.Blocks) * fs.Bsize; got < want.Value()/100*85 {
			c.t.Errorf("the file system of %s has %d bytes, want nearly %d", claim.Name, got, want.Value())
		}
	}
}

// shortly is long enough for what needs neither an expansion nor a restart.
const shortly = 30 * time.Second
