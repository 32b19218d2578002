package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// manual has a person decide on repairs.
func manual(s *v1alpha1.EtcdClusterSpec) {
	s.Repair = &v1alpha1.RepairSpec{Mode: ptr.To(v1alpha1.RepairManual)}
}

func repairAfter(d time.Duration) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		s.Repair = &v1alpha1.RepairSpec{After: &metav1.Duration{Duration: d}}
	}
}

// annotated has a person ask for something.
func annotated(name, value string) func(*state.Cluster) {
	return func(c *state.Cluster) { metav1.SetMetaDataAnnotation(&c.Object.ObjectMeta, name, value) }
}

// ago is a time before now.
func ago(d time.Duration) time.Time { return statetest.Now.Add(-d) }

// gone is the removal of a member that needs no announcement, or had it.
func gone(b *statetest.Builder, slot int, why string) plan.Step {
	return plan.RemoveMember{Name: member(slot), ID: b.ID(slot), Why: why}
}

func replaced(slot, why string) string {
	return "ReplacingMember: " + slot + " is replaced: " + why
}

const starting = "StartingMember: demo-1"

func TestAMemberWhoseDataIsGoneIsReplacedAtOnce(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	disk := func(d state.Disk) func(*state.Member) { return func(m *state.Member) { m.Volume.Disk = &d } }
	deleting := func(m *state.Member) { m.Volume.Terminating = true }
	notReady := func(d time.Duration) func(*state.Member) {
		return func(m *state.Member) { m.Pod.NotReadySince = ago(d) }
	}
	const volumeGone, wiped = "its volume is gone", "its data was wiped and it refuses to start empty"
	scenarios{
		"when its claim is gone": {
			cluster: three().NoPod(1).NoVolume(1), step: gone(three(), 1, volumeGone),
			blocked: []string{replaced("demo-1", volumeGone)},
		},
		"when its PersistentVolume is gone": {
			cluster: three().NoPod(1).Retire(1).Member(1, disk(state.Disk{Gone: true})),
			step:    gone(three(), 1, "the PersistentVolume of its volume "+volume(three(), 1)+" is gone"),
			blocked: []string{replaced("demo-1", "the PersistentVolume of its volume")},
		},
		"when Kubernetes calls its claim lost": {
			cluster: three().NoPod(1).Retire(1).Member(1, func(m *state.Member) { m.Volume.Lost = true }),
			step:    gone(three(), 1, "the PersistentVolume of its volume "+volume(three(), 1)+" is gone"),
			blocked: []string{replaced("demo-1", "the PersistentVolume of its volume")},
		},
		"when its claim is being deleted and no Pod keeps it": {
			cluster: three().NoPod(1).Retire(1).Member(1, deleting),
			step:    gone(three(), 1, "its volume "+volume(three(), 1)+" is being deleted"),
			blocked: []string{replaced("demo-1", "its volume "+volume(three(), 1)+" is being deleted")},
		},
		"when no node exists to which its volume can be attached": {
			cluster: three().NoPod(1).Retire(1).Member(1, disk(state.Disk{Searched: true})),
			step:    gone(three(), 1, "no node exists to which its volume "+volume(three(), 1)+" can be attached"),
			blocked: []string{replaced("demo-1", "no node exists")},
		},
		"when its volume was wiped: announced first": {
			cluster: three().Wipe(1), ensures: []plan.Step{budget(3)},
			blocked: []string{"ReplacingMember: waiting until the disruption controller observes minAvailable 3",
				replaced("demo-1", wiped), starting},
		},
		"then recorded": {
			cluster: three().Wipe(1).Budget(3), step: plan.Retire{Name: member(1), Volume: volume(three(), 1)},
			blocked: []string{replaced("demo-1", wiped), starting},
		},
		"then removed": {
			cluster: three().Wipe(1).Budget(3).Retire(1), step: gone(three(), 1, wiped),
			blocked: []string{replaced("demo-1", wiped), starting},
		},
		"when its memory was lost with its node's boot": {
			cluster: statetest.Ephemeral(3).Wipe(1).Budget(3).Retire(1), step: gone(three(), 1, wiped),
			blocked: []string{replaced("demo-1", wiped), starting},
		},
		"but not while another is too many": {
			cluster: three().NoPod(1).NoVolume(1).Crash(2),
			blocked: []string{"MemberUnhealthy: too few voters", "ReplacingMember: demo-1 is to be removed",
				replaced("demo-1", volumeGone), "StartingMember: demo-2"},
		},
		"and one after the other": {
			cluster: statetest.Formed(5).Replicas(5).NoPod(1, 3).NoVolume(1, 3), step: gone(statetest.Formed(5), 1, volumeGone),
			blocked: []string{replaced("demo-1", volumeGone), "ReplacingMember: demo-3 is lost too (its volume is gone) and is " +
				"replaced after demo-1"},
		},
		"of which the one whose removal was begun comes first": {
			cluster: statetest.Formed(5).Replicas(5).NoPod(1, 3).NoVolume(1).Member(3, deleting).Retire(3),
			step:    gone(statetest.Formed(5), 3, "its volume "+volume(statetest.Formed(5), 3)+" is being deleted"),
			blocked: []string{replaced("demo-3", ""), "ReplacingMember: demo-1 is lost too"},
		},
		"but not a single member: there is nothing to repair it from": {
			cluster: statetest.Formed(1).Replicas(1).Wipe(0).NotServing(),
			blocked: []string{"QuorumLost: ", "VolumeWiped: demo-0 is lost: its data was wiped and it refuses to start empty. It " +
				"is the only member", "StartingMember: demo-0"},
		},
		"but one that only we cannot reach is not": {
			cluster: three().Unreachable(1).Member(1, deleting), blocked: []string{starting},
		},
		"one that starts on a claim that is being deleted may still recover, because its Pod keeps the claim": {
			cluster: three().Crash(1).Member(1, deleting).Member(1, notReady(time.Minute)), wake: 4 * time.Minute,
			blocked: []string{"MemberUnhealthy: demo-1: its volume demo-1-", starting},
		},
		"until it took too long": {
			cluster: three().Crash(1).Member(1, deleting).Member(1, notReady(5*time.Minute)).Budget(3).Retire(1),
			step:    gone(three(), 1, "its volume "+volume(three(), 1)+" is being deleted"),
			blocked: []string{replaced("demo-1", "its volume "+volume(three(), 1)+" is being deleted"), starting},
		},
		"a terminating Pod that keeps the claim is waited for": {
			cluster: three().Terminate(1).Member(1, deleting), blocked: []string{starting},
		},
		"one whose PersistentVolume is being deleted is started again: the claim keeps it": {
			cluster: three().NoPod(1).Member(1, disk(state.Disk{Terminating: true})), step: start(resumed(3, 1)),
		},
		"a pending Pod is not dead": {
			cluster: three().Crash(1).Member(1, func(m *state.Member) {
				m.Pod.Node, m.Pod.Waiting, m.Pod.Restarts, m.Pod.LastExit = "", "Unschedulable: 0/3 nodes", 0, nil
				m.Pod.NotReadySince = ago(24 * time.Hour)
			}),
			blocked: []string{"StartingMember: demo-1 is not running: Unschedulable"},
		},
		"nor is one that pulls its image": {
			cluster: three().Crash(1).Member(1, func(m *state.Member) {
				m.Pod.Waiting, m.Pod.Restarts, m.Pod.LastExit = "ImagePullBackOff", 0, nil
				m.Pod.NotReadySince = ago(24 * time.Hour)
			}),
			blocked: []string{"StartingMember: demo-1 is not running: ImagePullBackOff"},
		},
	}.run(t)
}

func TestAHealthyMemberIsMovedBeforeItsVolumeIsLost(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	volumeWith := func(change func(*state.Volume)) func(*state.Member) {
		return func(m *state.Member) { change(m.Volume) }
	}
	deleting := volumeWith(func(v *state.Volume) { v.Terminating = true })
	disk := func(d state.Disk) func(*state.Member) {
		return volumeWith(func(v *state.Volume) { v.Disk = &d })
	}
	moves := func(why string) []string {
		return []string{"MovingMember: members are moved to new members one at a time, because " + why}
	}
	its := "its volume " + volume(three(), 1)
	scenarios{
		"when its claim is being deleted": {
			cluster: three().Member(1, deleting), step: addLearner(3), blocked: moves(its + " is being deleted; left: demo-1"),
		},
		"when its claim is gone already": {
			cluster: three().NoVolume(1).Member(1, func(m *state.Member) { m.Pod.Started = true }), step: addLearner(3),
			blocked: moves("its volume is gone; left: demo-1"),
		},
		"when its PersistentVolume is being deleted": {
			cluster: three().Member(1, disk(state.Disk{Terminating: true})), step: addLearner(3),
			blocked: moves("the PersistentVolume of " + its + " is being deleted; left: demo-1"),
		},
		"when its node was deleted under it": {
			cluster: three().Member(1, disk(state.Disk{Searched: true})), step: addLearner(3),
			blocked: moves("no node exists to which " + its + " can be attached; left: demo-1"),
		},
		"and the learner that takes its place is kept when it gets into trouble meanwhile": {
			cluster: three().Member(1, deleting).Learner(3).Launch(3).Crash(1).
				Member(1, func(m *state.Member) { m.Pod.NotReadySince = ago(time.Minute) }), wake: 4 * time.Minute,
			blocked: []string{"MemberUnhealthy: demo-1: " + its + " is being deleted; unless it comes back", starting, "ScalingUp: demo-3"},
		},
		"one by one": {
			cluster: three().Member(1, deleting).Member(2, deleting), step: addLearner(3),
			blocked: []string{"MovingMember: "},
		},
		"which a person has to ask for where repair is Manual": {
			cluster: three().Member(1, deleting).Spec(manual),
			blocked: []string{"MemberLost: demo-1 is lost once its Pod ends: " + its + " is being deleted. spec.repair.mode is " +
				"Manual: to have it moved before, run kubectl -n default annotate"},
		},
	}.run(t)
}
