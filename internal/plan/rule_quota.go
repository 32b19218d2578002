package plan

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// quotaEdit holds back an edit of the quota that would have etcd refuse all writes, or fill a volume. The alarm NOSPACE
// that one member raises is the whole cluster's (server/etcdserver/apply, "applierV3Capped"), so a quota below the
// database of any member reaches none. What fits once the file is defragmented is defragmented first.
func quotaEdit(w *walk) {
	c := w.c
	held := membersThat(c, func(m state.Member) bool { return quotaHeld(c, m) })
	if len(held) == 0 {
		return
	}
	quota := wantedQuota(c)
	above := crowding(c, quota)
	fragmented := slices.DeleteFunc(slices.Clone(above), func(m state.Member) bool {
		return percent(m.Probe.DBSizeInUse, quota) >= highPercent || recently(c, m.Defragmentation, defragmentationRest)
	})
	asks := fmt.Sprintf("the spec asks for a quota of %s, and %s runs on with what it has: ", size(quota), namesOf(held))
	switch {
	case len(above) == 0:
		w.block(0, v1alpha1.ReasonVolumeGrowing, asks+"waiting until the volumes have as much; the smallest has "+
			size(quotaSize(c)))
	case len(fragmented) < len(above):
		w.block(0, v1alpha1.ReasonInvalidSpec, fmt.Sprintf("%sthe database of %s takes more than %d %% of that, and etcd "+
			"would accept no writes. Delete data that is not needed, compact and defragment; or raise etcd.quotaBackendBytes "+
			"(with ephemeral storage its sizeLimit)", asks, namesOf(above), highPercent))
	case !c.AllVotersHealthy():
		w.block(0, v1alpha1.ReasonRollingOut, asks+"its file is defragmented first, once all voters are healthy: "+sick(c))
	default:
		w.block(0, v1alpha1.ReasonRollingOut, asks+"members are defragmented first, one at a time; left: "+
			namesOf(fragmented))
		w.defragment(w.lastLeader(fragmented), v1alpha1.ReasonRollingOut, "its file has to fit the quota that it is to get")
	}
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
	ahead := !c.Ephemeral() && !resources.DerivesQuota(c.Object) && quota > quotaSize(c)
	return quota != m.Quota() && (ahead || quota < m.Quota() && len(crowding(c, quota)) > 0)
}

// crowding are the members whose database file takes too much of the quota.
func crowding(c *state.Cluster, quota int64) []state.Member {
	return membersThat(c, func(m state.Member) bool {
		return m.Probe.Answered && percent(m.Probe.DBSize, quota) >= highPercent
	})
}
