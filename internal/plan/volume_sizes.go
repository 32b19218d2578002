package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

const (
	// highPercent of the quota, used by data, is when volumes grow; and the file has to be below it for the quota to
	// count as observed again.
	highPercent = 80
	// crowdedPercent of a volume, taken by the database file, is when volumes grow: the rest is for the write-ahead log
	// and for a copy of the database (a snapshot, a defragmentation).
	crowdedPercent = 60
	// fullAgain is how long after an expansion a container's end with a full volume is still that from before: a crashed
	// container is started again within 5 minutes.
	fullAgain = 10 * time.Minute
)

// fullMark is how etcd's last words tell of a full volume (the text of ENOSPC).
const fullMark = "no space left on device"

// livingVolumes are those that may be started, or run: the members', those whose member is not known to be removed, and
// the one to which a lost cluster is salvaged.
func livingVolumes(c *state.Cluster) []state.Volume {
	var list []state.Volume
	for _, m := range c.Members {
		if m.Volume != nil {
			list = append(list, *m.Volume)
		}
	}
	if r := c.Underway(); r != nil && r.Volume != nil {
		list = append(list, *r.Volume)
	}
	return slices.DeleteFunc(append(list, unretired(c.Leftovers.Volumes)...), func(v state.Volume) bool {
		return v.Retired || v.Terminating || v.Foreign()
	})
}

// quotaSize is the volume size from which the default quota of all members follows, in bytes: that of the smallest
// volume, as it is there. A quota that runs ahead of an expansion would let the database fill the volume.
func quotaSize(c *state.Cluster) int64 {
	smallest := int64(0)
	for _, m := range c.Members {
		if m.Volume == nil || m.Volume.Request == 0 || m.Volume.Foreign() {
			continue
		}
		if usable := m.Volume.Usable(); smallest == 0 || usable < smallest {
			smallest = usable
		}
	}
	if smallest == 0 {
		return specSize(c)
	}
	return smallest
}

func specSize(c *state.Cluster) int64 { return ptr.To(resources.StorageSize(c.Object)).Value() }

// maxSize is spec.storage.maxSize in bytes; 0 without automatic growth.
func maxSize(c *state.Cluster) int64 {
	if q := c.Object.Spec.Storage.MaxSize; q != nil && !c.Ephemeral() {
		return q.Value()
	}
	return 0
}

// presentSize is the size that all volumes are to have, apart from growth that is due now: the spec's, or that of the
// largest volume. With automatic growth also what a claim asks for: its request is the record of the growth.
func presentSize(c *state.Cluster) int64 {
	wanted := specSize(c)
	for _, v := range livingVolumes(c) {
		wanted = max(wanted, v.Usable(), min(v.Request, maxSize(c)))
	}
	return wanted
}

// growth is an automatic growth that is due; without a reason there is none.
type growth struct {
	to   int64
	why  string
	full bool
	// stuck tells that maxSize does not permit what would be needed, or that growth would not help.
	stuck bool
}

// dueGrowth tells whether the volumes, all of which have or get the size, have to grow beyond it.
func dueGrowth(c *state.Cluster, size int64) growth {
	g, limit := growth{to: size}, maxSize(c)
	quota := func(size int64) int64 { return resources.QuotaBackendBytes(c.Object, size) }
	for _, m := range c.Members {
		switch p := m.Probe; {
		case m.Volume == nil:
		case full(m):
			g.why, g.full, g.to = m.Name+" stopped because its volume is full", true, max(g.to, larger(size))
		case p.Answered && resources.DerivesQuota(c.Object) && percent(p.DBSizeInUse, quota(size)) >= highPercent:
			g.why = fmt.Sprintf("the data fills more than %d %% of the quota, which follows the size of the volumes",
				highPercent)
			if quota(limit) > quota(size) {
				enough := func(size int64) bool { return percent(p.DBSizeInUse, quota(size)) < highPercent }
				g.to = max(g.to, sizeUntil(size, limit, enough))
			}
		case p.Answered && percent(p.DBSize, size) >= crowdedPercent:
			g.why = fmt.Sprintf("the database takes more than %d %% of the volume", crowdedPercent)
			enough := func(size int64) bool { return percent(p.DBSize, size) < crowdedPercent }
			g.to = max(g.to, sizeUntil(size, limit, enough))
		}
	}
	g.to = min(g.to, limit)
	g.stuck = g.to <= size
	return g
}

// sizeUntil is the first size, in steps, that is enough; limit at most.
func sizeUntil(size, limit int64, enough func(int64) bool) int64 {
	for next := size; ; {
		if next = larger(next); enough(next) || next >= limit {
			return next
		}
	}
}

// larger is the next size: half as much again and 1 GiB more at least, in whole GiB. Cloud providers let a volume be
// changed a few times a day only, so that many small steps would end in waiting.
func larger(size int64) int64 {
	const gib = 1 << 30
	return (max(size/2*3, size+gib) + gib - 1) / gib * gib
}

// full tells that the member does not run because its volume is full.
func full(m state.Member) bool {
	if m.Pod == nil || m.Probe.Answered || m.Pod.Running || m.Pod.LastExit == nil || m.Volume == nil {
		return false
	}
	since := m.Volume.Growth.At
	return strings.Contains(m.Pod.LastExit.Message, fullMark) &&
		(since.IsZero() || m.Pod.LastExit.At.After(since.Add(fullAgain)))
}

// growing tells that volumes are smaller than they are to be: the quota follows once they are not.
func growing(c *state.Cluster) bool {
	return slices.ContainsFunc(livingVolumes(c), state.Volume.Growing)
}

// growthFails tells that Kubernetes tries in vain to expand a volume.
func growthFails(c *state.Cluster) bool {
	return slices.ContainsFunc(livingVolumes(c), func(v state.Volume) bool { return v.Growing() && v.Growth.Failed })
}

// percent of whole that part is, rounded down; a whole of nothing is never filled.
func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * 100)
}

// size of so many bytes for people: rounded where it is no whole number of MiB.
func size(bytes int64) string {
	const mib = 1 << 20
	if bytes > mib {
		bytes = bytes / mib * mib
	}
	return resource.NewQuantity(bytes, resource.BinarySI).String()
}
