package plan

import (
	"fmt"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

const (
	// roomyPercent of what a smaller volume may hold, taken by the database file, is the most with which members start
	// to move there: it has to have room to grow.
	roomyPercent = 50
	// tightPercent of it ends that: the volumes become as large again as the largest is.
	tightPercent = 80
)

// fitting is what is known of whether the data fits on volumes of the size in the spec.
type fitting int

const (
	dataUnknown fitting = iota
	dataFits
	dataTooLarge
)

// shrinkNeed has voters moved to smaller volumes, which Kubernetes cannot make of theirs. The data of all is known to
// fit there, with room to grow.
func shrinkNeed(c *state.Cluster, m state.Member) need {
	if m.Volume == nil || !oversized(c, *m.Volume) || fit(c) != dataFits {
		return need{}
	}
	for _, voter := range c.Voters() {
		if !voter.Probe.Answered {
			return need{}
		}
	}
	return need{
		how: moved, activity: v1alpha1.ReasonMovingMember, why: fmt.Sprintf("its volume has %s and storage.size asks for %s",
			size(m.Volume.Usable()), size(specSize(c))),
	}
}

// oversized tells that the spec asks for a smaller volume than it once did of this one. One that became larger by need,
// or by somebody else, such as an admission webhook, is not: its successor would be as large, and be moved again. With
// automatic growth storage.size is what volumes begin with.
func oversized(c *state.Cluster, v state.Volume) bool {
	return !c.Ephemeral() && maxSize(c) == 0 && v.Usable() > specSize(c) && v.SizeInSpec > specSize(c)
}

// largestInSpec is what a volume records that is made as large as the others: the spec's size, or what one of them
// records.
func largestInSpec(c *state.Cluster) int64 {
	largest := specSize(c)
	for _, v := range livingVolumes(c) {
		largest = max(largest, v.SizeInSpec)
	}
	return largest
}

// recordSizeInSpec records a larger size in the spec also where the volumes have it already, and on volumes of a former
// release.
func (w *walk) recordSizeInSpec() {
	for _, v := range livingVolumes(w.c) {
		if v.SizeInSpec < specSize(w.c) {
			w.ensure(RecordSizeInSpec{Volume: v.Name, Size: specSize(w.c)})
		}
	}
}

// shrinking tells that volumes are larger than the spec asks for.
func shrinking(c *state.Cluster) bool {
	for _, v := range livingVolumes(c) {
		if oversized(c, v) {
			return true
		}
	}
	return false
}

// fit judges by the database files of the members that answer: a new member gets a copy of the leader's, free pages
// included. Once a volume has the smaller size it takes more to give up, so that members do not move to and fro.
func fit(c *state.Cluster) fitting {
	percentage, verdict := int64(roomyPercent), dataUnknown
	for _, v := range livingVolumes(c) {
		if !oversized(c, v) {
			percentage = tightPercent
		}
	}
	for _, m := range c.Members {
		switch {
		case !m.Probe.Answered:
		case percent(comes(c, m), shrunkLimit(c)) >= percentage:
			return dataTooLarge
		default:
			verdict = dataFits
		}
	}
	return verdict
}

// comes is what the member's database brings to a smaller volume, in bytes: its file, of which a new member gets a
// copy. Of one that has moved only its data counts: a file that it wrote from the log can be larger than those of the
// others, and be defragmented (found by the simulation: members moved to and fro for ever).
func comes(c *state.Cluster, m state.Member) int64 {
	if m.Volume != nil && !oversized(c, *m.Volume) {
		return m.Probe.DBSizeInUse
	}
	return m.Probe.DBSize
}

// shrunkLimit is what the database file may take on a volume of the size in the spec, in bytes.
func shrunkLimit(c *state.Cluster) int64 {
	return min(resources.QuotaBackendBytes(c.Object, specSize(c)), specSize(c)/100*crowdedPercent)
}

// tellShrinking tells why volumes stay larger than the spec asks for.
func (w *walk) tellShrinking() {
	c := w.c
	switch {
	case growing(c) || maxSize(c) > 0:
		return
	case !shrinking(c) && presentSize(c) > specSize(c):
		w.pend(v1alpha1.ReasonMovingMember, fmt.Sprintf("the volumes have %s and storage.size asks for %s: they stay, "+
			"because it was not storage.size that made them so large, or nothing records that it was",
			size(presentSize(c)), size(specSize(c))))
		return
	case !shrinking(c) || fit(c) != dataTooLarge:
		return
	}
	w.pend(v1alpha1.ReasonMovingMember, fmt.Sprintf("the volumes have %s and storage.size asks for %s, where the "+
		"database could take %s: members move to smaller volumes when its file is below %d %% of that on all of them "+
		"(delete data and defragment, or set storage.size to what the volumes have)", size(presentSize(c)),
		size(specSize(c)), size(shrunkLimit(c)), roomyPercent))
}
