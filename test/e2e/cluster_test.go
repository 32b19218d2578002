//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// settle is how long a cluster may take to become as its spec wants it, on a machine that runs several tests.
const settle = 2 * time.Minute

// cluster is one EtcdCluster of a test.
type cluster struct {
	*world
	key     types.NamespacedName
	members *framework.Members
}

// spec of a cluster with so many members on small volumes, changed as asked.
func spec(replicas int32, changes ...func(*v1alpha1.EtcdClusterSpec)) v1alpha1.EtcdClusterSpec {
	s := v1alpha1.EtcdClusterSpec{
		Replicas: &replicas,
		Storage:  v1alpha1.StorageSpec{Size: ptr.To(resource.MustParse("1Gi"))},
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func reclaim(policy v1alpha1.ReclaimPolicy) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Storage.ReclaimPolicy = &policy }
}

func version(v string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Version = &v }
}

// create creates an EtcdCluster; it waits for nothing.
func (w *world) create(name string, s v1alpha1.EtcdClusterSpec) *cluster {
	w.t.Helper()
	c := &cluster{world: w, key: types.NamespacedName{Namespace: w.namespace, Name: name}}
	c.members = w.Members(c.key)
	w.t.Cleanup(c.members.Close)
	c.createAgain(s)
	return c
}

// createAgain creates the EtcdCluster under the name that it had.
func (c *cluster) createAgain(s v1alpha1.EtcdClusterSpec) {
	c.t.Helper()
	c.must(c.Client.Create(c.ctx, &v1alpha1.EtcdCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name}, Spec: s,
	}))
}

func (c *cluster) get() *v1alpha1.EtcdCluster {
	c.t.Helper()
	obj := &v1alpha1.EtcdCluster{}
	c.must(c.Client.Get(c.ctx, c.key, obj))
	return obj
}

// delete deletes the EtcdCluster; it does not wait.
func (c *cluster) delete() *v1alpha1.EtcdCluster {
	c.t.Helper()
	obj := c.get()
	c.must(c.Client.Delete(c.ctx, obj))
	return obj
}

// edit changes the spec as a person would.
func (c *cluster) edit(change func(*v1alpha1.EtcdClusterSpec)) {
	c.t.Helper()
	obj := &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name}}
	c.must(c.Edit(c.ctx, obj, func() { change(&obj.Spec) }))
}

// scale sets the number of members as kubectl scale does.
func (c *cluster) scale(replicas int) {
	c.t.Helper()
	c.kubectl("scale", "etcd", c.key.Name, fmt.Sprintf("--replicas=%d", replicas))
}

// await waits until check finds the EtcdCluster as it should be.
func (c *cluster) await(what string, check func(*v1alpha1.EtcdCluster) string) *v1alpha1.EtcdCluster {
	c.t.Helper()
	ctx, cancel := c.within(settle)
	defer cancel()
	obj, err := c.AwaitCluster(ctx, c.key, check)
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	return obj
}

// ready waits until the cluster is as its spec wants it, and etcd itself lists nothing but that many voters.
func (c *cluster) ready() *v1alpha1.EtcdCluster {
	c.t.Helper()
	c.await("waiting until the cluster is Ready", framework.Ready)
	c.eventually("waiting until the Pods of all members are ready", settle, c.notReady)
	obj := c.await("waiting until the cluster is Ready", framework.Ready)
	list, err := c.members.Listed(c.ctx)
	c.must(err)
	want := int(ptr.Deref(obj.Spec.Replicas, 3))
	if len(list.Members) != want {
		c.t.Fatalf("the cluster is Ready, but etcd lists %d members, want %d: %v", len(list.Members), want, list.Members)
	}
	for _, m := range list.Members {
		if m.IsLearner {
			c.t.Fatalf("the cluster is Ready, but etcd lists a learner: %v", m)
		}
	}
	return obj
}

// notReady names a member whose Pod is not ready. Right after a Pod was lost the status may still be from before.
func (c *cluster) notReady(ctx context.Context) string {
	pods, err := c.members.Pods(ctx)
	if err != nil {
		return err.Error()
	}
	ready := map[string]bool{}
	for i := range pods {
		ready[pods[i].Name] = framework.PodReady(&pods[i]) && pods[i].DeletionTimestamp == nil
	}
	for _, m := range c.get().Status.Members {
		if !ready[m.Name] {
			return "the Pod of " + m.Name + " is not ready"
		}
	}
	return ""
}

// condition waits until the condition has this status and reason.
func (c *cluster) condition(kind string, status metav1.ConditionStatus, reason string) *v1alpha1.EtcdCluster {
	c.t.Helper()
	return c.await("waiting for a condition", func(obj *v1alpha1.EtcdCluster) string {
		return framework.HasCondition(obj, kind, status, reason)
	})
}

// ids are the member IDs as etcd lists them, by member name.
func (c *cluster) ids() map[string]uint64 {
	c.t.Helper()
	list, err := c.members.Listed(c.ctx)
	c.must(err)
	ids := map[string]uint64{}
	for _, m := range list.Members {
		ids[m.Name] = m.ID
	}
	return ids
}

func (c *cluster) pod(member string) *corev1.Pod {
	c.t.Helper()
	pod := &corev1.Pod{}
	c.must(c.Client.Get(c.ctx, client.ObjectKey{Namespace: c.namespace, Name: member}, pod))
	return pod
}

// claims are the volume claims of the cluster, by name.
func (c *cluster) claims(ctx context.Context) (map[string]corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	err := c.Client.List(ctx, &list, client.InNamespace(c.namespace), client.MatchingLabels{resources.LabelCluster: c.key.Name})
	if err != nil {
		return nil, fmt.Errorf("list the volume claims: %w", err)
	}
	claims := map[string]corev1.PersistentVolumeClaim{}
	for _, item := range list.Items {
		claims[item.Name] = item
	}
	return claims, nil
}

// onlyVolumesOfMembers waits until the only volumes left are those that the status names, one for each member.
func (c *cluster) onlyVolumesOfMembers() {
	c.t.Helper()
	c.eventually("waiting until retired volumes are gone", settle, func(ctx context.Context) string {
		claims, err := c.claims(ctx)
		if err != nil {
			return err.Error()
		}
		var want []string
		for _, m := range c.get().Status.Members {
			want = append(want, ptr.Deref(m.Volume, ""))
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
			return fmt.Sprintf("the volume claims are %v, want those of the members: %v", got, want)
		}
		return ""
	})
}

// leader is the name of the member that leads, as the status has it.
func (c *cluster) leader() string {
	c.t.Helper()
	leader := ptr.Deref(c.get().Status.Leader, "")
	if leader == "" {
		c.t.Fatal("the status names no leader: " + framework.ShortStatus(c.get()))
	}
	return leader
}

// follower is the name of a member that does not lead.
func (c *cluster) follower() string {
	c.t.Helper()
	obj := c.get()
	for _, m := range slices.Backward(obj.Status.Members) {
		if m.Name != ptr.Deref(obj.Status.Leader, "") && m.Role == v1alpha1.RoleVoter {
			return m.Name
		}
	}
	c.t.Fatal("there is no follower: " + framework.ShortStatus(obj))
	return ""
}

// deletePod deletes a member's Pod; grace 0 does so by force.
func (c *cluster) deletePod(member string, grace int64) {
	c.t.Helper()
	pod := c.pod(member)
	options := []client.DeleteOption{client.Preconditions{UID: &pod.UID}}
	if grace == 0 {
		options = append(options, client.GracePeriodSeconds(0))
	}
	c.must(c.Client.Delete(c.ctx, pod, options...))
}

// replaced waits until the member runs in another Pod than this one and all is Ready; it returns that Pod.
func (c *cluster) replaced(old *corev1.Pod) *corev1.Pod {
	c.t.Helper()
	c.eventually("waiting for a new Pod "+old.Name, settle, func(ctx context.Context) string {
		pod := &corev1.Pod{}
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(old), pod); err != nil {
			return err.Error()
		}
		if pod.UID == old.UID {
			return "the old Pod is still there"
		}
		// The condition of the cluster may still be from before the deletion.
		if !framework.PodReady(pod) {
			return "the new Pod is not ready"
		}
		return ""
	})
	c.ready()
	return c.pod(old.Name)
}

// etcdctl runs etcdctl in a member's Pod.
func (c *cluster) etcdctl(member string, args ...string) string {
	c.t.Helper()
	return c.kubectl(append([]string{"exec", member, "--", "etcdctl"}, args...)...)
}
