package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// versionFor is the etcd version that a member is started with: the cluster's, unless the member's data is of another
// minor. Such a change must go through the gates of an upgrade, never through a Pod that is created again.
func versionFor(c *state.Cluster, m state.Member) string {
	recorded := recordedVersion(m)
	if c.Formed() && recorded == "" {
		recorded = runningVersion(c)
	}
	if c.Formed() && recorded != "" && minor(recorded) != minor(c.Version()) {
		return recorded
	}
	return c.Version()
}

// recordedVersion is the version that last ran on the member's data, or was about to; empty when it never had any.
func recordedVersion(m state.Member) string {
	switch {
	case m.Volume != nil:
		return m.Volume.Version
	case m.Pod != nil:
		return m.Pod.Version
	default:
		return ""
	}
}

// runningVersion is the lowest version that a member of the cluster runs: what a joiner gets.
func runningVersion(c *state.Cluster) string {
	lowest := ""
	for _, m := range c.Members {
		if v := recordedVersion(m); v != "" && (lowest == "" || Older(v, lowest)) {
			lowest = v
		}
	}
	return lowest
}

// desiredTemplate is what the member's Pod would record if it were created now. A Pod of a release that did not record
// the size of the volumes is as good as one that does, as long as its quota is the one that follows from it.
func desiredTemplate(c *state.Cluster, m state.Member) string {
	size := quotaSize(c)
	if m.Pod != nil && resources.RecordedVolumeSize(m.Pod.Applied) == 0 &&
		(m.Pod.Quota == 0 || m.Pod.Quota == resources.QuotaBackendBytes(c.Object, size)) {
		return resources.Applied(c.Object, versionFor(c, m))
	}
	return resources.AppliedOn(c.Object, versionFor(c, m), size)
}

// minor of a version: "3.6" of "3.6.16".
func minor(version string) string {
	if i := strings.LastIndexByte(version, '.'); i > 0 {
		return version[:i]
	}
	return version
}

// Older tells whether version a is older than b; both are etcd releases such as "3.6.16".
func Older(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}
