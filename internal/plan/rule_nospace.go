package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

const (
	alarmNoSpace = "NOSPACE"
	// operationRetry is after how long a failed defragmentation or compaction is tried again, and after how long a
	// defragmentation that did not help is.
	operationRetry = 10 * time.Minute
)

// noSpace makes a cluster accept writes again that has reached its quota, as far as it may: larger volumes give a
// larger quota; unused space is given back, one member at a time; history is dropped only where the spec says so. The
// alarm is disarmed once every member is well below its quota. Meanwhile no member is removed that is not lost.
func noSpace(w *walk) {
	var raised []state.Alarm
	var names []string
	for _, a := range w.c.Etcd.Alarms {
		if a.Type == alarmNoSpace {
			raised, names = append(raised, a), append(names, a.Member)
		}
	}
	if len(raised) == 0 {
		return
	}
	if slices.ContainsFunc(w.c.Members, func(m state.Member) bool { return corrupt(w.c, m) }) {
		// etcd compacts nothing before that is settled (server/etcdserver/apply/corrupt.go, Compaction).
		w.block(0, v1alpha1.ReasonAlarm, strings.Join(names, ", ")+" has reached its quota: that can be mended once the "+
			"member with corrupt data is replaced; disarm no alarm before")
		return
	}
	full := strings.Join(names, ", ") + " has reached its quota and etcd accepts no writes: "
	if above := aboveQuota(w.c); len(above) == 1 && above[0].Learner {
		// etcd defragments no learner (server/etcdserver/api/v3rpc/util.go, isRPCSupportedForLearner).
		w.block(0, v1alpha1.ReasonAlarm, full+"learner "+above[0].Name+" is above its own, and can be defragmented once it "+
			"votes")
		return
	}
	message := full + w.makeSpace(raised)
	forbid := membership
	if replacing(w.c) {
		forbid = 0
	}
	w.block(forbid, v1alpha1.ReasonAlarm, message)
}

// replacing tells that a member is lost, or the one in its place on its way: restarts that load a larger quota, and
// defragmentation, wait for it. Of two voters none can be restarted before there is a third.
func replacing(c *state.Cluster) bool {
	return c.Learner() != nil || len(c.Voters()) == 2 ||
		slices.ContainsFunc(c.Voters(), func(m state.Member) bool { return lost(c, m) != "" })
}

// quotaReached tells that an alarm stands until which nobody is added: what mends it cannot wait for more voters.
func quotaReached(c *state.Cluster) bool {
	return slices.ContainsFunc(c.Etcd.Alarms, func(a state.Alarm) bool { return a.Type == alarmNoSpace })
}

// makeSpace does the next thing that helps, and tells what it is, or what a person has to do.
func (w *walk) makeSpace(raised []state.Alarm) string {
	c := w.c
	if w.forbidden&membership != 0 || !c.Etcd.Listed {
		return "waiting for the above"
	}
	above := aboveQuota(c)
	if silent := silentMembers(c); silent != "" {
		return "waiting until " + silent + " answers, which may be above its quota"
	}
	if len(above) == 0 {
		w.disarm(raised)
		return fmt.Sprintf("every member is below %d %% of its quota by now, and the alarm is disarmed", highPercent)
	}
	if growing(c) && !growthFails(c) {
		return "waiting until the volumes are expanded, from whose size the quota follows"
	}
	if small := belowWantedQuota(c); len(small) > 0 && !c.Ephemeral() { // whose data would go with a restart
		return w.raiseQuota(small)
	}
	full := membersThat(c, dataFillsQuota)
	switch {
	case len(full) == 0:
		return w.defragmentAbove(above)
	case !c.MayCompact():
		return w.advice(full)
	case !c.Etcd.History.Compacted:
		return w.compact()
	case slices.ContainsFunc(above, func(m state.Member) bool { return freedUnseen(c, m) }):
		return w.defragmentAbove(membersThat(c, func(m state.Member) bool { return freedUnseen(c, m) }))
	default:
		return w.advice(full)
	}
}

// freedUnseen tells that a compaction may have freed more of the database than the member says: pages count as used
// until later writes, of which there are none now (bbolt, Stats.FreePageN, is without pending pages). A
// defragmentation brings it to light; one after the compaction is enough.
func freedUnseen(c *state.Cluster, m state.Member) bool {
	return m.Probe.Answered && percent(m.Probe.DBSize, m.Quota()) >= highPercent &&
		(m.Defragmentation.Ended.IsZero() || m.Defragmentation.Err != "" || beforeCompaction(c, m))
}

// beforeCompaction tells that the member's last defragmentation ended before the last compaction.
func beforeCompaction(c *state.Cluster, m state.Member) bool {
	return m.Defragmentation.Ended.Before(c.Etcd.Compaction.Ended)
}

// disarm proposes to end an alarm. Invariant: every member that can be asked is below its quota with room to spare, so
// that etcd does not raise it again at once; that is looked at live.
func (w *walk) disarm(raised []state.Alarm) {
	for _, a := range raised {
		if a.ID != 0 {
			w.propose(membership, DisarmAlarm{Type: a.Type, Member: a.ID}, v1alpha1.ReasonAlarm,
				fmt.Sprintf("every member is below %d %% of its quota", highPercent))
		}
	}
}

// raiseQuota restarts a member whose quota is smaller than the spec and the volumes allow by now.
func (w *walk) raiseQuota(small []state.Member) string {
	m := w.lastLeader(small)
	w.restart(m, v1alpha1.ReasonAlarm, "it has to load a larger quota")
	return fmt.Sprintf("members restart one at a time with a quota of %s; left: %s", size(quotaToGive(w.c)),
		namesOf(small))
}

// defragmentAbove gives unused space back: the data itself leaves room in every member that is above.
func (w *walk) defragmentAbove(above []state.Member) string {
	var rested []state.Member
	for _, m := range above {
		if m.Learner {
			continue // once it votes; see noSpace
		}
		if room(m) < 0 {
			return fmt.Sprintf("%s has to be defragmented, and its volume has too little space for the copy that this "+
				"makes: raise storage.size", m.Name)
		}
		if !recently(w.c, m.Defragmentation, operationRetry) || beforeCompaction(w.c, m) {
			rested = append(rested, m)
		}
	}
	if len(rested) == 0 {
		w.wakeAfter(operationRetry)
		return fmt.Sprintf("%s was defragmented and is above its quota still%s; that is tried again in %s. Delete data, "+
			"or raise storage.size or etcd.quotaBackendBytes", above[0].Name, because(above[0].Defragmentation),
			operationRetry)
	}
	m := w.lastLeader(rested)
	w.defragment(m, v1alpha1.ReasonAlarm, "its database file has reached the quota, and much of it is unused")
	return "members are defragmented one at a time; left: " + namesOf(rested)
}

// compact drops history. Invariant: the spec permits it; only what was overwritten or deleted, and is older than the
// revisions to keep, is lost. Whether that is still so is looked at live.
func (w *walk) compact() string {
	c := w.c
	switch {
	case !c.Etcd.History.Known:
		return "waiting until etcd tells its latest revision"
	case recently(c, c.Etcd.Compaction, operationRetry):
		w.wakeAfter(operationRetry)
		return "a compaction has ended" + because(c.Etcd.Compaction) +
			"; waiting until its effect shows, or it is tried again"
	}
	w.propose(membership, Compact{Keep: c.KeepRevisions()}, v1alpha1.ReasonAlarm,
		"the data and its history fill the quota, and maintenance.compactOnNoSpace is set")
	return fmt.Sprintf("etcd's history is compacted, all but the latest %d revisions", c.KeepRevisions())
}

// advice is what a person can do where the operator may not, or where what it may does not help.
func (w *walk) advice(above []state.Member) string {
	c := w.c
	todo := []string{"delete data that is not needed, compact and defragment"}
	switch {
	case !c.MayCompact():
		todo = append(todo, "set maintenance.compactOnNoSpace, which drops etcd's history")
	case c.KeepRevisions() > 1:
		todo = append(todo, "lower maintenance.keepRevisions")
	}
	switch {
	case c.Ephemeral():
	case !resources.DerivesQuota(c.Object):
		todo = append(todo, "raise etcd.quotaBackendBytes, within storage.size")
	case maxSize(c) > 0:
		todo = append(todo, "raise storage.maxSize")
	default:
		todo = append(todo, "raise storage.size, or set storage.maxSize")
	}
	advice := strings.ToUpper(todo[0][:1]) + strings.Join(todo, "; or ")[1:]
	return fmt.Sprintf("the data and its history fill more than %d %% of the quota of %s, so that defragmentation does "+
		"not help. %s; the rest is done then", highPercent, namesOf(above), advice)
}

// aboveQuota are the members whose database file takes too much of their quota for the alarm to be disarmed.
func aboveQuota(c *state.Cluster) []state.Member {
	return membersThat(c, func(m state.Member) bool {
		return m.Probe.Answered && (m.Quota() == 0 || percent(m.Probe.DBSize, m.Quota()) >= highPercent)
	})
}

func dataFillsQuota(m state.Member) bool {
	return m.Probe.Answered && (m.Quota() == 0 || percent(m.Probe.DBSizeInUse, m.Quota()) >= highPercent)
}

// silentMembers names a member that may run, and does not tell its size. One that is known not to run counts for
// nothing: when it is started again and above its quota, it raises the alarm anew.
func silentMembers(c *state.Cluster) string {
	return namesOf(membersThat(c, func(m state.Member) bool {
		return !m.Probe.Answered && m.Pod != nil && (m.Health == state.Unknown || m.Pod.Running)
	}))
}

// wantedQuota is the quota that the spec asks for, or that follows from the volumes.
func wantedQuota(c *state.Cluster) int64 { return resources.QuotaBackendBytes(c.Object, quotaSize(c)) }

func belowWantedQuota(c *state.Cluster) []state.Member {
	return membersThat(c, func(m state.Member) bool {
		return !m.Learner && m.Pod != nil && m.Pod.Quota > 0 && m.Pod.Quota < quotaToGive(c)
	})
}

func membersThat(c *state.Cluster, is func(state.Member) bool) []state.Member {
	return slices.DeleteFunc(slices.Clone(c.Members), func(m state.Member) bool { return !is(m) })
}

func namesOf(members []state.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

// recently tells that the last operation ended less than d ago.
func recently(c *state.Cluster, o state.Operation, d time.Duration) bool {
	return !o.Ended.IsZero() && c.Now.Sub(o.Ended) < d
}

func because(o state.Operation) string {
	if o.Err == "" {
		return ""
	}
	return " (it failed: " + o.Err + ")"
}
