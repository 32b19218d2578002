package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// enoughRestarts of a container make a crash loop.
const enoughRestarts = 3

// crashLoop tells that etcd itself gives up again and again, and is not being tried once more right now.
func crashLoop(c *state.Cluster, m state.Member) bool { return gaveUp(c, m) && !m.Pod.Running }

// gaveUp tells that etcd itself gave up again and again (exit code 1 of its logger, 2 of a panic), while another member
// runs in the same way. The member's kubelet says so, which has to be ready to be trusted.
func gaveUp(c *state.Cluster, m state.Member) bool {
	p := m.Pod
	if p == nil || p.Terminating || p.Ready || m.Health != state.Unhealthy || p.NotReadySince.IsZero() ||
		p.Restarts < enoughRestarts || p.LastExit == nil || p.LastExit.Code != 1 && p.LastExit.Code != 2 || !sameRuns(c, m) {
		return false
	}
	n, exists := c.Nodes[p.Node]
	return !exists || n.Ready
}

// sameRuns tells that another member is healthy with the same template and trust: neither is what the crash comes from.
// What it trusts stops no member that ran before, only one that has to ask the others for the cluster: during a
// rotation the others wait for a crashing one before they load what is trusted by now.
func sameRuns(c *state.Cluster, m state.Member) bool {
	return slices.ContainsFunc(c.Voters(), func(other state.Member) bool {
		return other.ID != m.ID && other.Health == state.Healthy && other.Pod != nil &&
			other.Pod.Applied == m.Pod.Applied && (other.Pod.Trust == m.Pod.Trust || m.RecordedStarted())
	})
}

// crashing tells that the member crashes on its own data, by its last words.
func crashing(c *state.Cluster, m state.Member) loss {
	if !crashLoop(c, m) || !blamesData(m.Pod.LastExit.Message) {
		return loss{}
	}
	return loss{
		why: fmt.Sprintf("it crashes on its own data (it was restarted several times, last exit code %d)",
			m.Pod.LastExit.Code),
		at: m.Pod.NotReadySince.Add(resources.RepairAfter(c.Object)),
	}
}

// damaged are words by which etcd and what it is made of say that the member's own data is damaged or incomplete, and
// nothing else: the same words would not come from a full disk, a certificate or a flag. In lower case.
var damaged = []string{
	// The write-ahead log (etcd server/storage/wal/wal.go, walpb/record.go, 3.5: server/wal).
	"walpb: crc mismatch", "wal: crc mismatch", "wal: conflicting metadata found", "wal: file not found",
	"wal: snapshot mismatch", "wal: snapshot not found", "wal: slice bounds out of range",
	"wal: max entry size limit exceeded",
	// A database that is older than the log's snapshots (etcd server/etcdserver/bootstrap.go, server/storage/backend.go).
	"recover v3 backend from snapshot", "failed to find database snapshot file",
	// The log lacks what the member had acknowledged, or holds less than was applied (raft/v3 log.go, raft.go).
	"was the raft log corrupted, truncated, or lost?", "is out of range [prevapplied(", "is out of range [prevapplying(",
	"is out of range [lastindex(", "is out of bound lastindex(", "cannot use none as id",
	// The database (bbolt errors/errors.go, db.go, internal/common/page.go, internal/freelist).
	`"error":"invalid database"`, `"error":"checksum error"`, "invalid meta pages",
	"freepages: failed to get all reachable pages", "page expected to be: ", "invalid freelist page: ",
	"non-freelist page: ", "misplaced bucket header: ", "unexpected bucket header flag: ", "free page id: ",
}

// opening are functions of a panic's trace, where the words before it did not fit into what the kubelet keeps of a log
// (2 KiB): the database is behind the log's snapshot (etcd server/etcdserver/bootstrap.go), or bbolt walks over its
// pages, as it does when it opens it (db.go, tx_check.go).
var opening = []string{
	"etcdserver.recoversnapshot(",
	"go.etcd.io/bbolt.(*tx).recursivelycheckbucket(", "go.etcd.io/bbolt.(*db).freepages(",
	"go.etcd.io/bbolt.(*db).loadfreelist(",
}

// allGoroutines marks the trace of an error of the Go runtime, such as a want of memory or threads: it lists whatever
// was running.
const allGoroutines = " fp=0x"

// blamesData tells that etcd's last words can only mean that its own data is damaged. Unknown words are no blame: a
// member that could come back with its data must not be given up for them. Nor is a difference from a peer's data: etcd
// refuses to start when a single peer has other data, so that one corrupt member would have all good ones removed.
func blamesData(message string) bool {
	message = strings.ToLower(message)
	says := func(words string) bool { return strings.Contains(message, words) }
	return slices.ContainsFunc(damaged, says) || slices.ContainsFunc(opening, says) && !says(allGoroutines)
}

// reportCrashLoops tells of members that crash again and again for a reason that only a person can judge.
func reportCrashLoops(w *walk) {
	for _, m := range w.c.Voters() {
		// Two reasons are told of elsewhere, with what to do.
		told := full(m) || m.Pod != nil && m.Pod.LastExit != nil &&
			strings.Contains(m.Pod.LastExit.Message, state.DiffersFromPeers)
		if told || !m.Listed || !crashLoop(w.c, m) || lossOf(w.c, m).why != "" ||
			w.c.Now.Before(m.Pod.NotReadySince.Add(resources.RepairAfter(w.c.Object))) {
			continue
		}
		w.block(0, v1alpha1.ReasonMemberUnhealthy, fmt.Sprintf("%s crashes again and again (last exit code %d), and its "+
			"last words do not tell that its data is damaged: see kubectl -n %s logs %s --previous. If it cannot be "+
			"mended, have it replaced: %s", m.Name, m.Pod.LastExit.Code, w.c.Object.Namespace, m.Name, askCommand(w.c, m)))
	}
}
