package plan

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// Until a quorum was seen all members run one minor, which the latch records: each writes data that others may refuse
// ("invalid downgrade", or a log that etcd 3.7 cannot read), and nothing tells yet what the members agreed on. An edit
// to another minor is taken up at once while surely none of them ran, so that a version that does not exist can be
// mended; else once the cluster has formed, as any other.

// bootstrapVersion is what members start with until a quorum was seen.
func bootstrapVersion(c *state.Cluster) string {
	wanted := c.Version()
	if c.Latch == nil || state.Minor(c.Latch.Version) == state.Minor(wanted) || !mayHaveRun(c) {
		return wanted
	}
	return c.Latch.Version
}

func mayHaveRun(c *state.Cluster) bool {
	return c.Etcd.Listed || c.Etcd.Serving ||
		slices.ContainsFunc(c.Members, func(m state.Member) bool { return !neverRan(c, m) })
}

// neverRan tells that surely no etcd ran on what is there of the member's data. Of a member without a Pod that is known
// only when its volume was given another version than the latch has by now: the latch took that up because none had
// run.
func neverRan(c *state.Cluster, m state.Member) bool {
	p := m.Pod
	switch {
	case m.RecordedStarted() || m.Probe.Answered:
		return false
	case p != nil:
		return p.Unused && !p.Running && !p.Finished && p.Restarts == 0 && p.LastExit == nil
	case m.Volume != nil:
		return c.Latch != nil && state.Minor(m.Volume.Version) != state.Minor(c.Latch.Version)
	default:
		return true
	}
}

// tellHeldEdit says why the wanted version does not reach the members yet.
func (w *walk) tellHeldEdit() {
	wanted, has := w.c.Version(), bootstrapVersion(w.c)
	if wanted == has || len(resources.Validate(w.c.Object, wanted)) > 0 {
		return // the same, or refused anyway
	}
	w.block(0, v1alpha1.ReasonBootstrapping, fmt.Sprintf("members were launched with etcd %s, and %s may refuse their "+
		"data: it is taken up when the cluster has formed. If %s does not start, set spec.version to another release of %s",
		has, wanted, has, state.Minor(has)))
}
