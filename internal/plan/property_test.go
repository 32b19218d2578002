package plan_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// TestEveryDecisionIsSafe plans for random clusters and checks what must hold for each decision, whatever led to it.
func TestEveryDecisionIsSafe(t *testing.T) {
	const clusters = 20000
	kinds := map[string]int{}
	for seed := range clusters {
		c, story := randomCluster(seed)
		d := plan.Next(c)
		for _, fault := range faults(c, d) {
			t.Errorf("seed %d (%s, %d wanted)\n  step %v %q: %s", seed, story, c.Replicas(), d.Step, d.Reason, fault)
		}
		untouched, _ := randomCluster(seed)
		if !reflect.DeepEqual(untouched, c) {
			t.Errorf("seed %d: planning changed the observation (-before +after):\n%s", seed, cmp.Diff(untouched, c))
		}
		if again := plan.Next(untouched); !reflect.DeepEqual(d, again) {
			t.Errorf("seed %d: two plans of one observation differ:\n%s", seed, cmp.Diff(d, again))
		}
		for _, s := range append(slices.Clone(d.Ensures), d.Step) {
			kinds[kindOf(s)]++
		}
		if t.Failed() && seed > clusters/10 {
			return
		}
	}
	for _, s := range slices.Concat(steps, ensures[:3], certificateEnsures, changes, restarts) {
		if kinds[kindOf(s)] == 0 {
			t.Errorf("no cluster led to %s: the random clusters prove nothing about it (%v)", kindOf(s), kinds)
		}
	}
}

var (
	steps = []plan.Step{
		plan.CreateLatch{}, plan.RestartBootstrap{}, plan.RestoreLatch{}, plan.SwitchVersion{}, plan.StartMembers{}, plan.UpdateStart{},
		plan.DeletePod{},
		plan.AddLearner{}, plan.Promote{}, plan.MoveLeader{}, plan.Retire{}, plan.Resume{}, plan.RemoveMember{},
		plan.RecordRetired{}, plan.DeleteVolume{}, plan.PatchPod{}, plan.ResizePod{},
		plan.EnableDowngrade{}, plan.CancelDowngrade{},
	}
	// moves are steps to which no random cluster leads: it would have to be one voter short of being moved or shrunk. The
	// tables and the simulation do.
	moves   = []plan.Step{plan.RecordSurge{}}
	ensures = []plan.Step{
		plan.ApplyServices{}, plan.ApplyDisruptionBudget{}, plan.ApplyOwners{}, plan.Seal{}, plan.RecordPlacement{},
		plan.FormLatch{}, plan.RecordVersion{}, plan.TrimLaunched{}, plan.RecordSizeInSpec{}, plan.MarkVoter{}, plan.ApplyNetworkPolicy{},
		plan.ApplyPodMetadata{}, plan.RecordVolumeVersion{}, plan.RecordSnapshots{},
	}
)

func isKind(s plan.Step, kinds []plan.Step) bool {
	return slices.ContainsFunc(kinds, func(k plan.Step) bool { return kindOf(k) == kindOf(s) })
}

// faults are what is wrong with the decision.
func faults(c *state.Cluster, d plan.Decision) []string {
	var list []string
	fault := func(wrong bool, what string) {
		if wrong {
			list = append(list, what)
		}
	}
	left := c.Object.DeletionTimestamp != nil || c.Object.Spec.Paused != nil && *c.Object.Spec.Paused
	fault(left && (d.Step != nil || len(d.Ensures) > 0), "a cluster that is left alone is changed")
	fault(d.Step != nil && !isKind(d.Step, slices.Concat(steps, changes[4:], restarts, moves)), "an ensure is the step")
	for _, e := range d.Ensures {
		fault(!isKind(e, slices.Concat(ensures, certificateEnsures, changes[:4])), fmt.Sprintf("a second step hides among the ensures: %v", e))
		if s, ok := e.(plan.Seal); ok {
			m := byName(c, s.Member)
			fault(!m.Listed || !m.Started || m.Probe.MemberID != m.ID, "a member that is not proven to have run is sealed")
		}
		if s, ok := e.(plan.ApplyDisruptionBudget); ok {
			fault(c.Formed() && len(c.Voters()) > 1 && s.MinAvailable < quorum.Majority(len(c.Voters())),
				"the budget allows the loss of the majority")
		}
	}
	list = append(list, certificateFaults(c, d)...)
	switch s := d.Step.(type) {
	case plan.CreateLatch:
		fault(c.Latch != nil || len(c.Members) > 0 || len(c.Leftovers.Pods) > 0, "a bootstrap beside what exists")
		fault(slices.ContainsFunc(c.Leftovers.Volumes, func(v state.Volume) bool { return !v.Retired }),
			"a bootstrap over a volume")
	case plan.RestartBootstrap:
		fault(c.Formed() || withData(c) >= quorum.Majority(c.Latch.Size), "a bootstrap is given up that may have formed")
	case plan.StartMembers:
		for _, l := range s.Members {
			list = append(list, launchFaults(c, l)...)
		}
	case plan.AddLearner:
		fault(c.Learner() != nil || !c.AllVotersHealthy() || c.SlotOccupied(s.Slot),
			"a learner too many, too early or in a slot that is held")
		list = append(list, changeFaults(c, quorum.Change{Kind: quorum.AddLearner})...)
	case plan.MoveLeader:
		// One in trouble comes first, also when the others call it their leader; one that stands in for all goes last of all.
		fault(d.Activity == "RotatingCA" && c.MemberByID(s.FromID).Health == state.Healthy && slices.ContainsFunc(c.Voters(), func(m state.Member) bool {
			return m.ID != s.FromID && m.Health == state.Healthy && c.TLS.Outdated(*m.Pod) &&
				(!m.Surge() || m.Slot < c.Replicas())
		}), "the leader does not come last")
	case plan.Promote:
		list = append(list, changeFaults(c, quorum.Change{Kind: quorum.Promote, Member: s.ID})...)
	case plan.RemoveMember:
		list = append(list, changeFaults(c, quorum.Change{Kind: quorum.Remove, Member: s.ID})...)
		list = append(list, removalFaults(c, *c.MemberByID(s.ID))...)
	case plan.DeletePod:
		list = append(list, podFaults(c, s)...)
	case plan.EnableDowngrade:
		fault(c.Learner() != nil || !c.AllVotersHealthy() || len(c.Voters()) != c.Replicas() || c.Etcd.ClusterVersion != "3.6" ||
			s.Target != "3.5", "a downgrade at the wrong time, or to the wrong minor")
	case plan.PatchPod:
		m := byName(c, s.Member)
		if m.Pod.Running || m.Probe.Answered {
			list = append(list, restartFaults(c, m, true)...)
		}
		fault(s.Volume != "" && (m.Volume == nil || s.Volume != m.Volume.Name), "the version is recorded elsewhere")
	case plan.DeleteVolume:
		i := slices.IndexFunc(c.Leftovers.Volumes, func(v state.Volume) bool { return v.UID == s.UID })
		fault(i < 0, "a member's volume is deleted")
		fault(i >= 0 && c.Formed() && !c.Leftovers.Volumes[i].Retired, "an unretired volume is deleted")
		fault(i >= 0 && moved(c, c.Leftovers.Volumes[i].MemberID), "the volume of a listed member is deleted")
	case plan.RecordRetired:
		fault(!c.Etcd.Listed || len(c.Etcd.Foreign) > 0, "a volume is retired without proof")
	}
	return list
}

// changeFaults checks what must hold for each change of the membership.
func changeFaults(c *state.Cluster, change quorum.Change) []string {
	var list []string
	if v := quorum.Project(plan.QuorumMembers(c), change); !v.Allowed {
		list = append(list, "the projection forbids it: "+v.Reason)
	}
	if !c.Etcd.Listed || !c.Etcd.Serving || len(c.Etcd.Foreign) > 0 || alarmed(c) || !c.Formed() {
		list = append(list, "the membership is not known, not serving, not ours alone, or alarmed")
	}
	if slices.ContainsFunc(c.Leftovers.Pods, func(p state.Pod) bool { return p.Voter }) {
		list = append(list, "the former change is not finished")
	}
	return list
}

// alarmed tells that an alarm is raised which forbids the change: with a full quota lost members are replaced, because
// what mends it may have to wait for that.
func alarmed(c *state.Cluster) bool {
	if len(c.Etcd.Alarms) == 0 {
		return false
	}
	replacing := c.Learner() != nil || len(c.Voters()) == 2 ||
		slices.ContainsFunc(c.Voters(), func(m state.Member) bool { return m.Health == state.Unhealthy })
	return c.Etcd.Alarms[0].Type != "NOSPACE" || !replacing
}

func removalFaults(c *state.Cluster, m state.Member) []string {
	var list []string
	surplus := len(c.Voters()) > c.Replicas()
	if m.Health == state.Unknown && !m.Learner && !surplus {
		list = append(list, "a member of unknown health is blamed")
	}
	if m.Health == state.Healthy && !m.Learner && !surplus && (!c.Ephemeral() || !c.TLS.Outdated(*m.Pod)) {
		list = append(list, "a healthy voter is removed that is wanted")
	}
	if m.Health == state.Unhealthy && !m.Learner && !surplus && !maybeLost(c, m) {
		list = append(list, "a member is removed that may come back on its volume")
	}
	if (m.Volume != nil || m.Pod != nil) && !m.Retiring() {
		list = append(list, "the removal is not recorded")
	}
	if m.ID == c.Etcd.Leader {
		list = append(list, "the leader is removed")
	}
	b := c.Disruption
	if voters := len(c.Voters()); !m.Learner && m.Pod != nil && (b == nil || !b.Observed || b.MinAvailable != voters) {
		list = append(list, "the removal was not announced")
	}
	return list
}

func launchFaults(c *state.Cluster, l plan.Launch) []string {
	var list []string
	m := c.MemberByID(l.Incarnation.MemberID)
	switch v := m.Volume; {
	case m.Pod != nil || c.SlotHeld(m.Slot) || c.Held("Pod", m.Name):
		list = append(list, "a Pod is created beside another")
	case v != nil && (v.Retired || v.Foreign() || v.Terminating):
		list = append(list, "a volume is started that must not be")
	case l.First && (m.Launched || m.Started || v != nil || m.RecordedStarted()):
		list = append(list, "a member is started empty that may have run")
	case !l.First && v == nil:
		list = append(list, "a member is resumed without data")
	}
	if ran := m.Started || m.RecordedStarted(); ran && !l.Start.Sealed || !ran && l.Start.Sealed {
		list = append(list, "the seal is not what the member's past asks for")
	}
	if l.Incarnation.Slot != m.Slot {
		list = append(list, "the slot is another member's")
	}
	if !c.TLS.Usable() || c.TLS != nil && l.Start.Trust != c.TLS.Trust {
		list = append(list, "a member is started whose certificates are missing")
	}
	return list
}

func podFaults(c *state.Cluster, s plan.DeletePod) []string {
	for _, m := range c.Members {
		switch {
		case m.Pod == nil || m.Pod.UID != s.UID:
		case (m.Pod.Running || m.Probe.Answered) && !c.TLS.Outdated(*m.Pod) && !ofOldTemplate(c, m):
			return []string{"the Pod of a running member is deleted"}
		case m.Pod.Running || m.Probe.Answered:
			return restartFaults(c, m, false)
		case c.Ephemeral() && (m.Started || m.RecordedStarted()):
			return []string{"the Pod is deleted that holds a member's data"}
		}
	}
	return nil
}

// ofOldTemplate tells that the Pod is of another template.
func ofOldTemplate(c *state.Cluster, m state.Member) bool {
	return m.Pod.Applied != resources.Applied(c.Object, c.Version())
}

// withData counts the members of the bootstrap whose data is there, or that never had any.
func withData(c *state.Cluster) int {
	n := 0
	for _, m := range c.Members {
		missing := m.Volume == nil && !c.Ephemeral() || m.Pod == nil && c.Ephemeral()
		if !m.Wiped() && (!missing || !m.Launched) {
			n++
		}
	}
	return n
}

func moved(c *state.Cluster, id uint64) bool {
	return slices.ContainsFunc(c.Etcd.Foreign, func(f state.ForeignMember) bool { return f.ID == id })
}

func byName(c *state.Cluster, name string) state.Member {
	return c.Members[slices.IndexFunc(c.Members, func(m state.Member) bool { return m.Name == name })]
}

// maybeLost tells whether anything speaks for it that the unhealthy member cannot come back with its data, told in
// another way than the plan does.
func maybeLost(c *state.Cluster, m state.Member) bool {
	node := state.Node{Ready: true}
	if m.Volume != nil {
		node = c.Nodes[m.Volume.Node]
	}
	if m.Pod != nil && m.Pod.Node != "" {
		node = c.Nodes[m.Pod.Node]
	}
	_, asked := c.Object.Annotations[v1alpha1.AnnotationReplaceMember]
	automatic := c.Object.Spec.Repair == nil || !m.Started || asked
	dataGone := m.Wiped() || c.Ephemeral() && (m.Pod == nil || m.Pod.Finished) || !c.Ephemeral() && m.Volume == nil ||
		m.Volume != nil && (m.Volume.Terminating || m.Volume.Disk != nil && (m.Volume.Disk.Gone || m.Volume.Disk.Nowhere()))
	outOfReach := !node.Ready && !m.Probe.Answered && c.Now.Sub(node.NotReadySince) >= 5*time.Minute &&
		(m.Peer == state.PeerInactive || node.OutOfService)
	crashes := m.Pod != nil && !m.Pod.Running && m.Pod.Restarts >= 3 && m.Peer != state.PeerActive
	trusts := m.Pod != nil && c.TLS.Outdated(*m.Pod)
	return automatic && (dataGone || outOfReach || crashes || asked) || trusts
}
