package plan_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// Whoever pins images edits version and digest together.
func TestTheDigestBelongsToTheVersion(t *testing.T) {
	digest := func(of string) string { return "sha256:" + strings.Repeat(of, 64) }
	pinned := func(v, d string) func(*v1alpha1.EtcdClusterSpec) {
		return func(s *v1alpha1.EtcdClusterSpec) {
			s.Version, s.Image = new(v), &v1alpha1.ImageSpec{Digest: new(digest(d))}
		}
	}
	to := func(v, d, clusterVersion string) *statetest.Builder {
		return statetest.Formed(3).ClusterVersion(clusterVersion).Budget(3).Spec(pinned(v, d)).
			Template(pinned(statetest.Version, "a"), 0, 1, 2)
	}
	step := func(b *statetest.Builder, v, d string) plan.Step {
		p := patched(b, 2, v).(plan.PatchPod)
		p.Image += "@" + digest(d)
		return p
	}
	const waits, refused = "Upgrading: waiting until etcd tells its cluster version", "VersionRefused: version 3.7.3 is refused: "
	scenarios{
		"an upgrade takes both":  {cluster: to("3.7.3", "b", "3.6"), step: step(to("3.7.3", "b", "3.6"), "3.7.3", "b"), blocked: []string{"Upgrading: "}},
		"one that waits neither": {cluster: to("3.7.3", "b", ""), blocked: []string{waits}},
		"nor one that is refused": {
			cluster: to("3.7.3", "b", "3.6").With(func(c *state.Cluster) { c.Etcd.ListsDiffer = []string{"demo-1"} }),
			blocked: []string{refused + "the member list of demo-1 differs"},
		},
		"also for a member that does not run": {
			cluster: to("3.7.3", "b", "3.6").Crash(1), blocked: []string{"StartingMember: demo-1", refused + "not all members are healthy"},
		},
		"another digest of the same version reaches all": {
			cluster: to(statetest.Version, "b", "3.6"), step: step(to(statetest.Version, "b", "3.6"), statetest.Version, "b"),
			blocked: []string{"RollingOut: its image changed; left: demo-0, demo-1, demo-2"},
		},
	}.run(t)
	c := to("3.7.3", "b", "3.6").Build().Object
	if got := resources.Image(c, statetest.Version); got != image+statetest.Version {
		t.Errorf("a member that is created again with etcd %s gets the image %s", statetest.Version, got)
	}
	c.Spec.Version = nil
	if got := resources.Image(c, statetest.Version); got != image+statetest.Version+"@"+digest("b") {
		t.Errorf("without spec.version the image is %s", got)
	}
}
