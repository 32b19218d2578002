//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// repairAfter sets how long a member that may come back is waited for.
func repairAfter(d time.Duration) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		s.Repair = &v1alpha1.RepairSpec{After: &metav1.Duration{Duration: d}}
	}
}

func repairManually(s *v1alpha1.EtcdClusterSpec) {
	s.Repair = &v1alpha1.RepairSpec{Mode: ptr.To(v1alpha1.RepairManual), After: &metav1.Duration{Duration: time.Second}}
}

func TestAMemberWhoseVolumeIsGoneIsReplacedInItsSlot(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.leader()
	c.loseVolumes(victim)
	c.onlyReplaced(ids, victim)
	c.isSealed()
	w.nothingLost()
	w.gapAtMost(tolerable)
	c.onlyVolumesOfMembers()
}

func TestTwoOfFiveLostMembersAreReplacedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(5))
	c.ready()
	ids := c.ids()
	w := c.write()
	victims := []string{"demo-1", "demo-3"}
	c.loseVolumes(victims...)
	c.onlyReplaced(ids, victims...)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestARunningMemberWhoseClaimIsDeletedIsMovedBeforeItStops(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.leader())
	fewest := c.fewestVoters()
	c.must(c.Client.Delete(c.ctx, c.volumeOf(victim)))
	c.onlyReplaced(ids, victim.Name)
	if n := fewest(); n < 3 {
		t.Errorf("etcd listed %d voters meanwhile, want never fewer than 3: the new member comes first", n)
	}
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestALostMemberIsOnlyReportedWhereRepairIsManualUntilAPersonAsks(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3, repairManually))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.follower())
	c.wipe(victim)
	c.must(framework.KillEtcd(victim))
	obj := c.condition(v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonVolumeWiped)
	c.event(v1alpha1.ReasonVolumeWiped)
	w.goesOn()
	c.sameMembers(ids)
	for _, m := range obj.Status.Members {
		want := v1alpha1.HealthHealthy
		if m.Name == victim.Name {
			want = v1alpha1.HealthUnhealthy
		}
		if m.Health != want {
			t.Errorf("%s is reported %s (%v), want %s", m.Name, m.Health, m.Message, want)
		}
	}
	// A name would act again and again: it is refused, with the ID to use.
	c.annotate(v1alpha1.AnnotationReplaceMember, victim.Name)
	c.await("waiting until the name is refused", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, resources.FormatID(ids[victim.Name])+" ("+victim.Name+")")
	})
	c.sameMembers(ids)
	c.annotate(v1alpha1.AnnotationReplaceMember, resources.FormatID(ids[victim.Name]))
	c.onlyReplaced(ids, victim.Name)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAPersonHasAHealthyMemberMovedAndChoosesTheLeader(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	preferred := c.follower()
	c.annotate(v1alpha1.AnnotationPreferredLeader, preferred)
	c.await("waiting until "+preferred+" leads", func(obj *v1alpha1.EtcdCluster) string {
		if got := ptr.Deref(obj.Status.Leader, ""); got != preferred {
			return got + " leads"
		}
		return ""
	})
	fewest := c.fewestVoters()
	c.annotate(v1alpha1.AnnotationReplaceMember, resources.FormatID(ids[preferred]))
	c.onlyReplaced(ids, preferred)
	if n := fewest(); n < 3 {
		t.Errorf("etcd listed %d voters meanwhile, want never fewer than 3: the new member comes first", n)
	}
	c.await("waiting until "+preferred+" leads again", func(obj *v1alpha1.EtcdCluster) string {
		if got := ptr.Deref(obj.Status.Leader, ""); got != preferred {
			return got + " leads"
		}
		return ""
	})
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// annotate sets an annotation of the EtcdCluster as a person would.
func (c *cluster) annotate(name, value string) {
	c.t.Helper()
	c.kubectl("annotate", "--overwrite", "etcdcluster", c.key.Name, name+"="+value)
}

// loseVolumes deletes the Pods, claims and PersistentVolumes of the members at once, while the operator looks away.
func (c *cluster) loseVolumes(members ...string) {
	c.t.Helper()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) })
	c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPaused)
	for _, name := range members {
		pod := c.pod(name)
		claim := c.volumeOf(pod)
		c.must(c.Client.Delete(c.ctx, claim))
		c.deletePod(name, 0)
		c.must(c.AwaitGone(c.ctx, claim))
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName}}
		if err := c.Client.Delete(c.ctx, pv); err != nil && !apierrors.IsNotFound(err) {
			c.t.Fatal(err)
		}
	}
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = nil })
}

// onlyReplaced waits until these members, and no others, are new ones, and all is Ready.
func (c *cluster) onlyReplaced(before map[string]uint64, members ...string) {
	c.t.Helper()
	c.eventually("waiting until the members are replaced", limit, func(ctx context.Context) string {
		list, err := c.members.Listed(ctx)
		if err != nil {
			return err.Error()
		}
		for _, m := range list.Members {
			if slices.Contains(members, m.Name) && before[m.Name] == m.ID {
				return m.Name + " is the member that it was"
			}
		}
		if len(list.Members) != len(before) {
			return fmt.Sprintf("%d members are listed, want %d", len(list.Members), len(before))
		}
		return ""
	})
	c.ready()
	now := c.ids()
	for name, id := range before {
		if got := now[name]; slices.Contains(members, name) != (got != id) || got == 0 {
			c.t.Errorf("%s is member %x, before it was %x; replaced should be %v", name, got, id, members)
		}
	}
}

// fewestVoters watches how many voters etcd lists, until the returned function is called.
func (c *cluster) fewestVoters() func() int {
	end := c.membership()
	return func() int { return end().fewestVoters }
}

// membership is how the list of members was while it was watched.
type membership struct{ fewestVoters, mostMembers int }

// membership watches the members that etcd lists, until the returned function is called.
func (c *cluster) membership() func() membership {
	ctx, stop := context.WithCancel(c.ctx)
	result := make(chan membership, 1)
	go func() {
		seen := membership{fewestVoters: 1000}
		for ctx.Err() == nil {
			if list, err := c.members.Listed(ctx); err == nil {
				voters := 0
				for _, m := range list.Members {
					if !m.IsLearner {
						voters++
					}
				}
				seen.fewestVoters = min(seen.fewestVoters, voters)
				seen.mostMembers = max(seen.mostMembers, len(list.Members))
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
		result <- seen
	}()
	return func() membership { stop(); return <-result }
}

// nodeOf is the node on which a member runs.
func (c *cluster) nodeOf(member string) string {
	c.t.Helper()
	pod := &corev1.Pod{}
	c.must(c.Client.Get(c.ctx, client.ObjectKey{Namespace: c.namespace, Name: member}, pod))
	return pod.Spec.NodeName
}
