package plan

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// etcd 3.7 cannot read what etcd 3.5 wrote to a member's log (tried: 3.5.35, 3.6.16 and 3.7.3 one after the other end
// in "panic: unmarshal should never fail"). Such entries are gone once the member saved a snapshot at 3.6, which it
// does after spec.etcd.snapshotCount entries, or when the cluster version is lowered (etcd
// server/etcdserver/apply/backend.go, ClusterVersionSet). So before an upgrade to 3.7 that is done: a downgrade to 3.5
// is enabled, until all members have converted their data, and cancelled again. One that was enabled to run 3.5 proves
// nothing: members may have written at 3.5 since they converted their data.
const (
	forgets   = "3.7" // cannot read logs from before
	forgotten = "3.6"
)

// oldLogs names a member whose log the wanted version may not be able to read; empty when there is none.
func oldLogs(c *state.Cluster) string {
	if state.Minor(c.Version()) != forgets || c.Latch.LogSince != "" && !Older(c.Latch.LogSince, forgotten) {
		return ""
	}
	for _, m := range c.Members {
		if !slices.Contains(c.Latch.Snapshots, m.ID) && Older(presentVersion(m), forgets) {
			return m.Name
		}
	}
	return ""
}

// backForSnapshots is the version of a member that is upgraded already. It goes back when another, which joined since
// or of which nobody knows any more, has to save a snapshot: a downgrade to 3.5 needs all members at 3.6. They can,
// because etcd's cluster version has not followed the upgrade (rule_version.go, refuseReturn).
func backForSnapshots(c *state.Cluster, wanted string) (string, *refusal) {
	name := oldLogs(c)
	if name == "" || c.Etcd.ClusterVersion != forgotten || c.DowngradeTarget() != "" {
		return wanted, nil
	}
	back := runningVersion(c)
	if state.Minor(back) != forgotten {
		back = wanted
	}
	return back, &refusal{v1alpha1.ReasonUpgrading, fmt.Sprintf("the upgrade to %s is taken back until %s "+
		"has saved a snapshot, which takes all members at etcd %s", wanted, name, forgotten)}
}

// forceSnapshots has all members save a snapshot, before an upgrade that needs it. It tells whether it is at that.
func (w *walk) forceSnapshots() bool {
	c := w.c
	name := oldLogs(c)
	if name == "" {
		return false
	}
	below := c.DowngradeTarget()
	switch {
	case below == "" && c.Etcd.ClusterVersion == forgotten && unfit(c) == "" && uniform(c) && joining(c) == "":
		w.propose(membership, EnableDowngrade{Target: "3.5", Save: true}, v1alpha1.ReasonUpgrading, fmt.Sprintf(
			"the log of %s may hold entries of etcd 3.5, which etcd %s cannot read: the lower cluster version has it saved in "+
				"a snapshot", name, c.Version()))
		return true
	case below == "" || joining(c) != "" || !logsSaved(c):
		return false
	case converted(c, below):
		w.ensure(RecordSnapshots{Members: idsOf(c)})
	}
	w.block(0, v1alpha1.ReasonUpgrading, "waiting until all members have saved a snapshot, because etcd "+c.Version()+
		" cannot read what etcd 3.5 wrote to their logs")
	w.wakeAfter(learnerPoll)
	return true
}

// logsSaved tells that members save snapshots, or have, and that none has written at the lower minor since.
func logsSaved(c *state.Cluster) bool { return c.Latch.Saving || len(c.Latch.Snapshots) > 0 }

// forgetSnapshots takes back that logs were saved, when the minor is wanted that writes what later ones cannot read.
func (w *walk) forgetSnapshots() {
	if Older(w.c.Version(), forgotten) && logsSaved(w.c) {
		w.ensure(RecordSnapshots{})
	}
}

// uniform tells that all members have the cluster version's minor.
func uniform(c *state.Cluster) bool {
	return !slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return state.Minor(presentVersion(m)) != c.Etcd.ClusterVersion
	})
}

// converted tells that every member reports data of the minor. etcd lowers it only after it saved a snapshot
// (server/storage/schema/schema.go, UnsafeMigrate).
func converted(c *state.Cluster, minor string) bool {
	return !slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return !c.Answers(m) || state.Minor(m.Probe.StorageVersion) != minor
	})
}

func idsOf(c *state.Cluster) []uint64 {
	var ids []uint64
	for _, m := range c.Members {
		ids = append(ids, m.ID)
	}
	return ids
}
