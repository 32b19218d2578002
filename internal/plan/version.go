package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// versionFor is the etcd version that a member is started with that does not run: the cluster's, unless its data is of
// another minor. Such a change goes through the gates of an upgrade, never through a Pod that is created again; only an
// upgrade that was taken back before etcd's cluster version followed it needs no gate.
func versionFor(c *state.Cluster, m state.Member) string {
	if !c.Formed() {
		return bootstrapVersion(c)
	}
	wanted, last := c.Version(), recordedVersion(m)
	if last == "" {
		last = runningVersion(c)
	}
	if last == "" || state.Minor(last) == state.Minor(wanted) || takenBack(c, last) {
		return wanted
	}
	return last
}

// takenBack tells that a member with this version may go back to the wanted one, a minor below: etcd's cluster version
// was never above it. The latch tells that: it records a version once the cluster version has followed it. Were it
// wrong, etcd would refuse to start (server/etcdserver/version/downgrade.go, MustDetectDowngrade).
func takenBack(c *state.Cluster, last string) bool {
	wanted, known := state.Minor(c.Version()), c.Etcd.ClusterVersion
	return nextMinor(c.Version()) == state.Minor(last) && state.Minor(c.Latch.Version) == wanted &&
		(known == wanted || known == "")
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
		if v := presentVersion(m); v != "" && (lowest == "" || Older(v, lowest)) {
			lowest = v
		}
	}
	return lowest
}

// desiredTemplate is what the member's Pod would record if it were created now. A Pod of a release that did not record
// the size of the volumes is as good as one that does, as long as its quota is the one that follows from it.
func desiredTemplate(c *state.Cluster, m state.Member) string {
	size := quotaSize(c)
	if m.Pod == nil {
		return resources.AppliedOn(c.Object, versionFor(c, m), size)
	}
	if resources.RecordedVolumeSize(m.Pod.Applied) == 0 &&
		(m.Pod.Quota == 0 || m.Pod.Quota == resources.QuotaBackendBytes(c.Object, size)) {
		size = 0
	}
	return resources.KeepImage(c.Object, resources.AppliedOn(c.Object, versionFor(c, m), size), m.Pod.Applied)
}

// difference is what it takes to bring the member's Pod to this version and to the spec.
func difference(c *state.Cluster, m state.Member, version string) resources.Difference {
	desired := resources.KeepImage(c.Object, resources.Applied(c.Object, version), m.Pod.Applied)
	return resources.Compare(m.Pod.Applied, desired)
}

// nextMinor is the minor after a version's: "3.7" after "3.6.16"; empty for what is no version.
func nextMinor(v string) string {
	parsed, err := version.ParseGeneric(v)
	if err != nil {
		return ""
	}
	return version.MajorMinor(parsed.Major(), parsed.Minor()+1).String()
}

// Older tells whether version a is older than b; both are etcd releases such as "3.6.16".
func Older(a, b string) bool {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}

// floors are the oldest releases of their minors that may be upgraded from or to: older ones lose promotions of
// learners or refuse repairs in the next minor.
func floors() map[string]string {
	return map[string]string{"3.5": "3.5.32", "3.6": "3.6.14", "3.7": "3.7.2"}
}

// belowFloor is the oldest release of its minor that may be upgraded, when the version is older than that.
func belowFloor(v string) string {
	number, _, _ := strings.Cut(v, "-")
	if floor := floors()[state.Minor(number)]; floor != "" && Older(number, floor) {
		return floor
	}
	return ""
}
