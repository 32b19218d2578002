package layout

import (
	"strings"
	"testing"
)

func TestFromEnvironmentRefusesDirectoriesThatMustNotBeRemoved(t *testing.T) {
	tests := []struct{ name, dir, complaint string }{
		{"a relative one", "kube", "absolute"},
		{"the root", "/", "two levels"},
		{"a top-level one", "/var", "two levels"},
		{"one that only looks deep", "/var/lib/..", "two levels"},
		{"one too long for sockets", "/var/lib/" + strings.Repeat("x", 60), "at most 48"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("QUORATE_KUBE_DIR", test.dir)
			_, err := FromEnvironment()
			if err == nil || !strings.Contains(err.Error(), test.complaint) {
				t.Errorf("got error %v, want one that says %q", err, test.complaint)
			}
		})
	}
}

func TestClustersWithDifferentDirectoriesShareNothing(t *testing.T) {
	one, other := Layout{Dir: defaultDir}, Layout{Dir: "/var/lib/other"}
	if one.CgroupRoot() == other.CgroupRoot() {
		t.Errorf("both use cgroup %s", one.CgroupRoot())
	}
	if one.HostInterface() == other.HostInterface() {
		t.Errorf("both use interface %s", one.HostInterface())
	}
	if one.RouteMetric() == other.RouteMetric() {
		t.Errorf("both use metric %d", one.RouteMetric())
	}
	const longestInterfaceName = 15
	if name := other.HostInterface(); len(name) > longestInterfaceName {
		t.Errorf("%s is too long for an interface", name)
	}
}

func TestNodeNumber(t *testing.T) {
	for _, n := range []int{1, 3, 12} {
		if got, err := NodeNumber(NodeName(n)); err != nil || got != n {
			t.Errorf("NodeNumber(%s) is %d, %v", NodeName(n), got, err)
		}
	}
	for _, name := range []string{"", "worker", "worker-0", "worker--1", "worker-01", "worker-1x", "master-1"} {
		if got, err := NodeNumber(name); err == nil {
			t.Errorf("NodeNumber(%q) is %d, want an error", name, got)
		}
	}
}
