package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

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
