package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestAMemberOnANodeThatIsNotReady(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	node := func(n state.Node) func(*state.Cluster) { return func(c *state.Cluster) { c.Nodes["node-1"] = n } }
	since := func(d time.Duration) state.Node { return state.Node{NotReadySince: ago(d)} }
	off := func(d time.Duration) state.Node { return state.Node{NotReadySince: ago(d), OutOfService: true} }
	dead := func(b *statetest.Builder) *statetest.Builder {
		return b.Member(1, func(m *state.Member) { m.Probe, m.Pod.Ready, m.Peer = state.Probe{}, false, state.PeerInactive })
	}
	peer := func(p state.Peer) func(*state.Member) { return func(m *state.Member) { m.Peer = p } }
	hosts := func(names ...string) func(*state.Member) {
		return func(m *state.Member) { m.Volume.Disk = &state.Disk{Searched: true, Hosts: names} }
	}
	const long = 5 * time.Minute
	const stays = "its node node-1 is not ready, and as long as nobody vouches that it is off (taint " +
		"node.kubernetes.io/out-of-service) its volume stays attached there"
	const nowhereElse = "its node node-1 is out of service, and its volume cannot be attached to another node that is ready"
	scenarios{
		"is waited for at first": {
			cluster: dead(three()).With(node(since(2 * time.Minute))), wake: 3 * time.Minute,
			blocked: []string{"MemberUnhealthy: demo-1: " + stays + "; unless it comes back, it is replaced after " +
				"2026-11-21T12:03:00Z", starting},
		},
		"as long as the spec says": {
			cluster: dead(three()).With(node(since(2 * time.Minute))).Spec(repairAfter(time.Hour)), wake: 58 * time.Minute,
			blocked: []string{"MemberUnhealthy: it is replaced after 2026-11-21T12:58:00Z", starting},
		},
		"is then replaced": {
			cluster: dead(three()).With(node(since(long))).Budget(3).Retire(1), step: gone(three(), 1, stays),
			blocked: []string{replaced("demo-1", stays), starting},
		},
		"is not while nobody knows since when": {
			cluster: dead(three()).With(node(state.Node{})), blocked: []string{starting},
		},
		"is not while the leader is connected to it": {
			cluster: dead(three()).With(node(since(long))).Member(1, peer(state.PeerActive)),
			blocked: []string{"StartingMember: demo-1 cannot be reached, but the leader is connected to it"},
		},
		"is looked at again when the leader may be proven to hear nothing of it": {
			cluster: dead(three()).With(node(since(long))).Member(1, peer(state.PeerActive)).
				With(func(c *state.Cluster) { c.Etcd.ListenAgain = time.Second }), wake: time.Second,
			blocked: []string{"StartingMember: demo-1 cannot be reached, but the leader is connected to it"},
		},
		"is not while it cannot be told whether the leader is": {
			cluster: dead(three()).With(node(since(long))).Member(1, peer(state.PeerUnknown)).
				With(func(c *state.Cluster) { c.Etcd.PeersErr = "connection refused" }),
			blocked: []string{"MemberUnhealthy: demo-1: " + stays + ". It is not replaced: its process may still run there, and " +
				"the leader cannot be asked whether it is connected to it: connection refused", starting},
		},
		"is not while it answers us": {
			cluster: three().Member(1, func(m *state.Member) { m.Probe.Leader = 0 }).With(node(since(long))),
			blocked: []string{"StartingMember: demo-1 does not follow the leader"},
		},
		"is replaced also when its Pod is being deleted, which nobody confirms": {
			cluster: dead(three()).Terminate(1).With(node(since(long))).Budget(3).Retire(1), step: gone(three(), 1, stays),
			blocked: []string{replaced("demo-1", stays), "StartingMember: demo-1: its Pod is being deleted on node node-1"},
		},
		"is replaced also when its Pod waits for that node": {
			cluster: dead(three()).With(node(since(long))).Budget(3).Retire(1).
				Member(1, func(m *state.Member) { m.Pod.Node, m.Pod.Pinned, m.Pod.Running = "", "node-1", false }),
			step: gone(three(), 1, stays), blocked: []string{replaced("demo-1", stays), starting},
		},
		"is replaced although another is being deleted on another such node": {
			cluster: dead(statetest.Formed(5)).Replicas(5).Terminate(1, 2).With(node(since(long))).
				With(func(c *state.Cluster) { c.Nodes["node-2"] = since(time.Minute) }).Budget(5).Retire(1),
			step:    gone(statetest.Formed(5), 1, stays),
			blocked: []string{replaced("demo-1", stays), "StartingMember: demo-1: its Pod is being deleted on node node-1"},
		},
		"is started elsewhere when somebody vouches that the node is off and the volume can be attached elsewhere": {
			cluster: dead(three()).NoPod(1).With(node(off(long))).Member(1, hosts("node-1", "node-2")),
			step:    start(resumed(3, 1)),
		},
		"is replaced when it cannot be": {
			cluster: dead(three()).NoPod(1).Retire(1).With(node(off(long))).Member(1, hosts("node-1")),
			step:    gone(three(), 1, nowhereElse), blocked: []string{replaced("demo-1", nowhereElse)},
		},
		"is replaced when the other nodes take no Pods": {
			cluster: dead(three()).NoPod(1).Retire(1).With(node(off(long))).Member(1, hosts("node-1", "node-2")).
				With(func(c *state.Cluster) { c.Nodes["node-2"] = state.Node{Ready: true, Unschedulable: true} }),
			step: gone(three(), 1, nowhereElse), blocked: []string{replaced("demo-1", nowhereElse)},
		},
		"of which nothing may be known is never replaced": {
			cluster: dead(three()).With(func(c *state.Cluster) { c.Nodes = nil }), blocked: []string{starting},
		},
		"with its data in its Pod is replaced too": {
			cluster: dead(statetest.Ephemeral(3)).With(node(since(long))).Budget(3).Retire(1),
			step:    gone(three(), 1, "its data is on node node-1, which is not ready"),
			blocked: []string{replaced("demo-1", "its data is on node node-1"), starting},
		},
		"that exists no more is lost at once when the volume was there, even if its Pod is listed still": {
			cluster: dead(three()).With(func(c *state.Cluster) { delete(c.Nodes, "node-1") }).Member(1, hosts()).Budget(3).Retire(1),
			step:    gone(three(), 1, "no node exists to which its volume "+volume(three(), 1)+" can be attached"),
			blocked: []string{replaced("demo-1", "no node exists"), starting},
		},
		"that exists no more is no proof that its process has ended": {
			cluster: three().NoPod(1).With(func(c *state.Cluster) { delete(c.Nodes, "node-1") }).
				Member(1, hosts()).Member(1, peer(state.PeerActive)),
			step: start(resumed(3, 1)),
			blocked: []string{"MemberUnhealthy: demo-1: no node exists to which its volume " + volume(three(), 1) +
				" can be attached. It is not replaced: the leader still counts it as an active peer"},
		},
		"is only reported when a person decides": {
			cluster: dead(three()).With(node(since(long))).Spec(manual),
			blocked: []string{"MemberLost: demo-1 is lost: " + stays + ". spec.repair.mode is Manual: to have it replaced, run " +
				"kubectl -n default annotate --overwrite etcdcluster demo quorate.dev/replace-member=" +
				resources.FormatID(three().ID(1)), starting},
		},
		"that exists no more is waited for with a Pod, where a person decides": {
			cluster: nodeless(three().NoPod(1), 1).Spec(manual), step: start(resumed(3, 1)),
			blocked: []string{"MemberLost: demo-1 is lost: no node exists"},
		},
		"that exists no more is waited for with a Pod, while another one is too many": {
			cluster: nodeless(three().NoPod(1), 1).Crash(2).Serving(), step: start(resumed(3, 1)),
			blocked: []string{"MemberUnhealthy: too few voters", "ReplacingMember: demo-1 is to be removed",
				"ReplacingMember: demo-1 is replaced", "StartingMember: demo-2"},
		},
		"a learner is given up as well": {
			cluster: three().Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).Retire(3).
				With(func(c *state.Cluster) { c.Nodes["node-3"] = since(long) }).
				Member(3, func(m *state.Member) { m.Probe, m.Peer = state.Probe{}, state.PeerInactive }),
			step:    gone(three().Learner(3), 3, "its node node-3 is not ready, and as long as nobody vouches that it is off (taint node.kubernetes.io/out-of-service) its volume stays attached there"),
			blocked: []string{"ScalingDown: learner demo-3 is removed: its node node-3"},
		},
	}.run(t)
}
