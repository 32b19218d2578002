//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// left lists the objects of the cluster that exist, by kind.
func (c *cluster) left(ctx context.Context) (map[string][]string, error) {
	left := map[string][]string{}
	for kind, list := range map[string]client.ObjectList{
		"Pod": &corev1.PodList{}, "PersistentVolumeClaim": &corev1.PersistentVolumeClaimList{},
		"Service": &corev1.ServiceList{}, "ConfigMap": &corev1.ConfigMapList{},
		"PodDisruptionBudget": &policyv1.PodDisruptionBudgetList{},
	} {
		err := c.Client.List(ctx, list, client.InNamespace(c.namespace), client.MatchingLabels{resources.LabelCluster: c.key.Name})
		if err != nil {
			return nil, fmt.Errorf("list %ss: %w", kind, err)
		}
		items, err := names(list)
		if err != nil {
			return nil, err
		}
		if len(items) > 0 {
			left[kind] = items
		}
	}
	return left, nil
}

// onlyLeft waits until exactly these kinds of objects of the cluster are left, and so many of each.
func (c *cluster) onlyLeft(want map[string]int) {
	c.t.Helper()
	c.eventually("waiting for the deletion", settle, func(ctx context.Context) string {
		left, err := c.left(ctx)
		if err != nil {
			return err.Error()
		}
		got := map[string]int{}
		for kind, list := range left {
			got[kind] = len(list)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("left are %v, want %v", left, want)
		}
		return ""
	})
}

func TestDeletionWithReclaimPolicyDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, reclaim(v1alpha1.ReclaimDelete)))
	c.ready()
	d := c.fill()
	c.delete()
	c.onlyLeft(map[string]int{})
	c.createAgain(spec(1, reclaim(v1alpha1.ReclaimDelete)))
	c.ready()
	c.empty(d)
}

func TestReclaimPolicyCanBeChangedUntilDeletion(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, reclaim(v1alpha1.ReclaimDelete)))
	c.ready()
	d := c.fill()
	c.edit(reclaim(v1alpha1.ReclaimRetain))
	c.eventually("waiting until nobody owns the volumes", settle, func(ctx context.Context) string {
		claims, err := c.claims(ctx)
		if err != nil {
			return err.Error()
		}
		for name, claim := range claims {
			if len(claim.OwnerReferences) > 0 {
				return fmt.Sprintf("%s is owned by %v", name, claim.OwnerReferences)
			}
		}
		return ""
	})
	// The volumes are released first, the latch last; Ready comes when all are.
	c.ready()
	c.delete()
	c.onlyLeft(map[string]int{"PersistentVolumeClaim": 1, "ConfigMap": 1})
	c.createAgain(spec(1))
	c.ready()
	c.holds(d)
}

func TestARetainedClusterIsResumedAtItsVersionWhateverTheNewSpecSays(t *testing.T) {
	t.Parallel()
	const old = "3.5.35" // another minor than the operator's default
	c := newWorld(t).create("demo", spec(3, version(old)))
	before := c.ready()
	ids := c.ids()
	d := c.fill()
	c.delete()
	c.onlyLeft(map[string]int{"PersistentVolumeClaim": 3, "ConfigMap": 1})

	c.createAgain(spec(1)) // another size, and no version
	after := c.ready()
	if got, want := ptr.Deref(after.Status.ClusterID, ""), ptr.Deref(before.Status.ClusterID, ""); got != want {
		t.Fatalf("the cluster ID is %s, want %s: it was bootstrapped over its own data", got, want)
	}
	if got := ptr.Deref(after.Status.Version, ""); got != old {
		t.Errorf("the version is %s, want %s as before", got, old)
	}
	for name, id := range c.ids() {
		if ids[name] != id {
			t.Errorf("%s is member %x, want %x as before", name, id, ids[name])
		}
	}
	c.holds(d)
	c.onlyVolumesOfMembers()
}

func TestAClusterRecreatedAtOnceResumesOrStartsEmpty(t *testing.T) {
	for _, policy := range []v1alpha1.ReclaimPolicy{v1alpha1.ReclaimRetain, v1alpha1.ReclaimDelete} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(3, reclaim(policy)))
			before := c.ready()
			d := c.fill()
			c.delete()
			c.eventually("creating it again at once", settle, func(ctx context.Context) string {
				err := c.Client.Create(ctx, &v1alpha1.EtcdCluster{
					ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name}, Spec: spec(3, reclaim(policy)),
				})
				if err != nil {
					return err.Error()
				}
				return ""
			})
			after := c.ready()
			resumed := ptr.Deref(after.Status.ClusterID, "") == ptr.Deref(before.Status.ClusterID, "")
			if want := policy == v1alpha1.ReclaimRetain; resumed != want {
				t.Errorf("the old cluster ID is kept: %t, want %t with reclaimPolicy %s", resumed, want, policy)
			}
			if resumed {
				c.holds(d)
			} else {
				c.empty(d)
			}
			c.onlyVolumesOfMembers()
		})
	}
}

// hold keeps deleted volume claims in existence.
const hold = "example.com/hold"

func TestVolumesRetiredByAScaleDownNeverStartAgain(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(5))
	c.ready()
	ids := c.ids()
	w := c.write()
	var retired []string
	for _, member := range []string{"demo-3", "demo-4"} {
		claim := c.volumeOf(c.pod(member))
		c.must(c.Edit(c.ctx, claim, func() { controllerutil.AddFinalizer(claim, hold) }))
		retired = append(retired, claim.Name)
	}
	c.scale(3)
	c.ready()
	w.nothingLost()
	c.eventually("waiting until the volumes are retired", settle, func(ctx context.Context) string {
		claims, err := c.claims(ctx)
		if err != nil {
			return err.Error()
		}
		for _, name := range retired {
			if _, done := claims[name].Annotations[resources.AnnotationRetired]; !done {
				return name + " is not recorded as retired"
			}
		}
		return ""
	})
	more := c.fill()
	c.delete()
	c.onlyLeft(map[string]int{"PersistentVolumeClaim": 5, "ConfigMap": 1})

	c.createAgain(spec(3))
	c.ready()
	c.holds(more)
	now := c.ids()
	for _, member := range []string{"demo-0", "demo-1", "demo-2"} {
		if now[member] != ids[member] {
			t.Errorf("%s is member %x, want %x as before", member, now[member], ids[member])
		}
		if used := c.volumeOf(c.pod(member)); slices.Contains(retired, used.Name) {
			t.Errorf("%s runs on the retired volume %s", member, used.Name)
		}
	}
	for _, name := range retired {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
		err := c.Edit(c.ctx, claim, func() { controllerutil.RemoveFinalizer(claim, hold) })
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	c.scale(5)
	c.ready()
	c.holds(more)
	for _, member := range []string{"demo-3", "demo-4"} {
		if used := c.volumeOf(c.pod(member)); slices.Contains(retired, used.Name) || c.ids()[member] == ids[member] {
			t.Errorf("%s came back as member %x on volume %s, want a new member on a new volume", member, ids[member], used.Name)
		}
	}
}
