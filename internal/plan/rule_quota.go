package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// quotaEdit holds back an edit of the quota that would have etcd refuse all writes, or fill a volume. The alarm NOSPACE
// that one member raises is the whole cluster's (server/etcdserver/apply, "applierV3Capped"), so a quota below the
// database of any member reaches none; see quotaToGive. What fits once the file is defragmented is defragmented first.
func quotaEdit(w *walk) {
	c := w.c
	held := membersThat(c, func(m state.Member) bool { return quotaHeld(c, m) })
	if len(held) == 0 {
		return
	}
	quota := wantedQuota(c)
	above := crowding(c, quota)
	asks := fmt.Sprintf("the spec asks for a quota of %s, which is held back from %s, with all that waits for the same "+
		"restart (%s): ", size(quota), namesOf(held), editsOf(c, held))
	data := slices.DeleteFunc(slices.Clone(above), func(m state.Member) bool {
		return !m.Probe.Answered || percent(m.Probe.DBSizeInUse, quota) < highPercent
	})
	switch {
	case len(above) == 0:
		w.block(0, v1alpha1.ReasonVolumeGrowing, asks+"waiting until the volumes have as much; the smallest has "+
			size(quotaSize(c)))
	case len(data) > 0:
		w.block(0, v1alpha1.ReasonInvalidSpec, fmt.Sprintf("%sthe data of %s takes more than %d %% of that, and etcd would "+
			"accept no writes. Delete data that is not needed, compact and defragment; or raise etcd.quotaBackendBytes "+
			"(with ephemeral storage its sizeLimit)", asks, namesOf(data), highPercent))
	case !c.AllVotersHealthy() || !c.Formed():
		w.block(0, v1alpha1.ReasonRollingOut, asks+"files that are too large for it are defragmented first, once all voters "+
			"are healthy: "+sick(c))
	default:
		w.block(0, v1alpha1.ReasonRollingOut, asks+w.defragmentForQuota(above))
	}
}

// editsOf names what else of the spec waits with the quota.
func editsOf(c *state.Cluster, held []state.Member) string {
	var fields []string
	for _, m := range held {
		version, _ := target(c, m)
		d := difference(c, m, version)
		if fields = append(fields, d.Recreate...); d.Image {
			fields = append(fields, "etcd "+version)
		}
	}
	slices.Sort(fields)
	return strings.Join(slices.Compact(fields), ", ")
}

// defragmentForQuota has one of the members rewrite a file that is too large for the quota, and tells what is waited
// for. What a person has forbidden, or what does not help, is left to one.
func (w *walk) defragmentForQuota(above []state.Member) string {
	const by = "; defragment by hand (etcdctl defrag), or raise etcd.quotaBackendBytes"
	c, names := w.c, namesOf(above)
	o := ptr.Deref(c.Maintenance().Defragmentation, v1alpha1.Defragmentation{})
	if ptr.Deref(o.Mode, v1alpha1.DefragmentationAutomatic) == v1alpha1.DefragmentationDisabled ||
		len(c.Voters()) == 1 && !ptr.Deref(o.SingleMember, false) {
		return "the file of " + names + " is too large for it, and maintenance.defragmentation does not permit to shrink " +
			"it" + by
	}
	for _, m := range above {
		switch {
		case room(m) < 0:
			return "the file of " + m.Name + " is too large for it, and its volume has too little space for the copy that a " +
				"defragmentation makes: raise storage.size"
		case recently(c, m.Defragmentation, operationRetry):
			w.wakeAfter(operationRetry - c.Now.Sub(m.Defragmentation.Ended))
			return "the file of " + m.Name + " is too large for it still" + because(m.Defragmentation) + ", and is " +
				"defragmented again after a while" + by
		}
	}
	m := w.lastLeader(above)
	if staysWithLeader(c, m) {
		return m.Name + " leads and has to be defragmented, and all others are on cordoned nodes: waiting until one is not"
	}
	w.defragment(m, v1alpha1.ReasonRollingOut, "its file has to fit the quota that it is to get")
	return "members are defragmented first, one at a time; left: " + names
}

// staysWithLeader tells that the leadership would come back at once, were it taken from this leader: all others are on
// cordoned nodes; see drain.
func staysWithLeader(c *state.Cluster, m state.Member) bool {
	return c.Etcd.Leader == m.ID && !cordoned(c, m) && len(c.Voters()) > 1 &&
		!slices.ContainsFunc(c.Voters(), func(other state.Member) bool { return other.ID != m.ID && !cordoned(c, other) })
}

// quotaHeld tells that the member is not restarted for what it is rendered from, because of the quota in it.
func quotaHeld(c *state.Cluster, m state.Member) bool {
	if m.Pod == nil || m.Pod.Terminating {
		return false
	}
	version, _ := target(c, m)
	changed := difference(c, m, version).Recreate
	if !slices.Contains(changed, "etcd") && !slices.Contains(changed, "storage.ephemeral") {
		return false
	}
	quota := wantedQuota(c)
	return quota != m.Quota() && (ahead(c, quota) || quota < m.Quota() && len(crowding(c, quota)) > 0)
}

// ahead tells that the volumes are too small for the quota that the spec names.
func ahead(c *state.Cluster, quota int64) bool {
	return !c.Ephemeral() && !resources.DerivesQuota(c.Object) && quota > quotaSize(c)
}

// quotaToGive is the quota that a member is started with, in bytes: the spec's, unless that is held back. Then it is
// what the volumes have, or what the others run with. A quota that follows from the volumes is never held back.
func quotaToGive(c *state.Cluster) int64 {
	quota := wantedQuota(c)
	if resources.DerivesQuota(c.Object) && !c.Ephemeral() {
		return quota
	}
	if ahead(c, quota) {
		return quotaSize(c)
	}
	given := quota
	if len(crowding(c, quota)) > 0 {
		for _, m := range c.Members {
			given = max(given, m.Quota())
		}
	}
	return given
}

// crowding are the members whose database file takes too much of the quota, or that run and do not tell. One that has
// that quota already holds nothing back: the file of a new member, written from the log, may be larger than all others.
func crowding(c *state.Cluster, quota int64) []state.Member {
	return membersThat(c, func(m state.Member) bool {
		if m.Quota() == quota {
			return false
		}
		silent := m.Pod != nil && m.Pod.Running && !m.Probe.Answered
		return silent || m.Probe.Answered && percent(m.Probe.DBSize, quota) >= highPercent
	})
}
