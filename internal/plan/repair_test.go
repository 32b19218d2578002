package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
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

func TestAMemberThatCrashesOnItsOwnData(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	crashed := func(message string, change ...func(*state.Pod)) *statetest.Builder {
		return three().Crash(1).Member(1, func(m *state.Member) {
			m.Pod.Restarts, m.Pod.NotReadySince = 3, ago(5*time.Minute)
			m.Pod.LastExit = &state.Exit{Code: 2, Message: message}
			for _, f := range change {
				f(m.Pod)
			}
		})
	}
	const crash = "panic: freepages: failed to get all reachable pages"
	const why = "it crashes on its own data (it was restarted several times, last exit code 2)"
	const reload = "RotatingCA: demo-2 is to be restarted (it has to load the certificate authorities that are trusted now), "
	othersBehind := func(b *statetest.Builder) *statetest.Builder {
		return b.With(func(c *state.Cluster) {
			c.TLS.Trusts["demo-trust-former"] = c.TLS.Trusts[c.TLS.Trust]
			c.Members[0].Pod.Trust, c.Members[2].Pod.Trust = "demo-trust-former", "demo-trust-former"
		})
	}
	waits := []string{starting}
	told := append([]string{"MemberUnhealthy: demo-1 crashes again and again (last exit code 2), and its last words do not " +
		"tell that its data is damaged: see kubectl -n default logs demo-1 --previous. If it cannot be mended, have it " +
		"replaced: kubectl -n default annotate --overwrite etcdcluster demo quorate.dev/replace-member=" +
		resources.FormatID(three().ID(1))}, waits...)
	scenarios{
		"is replaced in the end, and its volume is kept": {
			cluster: crashed(crash).Budget(3),
			step:    plan.Retire{Name: member(1), Volume: volume(three(), 1), Evidence: true},
			blocked: []string{replaced("demo-1", why), starting},
		},
		"is removed once that is recorded": {
			cluster: crashed(crash).Budget(3).Retire(1).Member(1, func(m *state.Member) { m.Volume.Evidence = true }),
			step:    gone(three(), 1, why), blocked: []string{replaced("demo-1", why), starting},
		},
		"is given time": {
			cluster: crashed(crash, func(p *state.Pod) { p.NotReadySince = ago(time.Minute) }), wake: 4 * time.Minute,
			blocked: []string{"MemberUnhealthy: demo-1: " + why, starting},
		},
		"is given several attempts": {cluster: crashed(crash, func(p *state.Pod) { p.Restarts = 2 }), blocked: waits},
		"is not while it runs and may have overcome it": {
			cluster: crashed(crash, func(p *state.Pod) { p.Running, p.Waiting = true, "" }), blocked: waits,
		},
		"is not for a full volume": {
			cluster: crashed("panic: write /var/lib/etcd/member/snap/db: no space left on device"),
			blocked: append([]string{"VolumeFull: demo-1 stopped because its volume is full: raise storage.size"}, waits...),
		},
		"is not for a file that it may not read":           {cluster: crashed("open db: permission denied"), blocked: told},
		"is not for a certificate":                         {cluster: crashed("tls: failed to find any PEM data"), blocked: told},
		"is not for a flag":                                {cluster: crashed("flag provided but not defined: -x"), blocked: told},
		"is not for words that nobody has heard of before": {cluster: crashed("panic: unmarshal should never fail"), blocked: told},
		"which is told after a while only": {
			cluster: crashed("panic: what?", func(p *state.Pod) { p.NotReadySince = ago(time.Minute) }), blocked: waits,
		},
		"is not for a difference from a peer's data, which does not tell whose data is wrong": {
			cluster: crashed("discovery failed: 1a2b found data inconsistency with peers", func(p *state.Pod) { p.LastExit.Code = 1 }),
			blocked: waits,
		},
		"is not for the node's want of memory or threads": {
			cluster: crashed("mmap allocate error: cannot allocate memory"), blocked: told,
		},
		"is not for a predecessor that still runs": {
			cluster: crashed("failed to open WAL: fileutil: file already locked"), blocked: told,
		},
		"is not for a file system that its node made read-only": {
			cluster: crashed("write wal: read-only file system"), blocked: told,
		},
		"is not when nothing tells why": {cluster: crashed(""), blocked: told},
		"is not for what merely ran when the Go runtime gave up, as for want of memory": {
			cluster: crashed("go.etcd.io/bbolt.(*DB).freepages(0x1)\n\tbbolt/db.go:1299 +0x18b fp=0x144e sp=0x144d pc=0xa3"), blocked: told,
		},
		"is replaced on request for any words: the person has seen them; its volume is kept": {
			cluster: crashed("panic: what?").Budget(3).With(annotated(v1alpha1.AnnotationReplaceMember, resources.FormatID(three().ID(1)))),
			step:    plan.Retire{Name: member(1), Volume: volume(three(), 1), Evidence: true},
			blocked: []string{replaced("demo-1", "it is unhealthy; a person asked for its replacement"), starting},
		},
		"is not for being killed": {
			cluster: crashed(crash, func(p *state.Pod) { p.LastExit.Code = 137 }), blocked: waits,
		},
		"is not when the others run with another template": {
			cluster: crashed(crash).Outdate(0, 2), blocked: []string{starting, "RollingOut: demo-2 is to be restarted", "RollingOut: left: demo-0, demo-2"},
		},
		"is also when the others have yet to load a new certificate authority, and wait for it to do so": {
			cluster: othersBehind(crashed(crash).Budget(3).TLS()),
			step:    plan.Retire{Name: member(1), Volume: volume(three().TLS(), 1), Evidence: true},
			blocked: []string{replaced("demo-1", why), starting, "RotatingCA: left: demo-0, demo-2"},
		},
		"is not when it never ran, and may only not be let in": {
			cluster: othersBehind(crashed(crash).Budget(3).TLS()).With(func(c *state.Cluster) {
				c.Members[1].Volume.Started, c.Members[1].Pod.Sealed = false, false
			}),
			blocked: []string{starting, reload + "but demo-1 has to be healthy", "RotatingCA: left: demo-0, demo-2"},
		},
		"is not when the node tells nothing new": {
			cluster: crashed(crash).With(func(c *state.Cluster) { c.Nodes["node-1"] = state.Node{} }), blocked: waits,
		},
	}.run(t)
}

// The last words are those of etcd 3.5.35, 3.6.16 and 3.7.3 on data that was damaged so, as far as a kubelet keeps them.
func TestDamagedDataIsKnownByEtcdsWords(t *testing.T) {
	for damage, words := range map[string]string{
		"bytes changed in the log, 3.5":          `"msg":"discovery failed","error":"walpb: crc mismatch","stacktrace":"go.etcd.io/etcd`,
		"bytes changed in the log, 3.7":          `"error":"walpb: crc mismatch: expected: dbd1f8ff computed: 9a698adf: in file '0000.wal' at position: 19032"`,
		"the log overwritten":                    "panic: cannot use none as id\n\ngoroutine 1 [running]:\ngo.etcd.io/raft/v3.newRaft(0x2c269720e8c0)",
		"the log's end lost":                     "panic: tocommit(123) is out of range [lastIndex(60)]. Was the raft log corrupted, truncated, or lost?",
		"the database's first pages overwritten": `"msg":"failed to open database","path":"member/snap/db","error":"invalid database",`,
		"other pages of it overwritten":          "panic: assertion failed: Page expected to be: 55, but self identifies as 59199355988344",
		"the same, of which only the trace is left": "go.etcd.io/bbolt.(*Tx).checkInvariantProperties(0x1470f2274000, 0x21)\n\t" +
			"tx_check.go:143 +0xb2\ngo.etcd.io/bbolt.(*Tx).recursivelyCheckBucket(0x1470f2274000, 0x1470f2274018)\n\ttx_check.go:130 +0x73",
		"the database deleted or emptied":                "recover v3 backend from snapshot\n\ngoroutine 1 [running]:",
		"the same, of which only the trace is left, 3.6": "go.etcd.io/etcd/server/v3/etcdserver.recoverSnapshot({{0x7ffd51c6a8b9, 0x1}})",
	} {
		t.Run(damage, func(t *testing.T) {
			three := statetest.Formed(3)
			c := three.Crash(1).Member(1, func(m *state.Member) {
				m.Pod.Restarts, m.Pod.NotReadySince = 3, ago(5*time.Minute)
				m.Pod.LastExit = &state.Exit{Code: 2, Message: words}
			}).Budget(3).Build()
			if want := (plan.Retire{Name: member(1), Volume: volume(three, 1), Evidence: true}); plan.Next(c).Step != want {
				t.Errorf("the step is %v, want %v", plan.Next(c).Step, want)
			}
		})
	}
}

func TestACorruptMemberIsReplacedWhenTheOthersAgree(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	alarm := func(id uint64) func(*state.Cluster) {
		return func(c *state.Cluster) {
			c.Etcd.Alarms = append(c.Etcd.Alarms, state.Alarm{Type: "CORRUPT", Member: "demo-1", ID: id})
		}
	}
	hash := func(h state.Hash) func(*state.Member) { return func(m *state.Member) { m.Hash = &h } }
	right, wrong := state.Hash{Value: 1, Revision: 9}, state.Hash{Value: 2, Revision: 9}
	hashed := func(zero, two state.Hash) *statetest.Builder {
		return three().With(alarm(three().ID(1))).Member(0, hash(zero)).Member(1, hash(wrong)).Member(2, hash(two))
	}
	retire := plan.Retire{Name: member(1), Volume: volume(three(), 1), Evidence: true}
	const why = "its data is corrupt: it differs from the others', which agree"
	const told = "Alarm: etcd reports CORRUPT for demo-1, whose data differs"
	const stop = "Alarm: nothing is removed or added until the alarm is cleared, because the hashes of "
	without := func(b *statetest.Builder) *statetest.Builder {
		return b.With(func(c *state.Cluster) { c.Members = append(c.Members[:1], c.Members[2:]...) }).Budget(2)
	}
	scenarios{
		"it is recorded, with its volume as evidence": {
			cluster: hashed(right, right).Budget(3), step: retire, blocked: []string{told, replaced("demo-1", why)},
		},
		"also when its removal was recorded before for another reason": {
			cluster: hashed(right, right).Budget(3).Retire(1), step: retire, blocked: []string{told, replaced("demo-1", why)},
		},
		"it is removed": {
			cluster: hashed(right, right).Budget(3).Retire(1).Member(1, func(m *state.Member) { m.Volume.Evidence = true }),
			step:    gone(three(), 1, why), blocked: []string{told, replaced("demo-1", why)},
		},
		"then the alarm is ended, so that etcd accepts writes": {
			cluster: without(hashed(right, right)), step: plan.DisarmAlarm{Type: "CORRUPT", Member: three().ID(1)},
			blocked: []string{"Alarm: etcd reports CORRUPT for the removed member demo-1"},
		},
		"also while the quota is reached: nothing can be compacted before": {
			cluster: hashed(right, right).Budget(3).With(func(c *state.Cluster) {
				c.Etcd.Alarms = append([]state.Alarm{{Type: "NOSPACE", Member: "demo-2", ID: three().ID(2)}}, c.Etcd.Alarms...)
			}),
			step: retire, blocked: []string{told, "Alarm: demo-2 has reached its quota", replaced("demo-1", why)},
		},
		"nothing is done when the others do not agree": {
			cluster: hashed(right, state.Hash{Value: 3, Revision: 9}), blocked: []string{stop + "1 of 3"},
		},
		"nothing is done while the members hash their data still": {
			cluster: hashed(right, state.Hash{Value: 1, Revision: 8}).With(func(c *state.Cluster) { c.Etcd.Hashing = true }),
			blocked: []string{"Alarm: etcd reports CORRUPT for demo-1: waiting until the members have hashed their data"},
		},
		"nor is the end waited for when enough agree": {
			cluster: hashed(right, right).Budget(3).With(func(c *state.Cluster) { c.Etcd.Hashing = true }), step: retire,
			blocked: []string{told, replaced("demo-1", why)},
		},
		"nothing is done when they hash different revisions": {
			cluster: hashed(right, state.Hash{Value: 1, Revision: 8}), blocked: []string{stop + "1 of 3"},
		},
		"nothing is done when they have compacted differently": {
			cluster: hashed(right, state.Hash{Value: 1, Revision: 9, Compacted: 4}), blocked: []string{stop + "1 of 3"},
		},
		"nothing is done when etcd cannot tell whose data is corrupt": {
			cluster: three().With(alarm(0)).Member(0, hash(right)).Member(1, hash(right)).Member(2, hash(right)),
			blocked: []string{stop + "3 of 3"},
		},
		"nothing is done when too many are named": {
			cluster: hashed(right, right).With(alarm(three().ID(2))), blocked: []string{stop + "1 of 3", stop + "1 of 3"},
		},
		"its volume is kept, and people are told of it": {
			cluster: three().LeftoverVolume(1, true).With(func(c *state.Cluster) { c.Leftovers.Volumes[0].Evidence = true }),
			pending: []string{"Alarm: the volume demo-1-00000000000000f1 of a removed member is kept"},
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
			blocked: []string{"MemberUnhealthy: demo-1: " + its + " is being deleted; unless it comes back", "ScalingUp: demo-3", starting},
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
