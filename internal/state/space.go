package state

import (
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// defaultKeepRevisions is how many revisions a compaction leaves that maintenance.compactOnNoSpace permits.
const defaultKeepRevisions = 1000

// Maintenance is what the spec says about it.
func (c *Cluster) Maintenance() v1alpha1.MaintenanceSpec {
	return ptr.Deref(c.Object.Spec.Maintenance, v1alpha1.MaintenanceSpec{})
}

// MayCompact tells that the spec permits a compaction when the quota is reached.
func (c *Cluster) MayCompact() bool { return ptr.Deref(c.Maintenance().CompactOnNoSpace, false) }

// KeepRevisions is the number of latest revisions that such a compaction leaves.
func (c *Cluster) KeepRevisions() int64 {
	return ptr.Deref(c.Maintenance().KeepRevisions, defaultKeepRevisions)
}

// Growth is how Kubernetes expands a volume.
type Growth struct {
	// Waiting is what the expansion waits for, in the words of Kubernetes; empty when it does not say.
	Waiting string
	// Failed tells that Waiting is a failure that Kubernetes tries again, and that somebody should know of.
	Failed bool
	// At is when the operator last had the volume expanded because its member had found it full; zero when never.
	At time.Time
}

// Growing tells that the claim asks for more than its volume has.
func (v Volume) Growing() bool { return v.Capacity > 0 && v.Capacity < v.Request }

// Usable is what the member can rely on, in bytes: what was asked for, and while that is not there yet what is there. A
// volume that is larger than was asked for, as some are from the beginning, counts as what was asked for.
func (v Volume) Usable() int64 {
	if v.Growing() {
		return v.Capacity
	}
	return v.Request
}

// Operation is a long call to a member that the operator does in the background, as far as it remembers.
type Operation struct {
	// Running tells that it goes on.
	Running bool
	// Ended is when the last one ended; zero when none has since the operator started.
	Ended time.Time
	// Err is why the last one failed, in stable words; empty when it did not.
	Err string
}

// History is how much of its past etcd holds.
type History struct {
	// Known tells that etcd was asked.
	Known bool
	// Revision is the latest one.
	Revision int64
	// Compacted tells that nothing older than the revisions that are to be kept is left.
	Compacted bool
}

// Quota is the database size in bytes at which the member stops accepting writes: in its own words (since etcd 3.6), or
// those of its command line; 0 when it is not known.
func (m Member) Quota() int64 {
	switch {
	case m.Probe.Answered && m.Probe.Quota > 0:
		return m.Probe.Quota
	case m.Pod != nil:
		return m.Pod.Quota
	default:
		return 0
	}
}

// Unused are the bytes of the member's database file that hold no data.
func (m Member) Unused() int64 { return max(0, m.Probe.DBSize-m.Probe.DBSizeInUse) }
