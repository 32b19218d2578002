package plan

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// volumeGrowth has the volumes expanded: to the size in the spec, and with storage.maxSize by as much as is needed. It
// is done whatever else is waited for, also for members that do not run and without a majority: a full volume may be
// what they wait for. It takes nothing away: for smaller volumes members are moved (rule_volume_shrinking.go).
func volumeGrowth(w *walk) {
	c := w.c
	if c.Ephemeral() {
		return
	}
	size := presentSize(c)
	if shrinking(c) && fit(c) != dataTooLarge {
		size = specSize(c)
	}
	step := ResizeVolumes{Size: size, Why: "storage.size asks for it"}
	if size > specSize(c) {
		step.Why = "all volumes are to have the same size"
	}
	if due := w.automaticGrowth(size); due.to > size {
		step = ResizeVolumes{Size: due.to, Full: due.full, Why: due.why}
	}
	step.SizeInSpec = largestInSpec(c)
	for _, v := range livingVolumes(c) {
		// Kubernetes changes the request of bound claims only, and takes it back only above what the volume has.
		asks := v.Request < step.Size || v.Request > step.Size && v.Capacity < step.Size
		if asks && v.Capacity > 0 {
			step.Claims = append(step.Claims, Claim{Name: v.Name, UID: v.UID, Request: v.Request})
		}
	}
	if len(step.Claims) > 0 {
		w.ensure(step)
	} else {
		w.recordSizeInSpec()
	}
	w.tellGrowth()
	w.tellShrinking()
}

// automaticGrowth is the growth that is due, one at a time: none while volumes are still being expanded. What is
// needed and not permitted is told.
func (w *walk) automaticGrowth(size int64) growth {
	c := w.c
	if growing(c) {
		return growth{}
	}
	due := dueGrowth(c, size)
	switch {
	case due.why == "":
	case maxSize(c) == 0 && due.full:
		w.block(0, v1alpha1.ReasonVolumeFull, due.why+": raise storage.size, or set storage.maxSize to let volumes grow "+
			"by themselves")
	case maxSize(c) == 0:
	case due.stuck && due.full:
		w.block(0, v1alpha1.ReasonVolumeFull, fmt.Sprintf("%s, and volumes have storage.maxSize: raise it", due.why))
	case due.stuck:
		w.pend(v1alpha1.ReasonVolumeGrowing, fmt.Sprintf("%s, and volumes cannot grow further: raise storage.maxSize (a "+
			"quota above 8Gi only by etcd.quotaBackendBytes), or delete data", due.why))
	default:
		return due
	}
	return growth{}
}

// tellGrowth tells which expansions go on, and what Kubernetes says about them.
func (w *walk) tellGrowth() {
	c := w.c
	var waiting, failed []string
	behind := false
	for _, v := range livingVolumes(c) {
		if !v.Growing() {
			continue
		}
		one := fmt.Sprintf("%s from %s to %s", v.Name, size(v.Capacity), size(v.Request))
		if v.Growth.Waiting != "" {
			one += " (" + v.Growth.Waiting + ")"
		}
		behind = behind || v.Capacity < specSize(c)
		if v.Growth.Failed {
			failed = append(failed, one)
		} else {
			waiting = append(waiting, one)
		}
	}
	if len(failed) > 0 {
		w.block(0, v1alpha1.ReasonVolumeGrowthRefused, "the storage provider fails to expand "+strings.Join(failed, ", ")+
			". Give it room, or take the expansion back: set storage.size to less, but more than the volumes have now")
	}
	message := "waiting until Kubernetes has expanded " + strings.Join(waiting, ", ")
	switch {
	case len(waiting) == 0:
	case behind:
		w.block(0, v1alpha1.ReasonVolumeGrowing, message)
	default:
		w.pend(v1alpha1.ReasonVolumeGrowing, message)
	}
}

// quotaNeed has members restart whose volumes have grown, and the quota that follows with them: etcd reads it only at
// its start. So do those that were started while the spec's own was held back. A quota that differs for another reason,
// such as another default rule of a later operator, restarts nobody.
func quotaNeed(c *state.Cluster, m state.Member) need {
	wanted := wantedQuota(c)
	heldBack := m.Pod != nil && !resources.DerivesQuota(c.Object) && m.Pod.Quota > 0 && m.Pod.Quota != wanted
	if heldBack && quotaToGive(c) == wanted {
		return need{how: recreated, activity: v1alpha1.ReasonRollingOut, why: "it has to load the quota of the spec"}
	}
	grown := m.Pod != nil && resources.DerivesQuota(c.Object) && m.Pod.Quota > 0 && m.Pod.Quota < wantedQuota(c) &&
		resources.RecordedVolumeSize(m.Pod.Applied) < quotaSize(c)
	if !grown {
		return need{}
	}
	return need{
		how: recreated, activity: v1alpha1.ReasonVolumeGrowing,
		why: "it has to load the quota that follows from its larger volume",
	}
}

// setSizes makes a new incarnation's volume as large as the others', unless they are to shrink, and its quota theirs,
// or what its own volume can hold. What the spec says is left to it.
func setSizes(c *state.Cluster, m state.Member, in *state.Incarnation) {
	if c.Ephemeral() {
		return
	}
	volume, quota := presentSize(c), quotaSize(c)
	if shrinking(c) && fit(c) == dataFits {
		volume = specSize(c)
	}
	if m.Volume == nil {
		quota = min(quota, volume)
	}
	if volume != specSize(c) {
		in.VolumeSize = volume
		in.SizeInSpec = largestInSpec(c)
	}
	if quota != specSize(c) {
		in.QuotaSize = quota
	}
}
