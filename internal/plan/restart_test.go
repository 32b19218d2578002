package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

const toLoad = "it has to load the certificate authorities that are trusted now"

func restarted(slot int) plan.Step {
	return plan.DeletePod{Name: member(slot), UID: podUID(slot), Why: toLoad}
}

// outdated is a cluster in which the peers' next authority is published, and no member has loaded it.
func outdated(b *statetest.Builder) *statetest.Builder {
	return b.BeginRotation(state.PeerSide, b.CA("next")).PublishTrust().Bundle(state.CertificateNames()...)
}

func TestMembersRestartOneAtATime(t *testing.T) {
	three := func() *statetest.Builder { return outdated(formed(3)()) }
	ready := func() *statetest.Builder { return three().Budget(3) }
	left := func(who string) string {
		return "RotatingCA: members restart one at a time, because " + toLoad + "; left: " + who
	}
	all, some := left("demo-0, demo-1, demo-2"), left("demo-0, demo-1")
	pending := []string{"RotatingCA: waiting until all members trust the new one as well: demo-0, demo-1, demo-2"}
	two := []string{"RotatingCA: waiting until all members trust the new one as well: demo-0, demo-1"}
	one := []string{"RotatingCA: waiting until all members trust the new one as well: demo-0"}
	waits := func(slot, why string) string {
		return "RotatingCA: " + slot + " is to be restarted (" + toLoad + "), but " + why
	}
	id := formed(3)().ID
	node := func(name string, n state.Node) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Nodes[name] = n }
	}
	scenarios{
		"first the budget is raised": {
			cluster: three(), ensures: []plan.Step{budget(3)}, pending: pending, blocked: []string{
				"RotatingCA: demo-2 is to be restarted (" + toLoad + "): waiting until the disruption controller observes " +
					"minAvailable 3, so that no eviction comes in between", all},
		},
		"then the highest slot restarts": {cluster: ready(), step: restarted(2), blocked: []string{all}, pending: pending},
		"then it is waited for": {
			cluster: ready().Terminate(2), ensures: []plan.Step{budget(3)}, pending: pending,
			blocked: []string{"StartingMember: demo-2: its Pod is being deleted", all},
		},
		"then it starts, to trust what is wanted now": {
			cluster: ready().NoPod(2), step: start(secured(resumed(3, 2), three())), pending: two,
			blocked: []string{waits("demo-1", "demo-2 has to be healthy and ready first"), some},
		},
		"then it has to become healthy": {
			cluster: ready().Load(2).Crash(2), pending: two,
			blocked: []string{"StartingMember: demo-2", waits("demo-1", "demo-2 has to be healthy and ready first"), some},
		},
		"and ready for clients": {
			cluster: ready().Load(2).Member(2, func(m *state.Member) { m.Pod.Ready = false }), pending: two,
			blocked: []string{"StartingMember: demo-2", waits("demo-1", "demo-2 has to be healthy and ready first"), some},
		},
		"then the next one restarts": {cluster: ready().Load(2), step: restarted(1), blocked: []string{some}, pending: two},
		"the leader comes last, and hands over before": {
			cluster: ready().Load(1, 2), blocked: []string{left("demo-0")}, pending: one,
			step: plan.MoveLeader{From: member(0), To: member(1), FromID: id(0), ToID: id(1)},
		},
		"and restarts when another leads": {
			cluster: ready().Load(1, 2).Leader(1), step: restarted(0), blocked: []string{left("demo-0")}, pending: one,
		},
		"one that is in trouble comes first": {
			cluster: ready().Unreachable(1), step: restarted(1), blocked: []string{"StartingMember: demo-1", all}, pending: pending,
		},
		"none while another has no Pod that it waits for": {
			cluster: ready().Terminate(0), pending: pending, blocked: []string{"StartingMember: demo-0", all},
		},
		"one that does not run is made anew at once": {
			cluster: ready().Crash(1), pending: pending, step: plan.DeletePod{Name: member(1), UID: podUID(1),
				Why: "it trusts other certificate authorities than those that are trusted now"},
			blocked: []string{"StartingMember: demo-1", all},
		},
		"none before what it is to load is published": {
			cluster: ready().LoseTrusts(), ensures: []plan.Step{plan.PublishTrust{Name: three().Build().TLS.Trust}},
			blocked: []string{waits("demo-2", "it could not start again: its certificates are not there yet"), all}, pending: pending,
		},
		"none whose volume is being deleted, which its Pod is all that keeps": {
			cluster: outdated(formed(5)()).Replicas(3).Budget(5).Member(4, func(m *state.Member) { m.Volume.Terminating = true }),
			pending: []string{"RotatingCA: demo-0, demo-1, demo-2, demo-3, demo-4"}, step: retire(formed(5)(), 4),
			blocked: []string{"MovingMember: members restart one at a time, because " + toLoad + "; left: demo-0, demo-1, demo-2, demo-3. " +
				"members are moved to new members one at a time, because its volume demo-4-"},
		},
		"none whose node is not ready": {
			cluster: ready().With(node("node-2", state.Node{})), pending: pending,
			blocked: []string{waits("demo-2", "its node node-2 is not ready, so that it would not come back"), all},
		},
		"none whose node exists no more, also where a person decides on repairs": {
			cluster: ready().Spec(manual).With(func(c *state.Cluster) { delete(c.Nodes, "node-2") }).
				Member(2, func(m *state.Member) { m.Volume.Disk = &state.Disk{Searched: true} }), pending: pending,
			blocked: []string{"MemberLost: demo-2 is lost once its Pod ends: no node exists",
				waits("demo-2", "its node node-2 does not exist any more, so that it might not come back"), all},
		},
		"none that the others would not accept": {
			cluster: formed(3)().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).SwitchAuthority(state.PeerSide).
				PublishTrust().Issue(state.PeerCertificate).Serve(0, 1, 2).Budget(3).
				With(func(c *state.Cluster) { c.TLS.Peer.Previous.NotAfter = statetest.Now }),
			pending: []string{"RotatingCA: waiting until all members trust the new one: demo-0, demo-1, demo-2"},
			blocked: []string{waits("demo-2", "demo-0 would not accept it"), all},
		},
		"of two members only after a third": {
			cluster: outdated(statetest.Formed(2).Replicas(3).TLS()).Budget(2), step: secureLearner(2), pending: two,
			blocked: []string{waits("demo-1", "3 voters are wanted and there are 2"), some},
		},
		"of two members neither when one is too many, which goes first": {
			cluster: outdated(statetest.Formed(2).Replicas(1).TLS()).Budget(2), pending: two,
			step:    retire(statetest.Formed(2).Replicas(1).TLS(), 1),
			blocked: []string{some},
		},
		"a single member restarts": {
			cluster: outdated(formed(1)()), step: restarted(0), blocked: []string{left("demo-0")}, pending: one,
		},
		"a learner in flight comes first": {
			cluster: outdated(statetest.Formed(3).Replicas(5).Learner(3).Launch(3).TLS()).Budget(3),
			step: plan.DeletePod{Name: member(3), UID: podUID(3),
				Why: "it trusts other certificate authorities than those that are trusted now"},
			blocked: []string{"ScalingUp: learner demo-3", all}, pending: []string{"RotatingCA: demo-3"},
		},
		"none while no majority serves": {
			cluster: ready().NotServing(), blocked: []string{"QuorumLost: no majority serves", all}, pending: pending,
		},
		"none of a paused cluster": {
			cluster: ready().Spec(pausing), absent: noCertificates,
			blocked: []string{"Paused: A removal was about to begin"},
		},
	}.run(t)
}

func secureLearner(slot int) plan.Step {
	return plan.AddLearner{Slot: slot, Name: member(slot), PeerURL: resources.PeerURL(formed(1)().Build().Object, slot)}
}

func TestMembersThatTrustNothingOfWhatIsPublished(t *testing.T) {
	stranded := func(voters int) *statetest.Builder {
		return formed(voters)().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).SwitchAuthority(state.PeerSide).
			PublishTrust().Issue(state.PeerCertificate).Serve(0)
	}
	cutOff := func(slot int) plan.Step {
		return plan.DeletePod{Name: member(slot), UID: podUID(slot), Why: "it trusts nothing of what is published"}
	}
	unready := func(m *state.Member) { m.Pod.Ready = false }
	const lost, starting = "QuorumLost: no majority serves", "StartingMember: demo-0"
	pending := []string{"RotatingCA: served by demo-1, demo-2", "CertificateRenewing: demo-1, demo-2"}
	client := func() *statetest.Builder {
		return formed(3)().BeginRotation(state.ClientSide, statetest.Fresh().CA("next")).SwitchAuthority(state.ClientSide).
			PublishTrust().Issue(state.ServerCertificate, state.ClientCertificate, state.OperatorCertificate).Serve(0, 1, 2).
			Load(2).Unreachable(0, 1)
	}
	forget := func(c *state.Cluster) { delete(c.TLS.Trusts, byName(c, "demo-0").Pod.Trust) }
	sick := "MemberUnhealthy: only 0 of 3 voters would be healthy"
	restarting := "RotatingCA: left: demo-0, demo-1"
	waiting := []string{"RotatingCA: the client CA is rotated: waiting until all members trust the new one: demo-0, demo-1"}
	scenarios{
		"restart, all of them, when no majority serves": {
			cluster: stranded(3).Member(0, unready).Member(1, unready).Unlisted(), step: cutOff(0),
			blocked: []string{lost, starting}, wake: 1e9,
			pending: []string{"RotatingCA: served by demo-1, demo-2", "CertificateRenewing: demo-2"},
		},
		"not while a majority is ready and renewed certificates, which may let us in, are on their way": {
			cluster: stranded(3).Unlisted(), blocked: []string{lost, starting}, pending: pending, wake: 1e9,
		},
		"one after the other, without waiting": {
			cluster: stranded(3).Terminate(0).Member(1, unready).Unlisted(), step: cutOff(1),
			blocked: []string{lost, starting}, wake: 1e9,
			pending: []string{"RotatingCA: served by demo-1, demo-2", "CertificateRenewing: demo-2"},
		},
		"and start again when all have ended": {
			cluster: stranded(3).NoPod(0).Load(1, 2).Unlisted(), step: start(secured(resumed(3, 0), stranded(3))),
			blocked: []string{lost, "StartingMember: demo-1"}, pending: pending, wake: 1e9,
		},
		"not before there is what they could start with": {
			cluster: stranded(3).LoseTrusts().Unlisted(), blocked: []string{lost, starting}, pending: pending, wake: 1e9,
		},
		"not while certificates of before are published, which they accept": {
			cluster: formed(3)().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).SwitchAuthority(state.PeerSide).
				PublishTrust().Unlisted(),
			blocked: []string{lost, starting}, pending: []string{"RotatingCA: served by Secret demo-peer-tls"},
		},
		"not when their volume is being deleted": {
			cluster: stranded(1).Member(0, func(m *state.Member) { m.Volume.Terminating = true }).Unlisted(),
			blocked: []string{lost, starting}, pending: []string{"RotatingCA: demo-0"},
		},
		"not ephemeral ones, whose data would be lost": {
			cluster: statetest.Ephemeral(1).Replicas(1).TLS().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).
				SwitchAuthority(state.PeerSide).PublishTrust().Issue(state.PeerCertificate).Serve(0).Unlisted(),
			blocked: []string{lost, starting}, pending: []string{"RotatingCA: demo-0"},
		},
		"that only the operator cannot reach restart one at a time": {
			cluster: client(), step: plan.DeletePod{Name: member(0), UID: podUID(0), Why: "it trusts nothing of what is published"},
			blocked: []string{sick, "StartingMember: demo-0", restarting}, pending: waiting,
		},
		"not one of which nobody knows what it trusts, while a majority serves": {
			cluster: client().With(forget), pending: waiting, blocked: []string{sick, "StartingMember: demo-0", restarting},
		},
		"each when the kubelets find all others ready": {
			cluster: client().Member(1, func(m *state.Member) { m.Pod.Ready = false }), pending: waiting,
			blocked: []string{sick, "StartingMember: demo-0", restarting},
		},
	}.run(t)
}
