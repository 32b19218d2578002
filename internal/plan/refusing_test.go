package plan_test

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// outcast is a cluster whose published certificates are of a CA that no member trusts yet, because the former expired.
func outcast(b *statetest.Builder) *statetest.Builder {
	return b.BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).SwitchAuthority(state.PeerSide).
		PublishTrust().Issue(state.PeerCertificate).Serve(0).
		With(func(c *state.Cluster) { c.TLS.Peer.Previous.NotAfter = statetest.Now })
}

// shut is a cluster that accepts the operator's certificate no more: the former CA of the clients is worthless.
func shut(b *statetest.Builder) *statetest.Builder {
	return b.BeginRotation(state.ClientSide, statetest.Fresh().CA("next")).SwitchAuthority(state.ClientSide).PublishTrust().
		Issue(state.ServerCertificate, state.ClientCertificate, state.OperatorCertificate).Serve(0, 1, 2).Budget(3).
		With(func(c *state.Cluster) { c.TLS.Client.Previous.NotAfter = statetest.Now })
}

// stale is a cluster whose peers' certificate has expired, after the key of its CA was lost.
func stale(b *statetest.Builder) *statetest.Builder {
	return b.With(func(c *state.Cluster) {
		cert := c.TLS.Certificates[state.PeerCertificate]
		cert.NotAfter = statetest.Now
		c.TLS.Certificates[state.PeerCertificate] = cert
		c.TLS.Peer.Signer.Key = false
	})
}

func TestMembersThatLockTheOperatorOutOrRefuseOthers(t *testing.T) {
	three := func() *statetest.Builder { return outdated(formed(3)()) }
	ready := func() *statetest.Builder { return three().Budget(3) }
	left := func(who string) string {
		return "RotatingCA: members restart one at a time, because " + toLoad + "; left: " + who
	}
	all := left("demo-0, demo-1, demo-2")
	pending := []string{"RotatingCA: waiting until all members trust the new one as well: demo-0, demo-1, demo-2"}
	one := []string{"RotatingCA: waiting until all members trust the new one as well: demo-0"}
	waits := func(slot, why string) string {
		return "RotatingCA: " + slot + " is to be restarted (" + toLoad + "), but " + why
	}
	id := formed(3)().ID
	node := func(name string, n state.Node) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Nodes[name] = n }
	}
	locked := []string{"RotatingCA: waiting until all members trust the new one: demo-0, demo-1, demo-2"}
	replacing := func(slot int) func(*state.Cluster) {
		return annotated(v1alpha1.AnnotationReplaceMember, resources.FormatID(id(slot)))
	}
	freed := func(slot int) plan.Step {
		return plan.DeletePod{Name: member(slot), UID: podUID(slot), Why: "it trusts nothing of what is published"}
	}
	moving := func() *statetest.Builder {
		return outdated(statetest.Formed(3).Learner(3).Launch(3).TLS()).Load(3).Budget(3).Unreachable(1).
			Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = ptr.To("fast") }).
			With(func(c *state.Cluster) {
				for _, m := range c.Members {
					m.Volume.StorageClass = map[bool]string{true: "slow", false: "fast"}[m.Slot == 1]
				}
			})
	}
	unserved := []string{"RotatingCA: demo-1", "CertificateRenewing: demo-1"}
	left0 := []string{"RotatingCA: waiting until all members trust the new one: demo-0"}
	deleting := func(m *state.Member) { m.Volume.Terminating = true }
	scenarios{
		"the leader without handing over, when it locks us out": {
			cluster: shut(formed(3)()).Unreachable(0), step: freed(0), blocked: []string{"StartingMember: demo-0", all}, pending: locked,
		},
		"also when its node is cordoned": {
			cluster: shut(formed(3)()).Unreachable(0).Load(1, 2).With(node("node-0", state.Node{Ready: true, Unschedulable: true})),
			step:    freed(0), blocked: []string{"StartingMember: demo-0", left("demo-0")},
			pending: []string{"RotatingCA: waiting until all members trust the new one: demo-0"},
		},
		"the leader hands over when it is out of reach for another reason": {
			cluster: ready().Unreachable(0).Load(1, 2), blocked: []string{"StartingMember: demo-0", left("demo-0")}, pending: one,
			step: plan.MoveLeader{From: member(0), To: member(1), FromID: id(0), ToID: id(1)},
		},
		"first the one that would accept no other": {
			cluster: outcast(formed(3)()).Load(0, 2).Outdate(0, 2).Budget(3), step: restarted(1),
			pending: []string{"RotatingCA: demo-1", "CertificateRenewing"}, blocked: []string{"RotatingCA: left: demo-1"},
		},
		"one that nobody can reach also when it is to be moved: it has to be healthy for that": {
			cluster: ready().Unreachable(1).Member(1, func(m *state.Member) { m.Volume.StorageClass = "slow" }).
				Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Storage.StorageClassName = ptr.To("fast") }).
				Member(0, func(m *state.Member) { m.Volume.StorageClass = "fast" }).
				Member(2, func(m *state.Member) { m.Volume.StorageClass = "fast" }),
			step: restarted(1), blocked: []string{"StartingMember: demo-1", all}, pending: pending,
		},
		"one that does not run is made anew when what it trusts was published again: it may have mounted something else": {
			cluster: formed(3)().Crash(1).With(func(c *state.Cluster) {
				trust := c.TLS.Trusts[c.TLS.Trust]
				trust.Created = c.Members[1].Pod.Created.Add(time.Second)
				c.TLS.Trusts[c.TLS.Trust] = trust
			}),
			step: plan.DeletePod{Name: member(1), UID: podUID(1),
				Why: "it does not run, and what it trusts was published again since it was created"},
			blocked: []string{"StartingMember: demo-1"},
		},
		"one that locks us out and whose volume is being deleted waits for a person": {
			cluster: shut(formed(3)()).Unreachable(1).Member(1, deleting), pending: locked, blocked: []string{
				"StartingMember: demo-1", waits("demo-1", "it could not start again: its volume "+volume(formed(3)(), 1)+
					" is being deleted. To have it replaced instead, run kubectl -n default annotate --overwrite etcdcluster demo "+
					"quorate.dev/replace-member="+resources.FormatID(id(1))), all,
			},
		},
		"who may have it replaced": {
			cluster: shut(formed(3)()).Unreachable(1).Member(1, deleting).With(replacing(1)),
			step:    retire(formed(3)(), 1), pending: locked, blocked: []string{"StartingMember: demo-1",
				left("demo-0, demo-2") + ". members are moved to new members one at a time, because " + toLoad + "; left: demo-1"},
		},
		"also the leader, without handing over": {
			cluster: shut(formed(3)()).Unreachable(0).Member(0, deleting).With(replacing(0)),
			step:    retire(formed(3)(), 0), pending: locked, blocked: []string{"StartingMember: demo-0",
				"RotatingCA: members are moved to new members one at a time, because " + toLoad + "; left: demo-0. members restart one at a " +
					"time, because " + toLoad + "; left: demo-1, demo-2"},
		},
		"but not while another is in trouble": {
			cluster: shut(formed(3)()).Unreachable(1).Member(1, deleting).Member(2, func(m *state.Member) { m.Pod.Ready = false }).
				With(replacing(1)), pending: locked,
			blocked: []string{"StartingMember: demo-1", "RotatingCA: demo-1 is to be replaced (" + toLoad + "), but demo-2 has to be " +
				"healthy and ready first", "RotatingCA: members restart one at a time", "RotatingCA: a member that takes the place of demo-1"},
		},
		"and one that comes back is restarted, not replaced": {
			cluster: shut(formed(3)()).Unreachable(1).With(replacing(1)).
				Member(1, func(m *state.Member) {
					m.Volume.Disk = &state.Disk{Searched: true, Terminating: true, Hosts: []string{"node-1"}}
				}),
			step: freed(1), pending: locked, blocked: []string{"MovingMember: demo-1 is to be replaced, as a person asked, but",
				"StartingMember: demo-1", all},
		},
		"a single member restarts before others join that it would not accept": {
			cluster: outcast(formed(1)()).Replicas(3), step: restarted(0), blocked: []string{
				left("demo-0"),
				"ScalingUp: 3 voters are wanted, 1 are listed, but demo-0 does not accept a new member before it restarts",
			}, pending: left0,
		},
		"one that has begun to join goes, and comes again": {
			cluster: outcast(formed(1)().Replicas(3).Learner(1).Launch(1)).Crash(1), pending: []string{"RotatingCA: demo-1"},
			step: retire(formed(1)().Learner(1), 1), blocked: []string{
				"ScalingDown: learner demo-1 is removed: demo-0 does not accept it before it restarts", left("demo-0")},
		},
		"also when what it would not accept is a certificate that has expired and waits for the next CA": {
			cluster: stale(outdated(formed(1)())).Replicas(3), step: restarted(0), blocked: []string{
				left("demo-0"),
				"ScalingUp: 3 voters are wanted, 1 are listed, but demo-0 does not accept a new member before it restarts",
			}, pending: one,
		},
		"of three none restarts that the others would not let in again": {
			cluster: stale(ready()), pending: pending, blocked: []string{waits("demo-2", "demo-0 would not accept it"), all},
		},
		"of two members the one that accepts no third first hands over": {
			cluster: outcast(formed(2)()).Replicas(3).Load(1), pending: unserved,
			step: plan.MoveLeader{From: member(0), To: member(1), FromID: id(0), ToID: id(1)},
			blocked: []string{
				waits("demo-0", "only 1 of 2"), left("demo-0"),
				"ScalingUp: 3 voters are wanted, 2 are listed, but demo-0 does not accept a new member before it restarts"},
		},
		"and restarts after a third has joined": {
			cluster: outcast(formed(2)()).Replicas(3).Load(1).Leader(1), pending: unserved, step: secureLearner(2),
			blocked: []string{waits("demo-0", "only 1 of 2"), left("demo-0")},
		},
		"none whose learner takes another's place goes because that one is out of reach for a moment": {
			cluster: moving(), pending: []string{"RotatingCA: demo-0, demo-1, demo-2"},
			blocked: []string{"StartingMember: demo-1", "ScalingUp: waiting for learner demo-3", all},
		},
		"an ephemeral one never, which a person has to know": {
			cluster: outcast(statetest.Ephemeral(1).TLS()).Replicas(3), pending: left0, blocked: []string{
				"RotatingCA: members are moved", "ScalingUp: 3 voters are wanted, 1 are listed, but demo-0 does not accept a new " +
					"member before it restarts, which would cost its data: save it with etcdctl snapshot save"},
		},
	}.run(t)
}
