package plan

import (
	"fmt"
	"slices"
	"strings"

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
	wanted, ran := c.Version(), versionThatRan(c)
	if ran == "" || state.Minor(ran) == state.Minor(wanted) {
		return wanted
	}
	return ran
}

// recordBootstrapVersion keeps the latch's record of it. Nothing is started before it says the minor.
func (w *walk) recordBootstrapVersion() {
	switch v, recorded := bootstrapVersion(w.c), w.c.Latch.Version; {
	case recorded == v:
	case state.Minor(recorded) == state.Minor(v):
		w.ensure(RecordVersion{Version: v})
	default:
		w.propose(creation, SwitchVersion{Version: v}, v1alpha1.ReasonBootstrapping,
			fmt.Sprintf("members are launched with etcd %s instead of %s", v, recorded))
	}
}

// versionThatRan is the latest one that a member may have run; empty while surely none ran.
func versionThatRan(c *state.Cluster) string {
	latest := ""
	if c.Latch != nil && (c.Etcd.Listed || c.Etcd.Serving) {
		latest = c.Latch.Version
	}
	for _, m := range c.Members {
		v := presentVersion(m)
		if v == "" && c.Latch != nil {
			v = c.Latch.Version
		}
		if !neverRan(c, m) && (latest == "" || Older(latest, v)) {
			latest = v
		}
	}
	return latest
}

// neverRan tells that surely no etcd ran on what is there of the member's data: its only Pod has no node, or its image
// cannot be pulled; that it is not seen to run tells nothing, because its kubelet may be about to start it. Of a member
// without a Pod that is known only when its volume was given another version than the latch has by now: the latch took
// that up because none had run.
func neverRan(c *state.Cluster, m state.Member) bool {
	p := m.Pod
	switch {
	case m.RecordedStarted() || m.Probe.Answered:
		return false
	case p != nil:
		return p.Unused && !p.Running && !p.Finished && p.Restarts == 0 && p.LastExit == nil &&
			(p.Node == "" || imageMissing(p.Waiting))
	case m.Volume != nil:
		return c.Latch != nil && state.Minor(m.Volume.Version) != state.Minor(c.Latch.Version)
	default:
		return !m.Launched // else its Pod and volume are yet to be seen, or gone
	}
}

// imageMissing tells that a container waits for an image that cannot be had (Kubernetes pkg/kubelet/images/types.go).
func imageMissing(waiting string) bool {
	reasons := []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
	return slices.ContainsFunc(reasons, func(reason string) bool { return strings.HasPrefix(waiting, reason) })
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
