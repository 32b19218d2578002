package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts(t *testing.T) {
	tests := []struct {
		name, mountinfo string
		want            []hierarchy
	}{
		{
			"a unified machine",
			"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n24 1 8:1 / / rw - ext4 /dev/sda rw\n",
			[]hierarchy{{mount: "/sys/fs/cgroup", v2: true}},
		},
		{
			"a hybrid machine",
			"31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			[]hierarchy{
				{mount: "/sys/fs/cgroup/cpu", controllers: []string{"rw", "cpu", "cpuacct"}},
				{mount: "/sys/fs/cgroup/unified", v2: true},
			},
		},
		{"a cgroup mount of some container elsewhere", "31 24 0:27 / /srv/x rw - cgroup2 cgroup2 rw\n", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := parseMounts(test.mountinfo)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
				t.Errorf("hierarchies differ (-want +got):\n%s", diff)
			}
		})
	}
}

// write makes files of a pretended hierarchy.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCreateCopiesTheCpusetOfVersion1FromTheParent(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n"})
	// The kernel makes these files, empty, when a directory is made; the second level has been filled already.
	write(t, filepath.Join(root, "a"), map[string]string{"cpuset.cpus": "\n", "cpuset.mems": "\n"})
	write(t, filepath.Join(root, "a/b"), map[string]string{"cpuset.cpus": "1\n", "cpuset.mems": "\n"})
	if err := (hierarchy{mount: root, controllers: []string{"rw", "cpuset"}}).create("/a/b"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"a/cpuset.cpus": "0-3", "a/b/cpuset.cpus": "1", "a/b/cpuset.mems": "0"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(content)); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestProcessesAreListedFromAllHierarchiesAndLevels(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	write(t, filepath.Join(one, "q"), map[string]string{"cgroup.procs": "7\n0\n"})
	write(t, filepath.Join(one, "q/pods/x"), map[string]string{"cgroup.procs": "9\n"})
	write(t, filepath.Join(two, "q"), map[string]string{"cgroup.procs": "7\n3\n"})
	write(t, filepath.Join(one, "q/pods"), map[string]string{"cgroup.procs": ""})
	write(t, filepath.Join(two, "other"), map[string]string{"cgroup.procs": "1\n"})
	got, err := Cgroups{hierarchies: []hierarchy{{mount: one}, {mount: two}}}.Processes("/q")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{3, 7, 9}, got); diff != "" {
		t.Errorf("processes differ (-want +got):\n%s", diff)
	}
}

func TestIsMember(t *testing.T) {
	tests := []struct {
		name, membership string
		member           bool
	}{
		{"in the cgroup itself", "0::/quorate-kube\n", true},
		{"below it, in one of several hierarchies", "3:cpu:/\n2:pids:/quorate-kube/worker-1/pods\n0::/\n", true},
		{"in one whose name only begins alike", "0::/quorate-kube-2\n", false},
		{"elsewhere", "0::/user.slice\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := isMember(test.membership, "/quorate-kube"); got != test.member {
				t.Errorf("member: %t, want %t", got, test.member)
			}
		})
	}
}
