//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// anotherClass makes a storage class like the default one, for the time of the test.
func (w *world) anotherClass() string {
	w.t.Helper()
	var list storagev1.StorageClassList
	w.must(w.Client.List(w.ctx, &list))
	for _, class := range list.Items {
		if class.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" {
			continue
		}
		other := class.DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{Name: "another-" + w.namespace}
		w.must(w.Client.Create(w.ctx, other))
		w.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := w.Client.Delete(ctx, other); err != nil {
				w.t.Errorf("delete the storage class: %v", err)
			}
		})
		return other.Name
	}
	w.t.Fatal("there is no default StorageClass")
	return ""
}

func storageClass(name string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = &name }
}

func TestAClusterMovesToAnotherStorageClassWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	moveToAnotherClass(t, 3)
}

func TestASingleMemberMovesToAnotherStorageClassWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	moveToAnotherClass(t, 1)
}

func moveToAnotherClass(t *testing.T, replicas int32) {
	t.Helper()
	c := newWorld(t).create("demo", spec(replicas))
	class := c.anotherClass()
	c.movesBy(storageClass(class))
	claims, err := c.claims(c.ctx)
	c.must(err)
	for name, claim := range claims {
		if got := ptr.Deref(claim.Spec.StorageClassName, ""); got != class {
			t.Errorf("claim %s is of class %s, want %s", name, got, class)
		}
	}
}

func TestAClusterMovesToSmallerVolumesWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, volumeSize("1Gi")))
	c.movesBy(volumeSize("800Mi"))
	c.volumesHave("800Mi")
}

func TestVolumesOnWhichTheDataWouldNotFitAreKeptAndThatIsTold(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, volumeSize("1Gi"), fixedQuota("40Mi")))
	c.ready()
	ids := c.ids()
	c.putAll(24)
	c.edit(volumeSize("800Mi"))
	c.await("waiting until it is told that the data has to shrink first", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, "the volumes have 1Gi and storage.size asks for 800Mi")
	})
	c.sameMembers(ids)
	c.volumesHave("1Gi")
}

// movesBy edits the spec of a cluster that is being written to, and expects that new members have taken all places.
func (c *cluster) movesBy(edit func(*v1alpha1.EtcdClusterSpec)) {
	c.t.Helper()
	before := c.ready()
	ids := c.ids()
	services := c.memberServices()
	writing := c.write()

	start := time.Now()
	c.edit(edit)
	after := c.ready()
	c.t.Logf("%d members moved in %s", len(ids), time.Since(start).Round(100*time.Millisecond))
	now := c.ids()
	if got, want := slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(ids)); !slices.Equal(got, want) {
		c.t.Errorf("the members are %v, want %v as before", got, want)
	}
	for name, id := range now {
		if ids[name] == id {
			c.t.Errorf("%s is member %x still: it did not move", name, id)
		}
	}
	if !slices.Equal(after.Status.Endpoints, before.Status.Endpoints) {
		c.t.Errorf("the endpoints are %v, want %v as before", after.Status.Endpoints, before.Status.Endpoints)
	}
	if got := c.memberServices(); fmt.Sprint(got) != fmt.Sprint(services) {
		c.t.Errorf("the Services of the members are %v, want %v as before", got, services)
	}
	c.onlyVolumesOfMembers()
	c.isSealed()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

// memberServices are the UIDs of the Services by which clients know the members, by name.
func (c *cluster) memberServices() map[string]string {
	c.t.Helper()
	var list corev1.ServiceList
	c.must(c.Client.List(c.ctx, &list, client.InNamespace(c.namespace), client.MatchingLabels{
		resources.LabelCluster: c.key.Name, resources.ComponentLabel: resources.ComponentMemberService,
	}))
	uids := map[string]string{}
	for _, s := range list.Items {
		uids[s.Name] = string(s.UID)
	}
	return uids
}

func TestAMoveToAStorageClassThatDoesNotExistIsReportedAndEndsWithTheEdit(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	writing := c.write()
	c.edit(storageClass("there-is-none"))
	c.await("waiting until it is told what is missing", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, `of storage class "there-is-none" yet`)
	})
	t.Log(framework.ShortStatus(c.get()))
	writing.goesOn()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = nil })
	c.ready()
	c.sameMembers(ids)
	c.onlyVolumesOfMembers()
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

func TestAMemberIsMovedWhenTheSpecNoLongerAdmitsTheNodeOfItsVolume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localOnly() // where volumes stay on their nodes
	c := w.create("demo", spec(3))
	c.ready()
	ids := c.ids()
	writing := c.write()
	victim := c.follower()
	node := c.pod(victim).Spec.NodeName
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: notOn(node)}}}
	})
	c.eventually("waiting until the member is moved", settle, func(ctx context.Context) string {
		list, err := c.members.Listed(ctx)
		if err != nil {
			return err.Error()
		}
		for _, m := range list.Members {
			if m.Name == victim && m.ID != ids[victim] && !m.IsLearner && len(list.Members) == 3 {
				return ""
			}
		}
		return fmt.Sprintf("etcd lists %v: %s", list.Members, framework.ShortStatus(c.get()))
	})
	if now := c.pod(victim).Spec.NodeName; now == node {
		t.Errorf("%s is on node %s still, which the spec does not admit", victim, node)
	}
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

// notOn admits all nodes but one.
func notOn(node string) *corev1.NodeAffinity {
	return &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpNotIn, Values: []string{node}},
		}}},
	}}
}
