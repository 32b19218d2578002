package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// conditions are "Status Reason: part of the message" of Ready, Available, Progressing and Degraded.
type conditions [4]string

var conditionTypes = conditions{
	v1alpha1.ConditionReady, v1alpha1.ConditionAvailable, v1alpha1.ConditionProgressing, v1alpha1.ConditionDegraded,
}

// replacementAsked asks for the replacement of a member that is there no more.
func replacementAsked(c *state.Cluster) {
	c.Object.Annotations = map[string]string{v1alpha1.AnnotationReplaceMember: "8e9e05c52164694d"}
}

func TestConditions(t *testing.T) {
	const (
		asSpecified = "False AsSpecified: nothing to do"
		quorate     = "True Quorate: a majority serves"
		fine        = "False AllMembersHealthy: no member is known to be unhealthy"
		notYet      = "False Bootstrapping: no quorum has been seen yet"
	)
	paused := func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) }
	hibernated := func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(true) }
	wasAsleep := func(c *state.Cluster) {
		c.Object.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonHibernated,
		}}
	}
	const stopped = "False Hibernated: the members are stopped"
	tests := map[string]struct {
		cluster *statetest.Builder
		outcome outcome
		want    conditions
	}{
		"a cluster at rest": {statetest.Formed(3), outcome{}, conditions{
			"True AsSpecified: all 3 voters are healthy", quorate, asSpecified, fine,
		}},
		"a request that was carried out": {statetest.Formed(3).With(replacementAsked), outcome{}, conditions{
			"True AsSpecified: all 3 voters are healthy", quorate,
			"False AsSpecified: the annotation quorate.dev/replace-member names 8e9e05c52164694d, which is no member", fine,
		}},
		"a single member at rest tells what it cannot stand": {statetest.Formed(1).Replicas(1), outcome{}, conditions{
			"True AsSpecified: all 1 voters are healthy", "True SingleMember: no failure is tolerated", asSpecified, fine,
		}},
		"a new cluster": {statetest.Fresh(), outcome{}, conditions{
			"False Bootstrapping: a new cluster of 3 members", notYet, "True Bootstrapping: bootstrap 3 members of etcd 3.6.16",
			notYet,
		}},
		"a bootstrap that waits for its members": {statetest.Bootstrap(3).Launch(0, 1, 2), outcome{}, conditions{
			"False Bootstrapping: waiting for a quorum of 3 members to start: demo-0 is not running", notYet,
			"True Bootstrapping: demo-2 is not running: ContainerCreating", notYet,
		}},
		"one member down": {statetest.Formed(3).Crash(1), outcome{}, conditions{
			"False StartingMember: waiting for demo-1 is not running: CrashLoopBackOff", quorate,
			"True StartingMember: demo-1 is not running", "True MemberUnhealthy: demo-1 is not running",
		}},
		"one member that the operator cannot reach": {statetest.Formed(3).Unreachable(1), outcome{}, conditions{
			"False StartingMember: demo-1 cannot be reached", quorate, "True StartingMember: demo-1",
			"True MemberUnhealthy: demo-1",
		}},
		"all members that the operator cannot reach may well serve": {statetest.Formed(3).Unreachable(0, 1, 2).Unlisted(),
			outcome{},
			conditions{
				"False QuorumLost: no majority", "Unknown ObservationFailed: the operator cannot reach them: demo-0",
				"True QuorumLost: no majority", "True QuorumLost: no majority",
			}},
		"a lost quorum": {statetest.Formed(3).Crash(1, 2).Unlisted(), outcome{}, conditions{
			"False QuorumLost: no majority", "False QuorumLost: no linearizable read succeeded: demo-0 does not follow",
			"True QuorumLost: no majority", "True QuorumLost: no majority",
		}},
		"two of three ephemeral Pods gone are no cluster of one that the operator cannot reach": {
			statetest.Ephemeral(3).NoPod(1, 2).Unlisted().Unreachable(0), outcome{}, conditions{
				"False QuorumLost: no majority", "False QuorumLost: no linearizable read", "True QuorumLost: ", "True QuorumLost: ",
			}},
		"a scale-up with a step to do": {statetest.Formed(3).Replicas(5), outcome{}, conditions{
			"False ScalingUp: 5 voters are wanted, 3 are listed", quorate,
			"True ScalingUp: add demo-3 as a learner: 5 voters are wanted", fine,
		}},
		"a scale-down that waits": {statetest.Formed(3).Replicas(1), outcome{}, conditions{
			"False ScalingDown: demo-2 is to be removed (1 voters are wanted, 3 are listed): waiting until the disruption",
			quorate,
			"True ScalingDown: waiting until the disruption controller", fine,
		}},
		"an alarm": {
			statetest.Formed(3).With(func(c *state.Cluster) {
				c.Etcd.Alarms = []state.Alarm{{Type: "NOSPACE",
					Member: "demo-1"}}
			}),
			outcome{}, conditions{
				"False Alarm: demo-1 has reached its quota", quorate, "True Alarm: demo-1",
				"True Alarm: demo-1 has reached its quota",
			}},
		"a lost volume": {statetest.Formed(3).NoPod(1).NoVolume(1), outcome{}, conditions{
			"False ReplacingMember: demo-1 is replaced: its volume is gone", quorate, "True ReplacingMember: demo-1",
			"True ReplacingMember: demo-1 is replaced",
		}},
		"a lost volume that a person has to decide on": {statetest.Formed(3).NoPod(1).NoVolume(1).Spec(manual), outcome{},
			conditions{"False MemberLost: demo-1 is lost: its volume is gone", quorate, "True MemberLost: demo-1",
				"True MemberLost: demo-1 is lost"}},
		"a wiped volume": {statetest.Formed(3).Wipe(1).Spec(manual), outcome{}, conditions{
			"False VolumeWiped: demo-1 is lost", quorate, "True VolumeWiped: demo-1",
			"True VolumeWiped: demo-1 is lost: its data was wiped",
		}},
		"a paused cluster is still reported on": {statetest.Formed(3).Spec(paused).Crash(1), outcome{}, conditions{
			"False Paused: spec.paused is set", quorate, "False Paused: nothing is changed until it is removed",
			"True MemberUnhealthy: demo-1",
		}},
		"a cluster whose members are stopped, with the majority there still": {
			statetest.Formed(3).Spec(hibernated).NoPod(2), outcome{}, conditions{
				"False Hibernating: spec.hibernated is set", quorate, "True Hibernating: delete Pod demo-1", "False Quorate",
			}},
		"a cluster whose last member is stopped": {
			statetest.Formed(3).Spec(hibernated).NoPod(1, 2).Unlisted(), outcome{}, conditions{
				"False Hibernating: spec.hibernated is set", stopped, "True Hibernating: delete Pod demo-0", stopped,
			}},
		"a hibernated cluster is as specified, but not available": {
			statetest.Formed(3).Spec(hibernated).NoPod(0, 1, 2).Unlisted(), outcome{}, conditions{
				"True Hibernated: hibernated: no Pod runs", stopped, "False Hibernated: remove spec.hibernated to wake", stopped,
			}},
		"a hibernated cluster that is paused": {
			statetest.Formed(3).Spec(hibernated).Spec(paused).NoPod(0, 1, 2).Unlisted(), outcome{}, conditions{
				"False Paused: spec.paused is set", stopped, "False Paused", stopped,
			}},
		"a quorum that was lost while a cluster that is to hibernate is paused": {
			statetest.Formed(3).Spec(hibernated).Spec(paused).Crash(0, 1, 2).Unlisted(), outcome{}, conditions{
				"False Paused: spec.paused is set", "False QuorumLost", "False Paused", "True MemberUnhealthy",
			}},
		"a cluster that wakes": {
			statetest.Formed(3).Launch(0, 1, 2).Unlisted().With(wasAsleep), outcome{}, conditions{
				"False Waking: no majority serves", "False Waking: the members start on their volumes: demo-0 is not running",
				"True Waking: no majority serves", "False Waking",
			}},
		"a cluster that wakes, and a member crashes": {
			statetest.Formed(3).Launch(0, 1).Crash(2).Unlisted().With(wasAsleep), outcome{}, conditions{
				"False QuorumLost", "False QuorumLost", "True QuorumLost", "True QuorumLost",
			}},
		"a cluster that wakes, but does not within minutes": {
			statetest.Formed(3).Launch(0, 1, 2).Unlisted().With(wasAsleep).
				With(func(c *state.Cluster) { c.Now = c.Now.Add(6 * time.Minute) }), outcome{}, conditions{
				"False QuorumLost", "False QuorumLost", "True QuorumLost", "True QuorumLost",
			}},
		"a step that failed": {
			statetest.Formed(3), outcome{blocked: []plan.Blocked{{Reason: v1alpha1.ReasonActionFailed,
				Message: "create Pod: forbidden"}}},
			conditions{"False ActionFailed: create Pod: forbidden", quorate, "True ActionFailed: create Pod: forbidden", fine},
		},
		"what failed comes before what is waited for": {
			statetest.Formed(3).Crash(1), outcome{blocked: []plan.Blocked{{Reason: v1alpha1.ReasonActionFailed,
				Message: "forbidden"}}},
			conditions{
				"False ActionFailed: forbidden", quorate, "True ActionFailed: forbidden. waiting for demo-1",
				"True MemberUnhealthy: demo-1",
			},
		},
		"a list that was read while the read failed leaves it open whether a majority serves": {
			statetest.Formed(3).NotServing(), outcome{}, conditions{
				"False QuorumLost: ", "Unknown ObservationFailed: etcd does not answer: context deadline exceeded",
				"True QuorumLost: ",
				"True QuorumLost: ",
			}},
		"an ephemeral member that is being replaced": {statetest.Ephemeral(3).NoPod(1), outcome{}, conditions{
			"False ReplacingMember: demo-1 is replaced: its Pod is gone", quorate, "True ReplacingMember: demo-1",
			"True ReplacingMember: demo-1 is replaced: its Pod is gone",
		}},
		"a bootstrapped member that is late is no degradation": {
			statetest.Formed(3).Crash(2).Member(2,
				func(m *state.Member) { m.Volume.Started, m.Started, m.Pod.Sealed = false, false, false }),
			outcome{}, conditions{"False StartingMember: demo-2", quorate, "True StartingMember: demo-2", "False"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := test.cluster.Build()
			s := status(c, plan.Next(c), test.outcome)
			for i, kind := range conditionTypes {
				cond := meta.FindStatusCondition(s.Conditions, kind)
				head, message, _ := strings.Cut(test.want[i], ": ")
				if got := string(cond.Status) + " " + cond.Reason; !strings.HasPrefix(got, head) || !strings.Contains(cond.Message,
					message) {
					t.Errorf("%s is %s: %s\nwant %s", kind, got, cond.Message, test.want[i])
				}
				if cond.ObservedGeneration != c.Object.Generation {
					t.Errorf("%s speaks of generation %d, want %d", kind, cond.ObservedGeneration, c.Object.Generation)
				}
			}
		})
	}
}

// settled is the status after a reconcile of a cluster whose former status was empty.
func settled(b *statetest.Builder) (*state.Cluster, v1alpha1.EtcdClusterStatus) {
	c := b.Build()
	return c, status(c, plan.Next(c), outcome{})
}

func TestStatusHoldsNothingVolatile(t *testing.T) {
	builders := map[string]func() *statetest.Builder{
		"at rest":      func() *statetest.Builder { return statetest.Formed(3) },
		"bootstrap":    func() *statetest.Builder { return statetest.Bootstrap(3).Launch(0, 1, 2) },
		"one down":     func() *statetest.Builder { return statetest.Formed(3).Crash(1) },
		"unreachable":  func() *statetest.Builder { return statetest.Formed(3).Unreachable(1) },
		"learner":      func() *statetest.Builder { return statetest.Formed(3).Replicas(5).Learner(3).Launch(3).Run(3) },
		"quorum lost":  func() *statetest.Builder { return statetest.Formed(3).Crash(1, 2).Unlisted() },
		"scaling down": func() *statetest.Builder { return statetest.Formed(5).Replicas(3) },
		"hibernated": func() *statetest.Builder {
			asleep := func(s *v1alpha1.EtcdClusterSpec) { s.Hibernated = ptr.To(true) }
			return statetest.Formed(3).Spec(asleep).NoPod(0, 1, 2).Unlisted()
		},
	}
	later := func(c *state.Cluster) {
		c.Now = c.Now.Add(time.Hour)
		for i := range c.Members {
			m := &c.Members[i]
			if p := &m.Probe; p.Answered {
				p.Term, p.Committed, p.Applied, p.DBSize, p.DBSizeInUse = p.Term+1, p.Committed+900, p.Applied+850, p.DBSize*2,
					p.DBSizeInUse*2
			}
			if p := m.Pod; p != nil {
				p.ResourceVersion, p.RunningFor = "99", p.RunningFor+time.Hour
				if p.Restarts > 0 {
					p.Restarts, p.ContainerID = p.Restarts+5, "containerd://another"
					p.LastExit = &state.Exit{Code: p.LastExit.Code, At: c.Now}
				}
			}
			if m.Volume != nil {
				m.Volume.ResourceVersion = "99"
			}
		}
	}
	for name, b := range builders {
		t.Run(name, func(t *testing.T) {
			_, before := settled(b())
			_, after := settled(b().With(func(c *state.Cluster) { c.Object.Status = before }).With(later))
			if !equality.Semantic.DeepEqual(before, after) {
				t.Errorf("the status changed although nothing of substance did (-before +after):\n%s", cmp.Diff(before, after))
			}
		})
	}
}

func TestStatusOfMembership(t *testing.T) {
	url := func(slots ...string) []string {
		for i, s := range slots {
			slots[i] = "http://demo-" + s + ".default.svc:2379"
		}
		return slots
	}
	tests := map[string]struct {
		cluster         *statetest.Builder
		replicas, ready int32
		quorum          string
		tolerance       int32
		leader          string
		endpoints       []string
	}{
		"before anything exists": {statetest.Fresh(), 0, 0, "0/0", 0, "", nil},
		"in bootstrap there is no endpoint": {statetest.Bootstrap(3).Launch(0, 1, 2).Run(0, 1, 2).Serving(), 3, 0,
			"0/3", 0, "demo-0", nil},
		"at rest": {statetest.Formed(3), 3, 3, "3/3", 1, "demo-0", url("0", "1", "2")},
		"a member down keeps its endpoint": {statetest.Formed(3).Crash(1), 3, 2, "2/3", 0, "demo-0",
			url("0", "1", "2")},
		"a learner has none and is no replica": {statetest.Formed(3).Replicas(5).Learner(3), 3, 3, "3/3", 1, "demo-0",
			url("0", "1", "2")},
		"an unmanaged voter counts for the quorum": {statetest.Formed(3).With(unmanaged), 3, 3, "3/4", 0, "demo-0",
			url("0", "1", "2")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, s := settled(test.cluster)
			if *s.Replicas != test.replicas || *s.ReadyReplicas != test.ready || s.Quorum.Summary != test.quorum ||
				*s.Quorum.FailureTolerance != test.tolerance || ptr.Deref(s.Leader, "") != test.leader {
				t.Errorf("replicas %d, ready %d, quorum %s, tolerance %d, leader %q; want %+v",
					*s.Replicas, *s.ReadyReplicas, s.Quorum.Summary, *s.Quorum.FailureTolerance, ptr.Deref(s.Leader, ""), test)
			}
			if diff := cmp.Diff(test.endpoints, s.Endpoints); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
		})
	}
}

func unmanaged(c *state.Cluster) {
	c.Etcd.Foreign = []state.ForeignMember{{ID: 0xbeef, PeerURLs: []string{"http://10.0.0.9:2380"}}}
}

// While the members cannot be listed, what the list told last stays: kube-apiserver's list of endpoints depends on it.
func TestStatusKeepsTheMembershipWhileItCannotBeListed(t *testing.T) {
	_, known := settled(statetest.Formed(3))
	for name, b := range map[string]*statetest.Builder{
		"volumes are left":     statetest.Formed(3).Crash(1).NoPod(2).NoVolume(2).Unlisted(),
		"ephemeral Pods gone":  statetest.Ephemeral(3).NoPod(1, 2).Unlisted(),
		"nothing is left":      statetest.Ephemeral(3).NoPod(0, 1, 2).Unlisted(),
		"the latch is missing": statetest.Formed(3).LatchLost(),
	} {
		t.Run(name, func(t *testing.T) {
			_, now := settled(b.With(func(c *state.Cluster) { c.Object.Status = known }))
			if diff := cmp.Diff(known.Endpoints, now.Endpoints); diff != "" {
				t.Errorf("endpoints (-known +now):\n%s", diff)
			}
			if *now.Replicas != 3 || *now.Quorum.Voters != 3 || *now.Quorum.Required != 2 {
				t.Errorf("replicas %d, voters %d, required %d; 3, 3 and 2 were known last",
					*now.Replicas, *now.Quorum.Voters, *now.Quorum.Required)
			}
		})
	}
}

func TestTheTransitionTimeOfAConditionStaysWhileItsStatusDoes(t *testing.T) {
	_, before := settled(statetest.Formed(3))
	for i := range before.Conditions {
		before.Conditions[i].LastTransitionTime = metav1.NewTime(statetest.Now)
	}
	_, after := settled(statetest.Formed(3).Crash(1).With(func(c *state.Cluster) { c.Object.Status = *before.DeepCopy() }))
	for _, cond := range after.Conditions {
		was := meta.FindStatusCondition(before.Conditions, cond.Type)
		if moved := !cond.LastTransitionTime.Equal(&was.LastTransitionTime); moved != (cond.Status != was.Status) {
			t.Errorf("%s went from %s to %s, and its transition time moved: %t", cond.Type, was.Status, cond.Status, moved)
		}
	}
}

func manual(s *v1alpha1.EtcdClusterSpec) {
	s.Repair = &v1alpha1.RepairSpec{Mode: ptr.To(v1alpha1.RepairManual)}
}
