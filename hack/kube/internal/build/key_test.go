package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/hack/kube/internal/image"
)

// checkout makes a pretended directory "hack" with one module of our own.
func checkout(t *testing.T) (hack string, set binaries) {
	t.Helper()
	hack = t.TempDir()
	for name, content := range map[string]string{
		"kube/go.mod": "module x", "kube/go.sum": "", "kube/cmd/pause/main.go": "package main",
		"kube/cmd/pause/main_test.go": "package main", "kube/cmd/other/main.go": "package main",
	} {
		edit(t, hack, name, content)
	}
	return hack, pause()
}

func edit(t *testing.T, hack, name, content string) {
	t.Helper()
	file := filepath.Join(hack, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheCacheKeyChangesWithEverythingThatIsBuilt(t *testing.T) {
	tests := []struct {
		name    string
		change  func(t *testing.T, hack string, set *binaries, goVersion, arch *string)
		changes bool
	}{
		{"nothing", func(*testing.T, string, *binaries, *string, *string) {}, false},
		{"the toolchain", func(_ *testing.T, _ string, _ *binaries, goVersion, _ *string) { *goVersion = "go2" }, true},
		{"the architecture", func(_ *testing.T, _ string, _ *binaries, _, arch *string) { *arch = "arm64" }, true},
		{"the version", func(_ *testing.T, _ string, set *binaries, _, _ *string) { set.version = "2" }, true},
		{"the place of its manifests", func(_ *testing.T, _ string, set *binaries, _, _ *string) {
			set.manifests = moduleDirectory{module: "x", directory: "crds"}
		}, true},
		{"the link flags", func(_ *testing.T, _ string, set *binaries, _, _ *string) { set.ldflags = "" }, true},
		{"a pinned dependency", func(t *testing.T, hack string, _ *binaries, _, _ *string) {
			edit(t, hack, "kube/go.sum", "x")
		}, true},
		{"its source", func(t *testing.T, hack string, _ *binaries, _, _ *string) {
			edit(t, hack, "kube/cmd/pause/main.go", "package main // x")
		}, true},
		{"a new file of it", func(t *testing.T, hack string, _ *binaries, _, _ *string) {
			edit(t, hack, "kube/cmd/pause/new.go", "package main")
		}, true},
		{"its tests", func(t *testing.T, hack string, _ *binaries, _, _ *string) {
			edit(t, hack, "kube/cmd/pause/main_test.go", "package main // x")
		}, false},
		{"another program of the module", func(t *testing.T, hack string, _ *binaries, _, _ *string) {
			edit(t, hack, "kube/cmd/other/main.go", "package main // x")
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hack, set := checkout(t)
			goVersion, arch := "go1", "amd64"
			before, err := set.cacheKey(hack, goVersion, arch)
			if err != nil {
				t.Fatal(err)
			}
			test.change(t, hack, &set, &goVersion, &arch)
			after, err := set.cacheKey(hack, goVersion, arch)
			if err != nil {
				t.Fatal(err)
			}
			if changed := before != after; changed != test.changes {
				t.Errorf("key changed: %t, want %t (%s, %s)", changed, test.changes, before, after)
			}
		})
	}
}

func TestTheCacheKeyDoesNotDependOnWhereTheCheckoutIs(t *testing.T) {
	one, set := checkout(t)
	other, _ := checkout(t)
	first, err := set.cacheKey(one, "go1", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	second, err := set.cacheKey(other, "go1", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("a second clone would build again: %s, %s", first, second)
	}
}

func TestTheImageKeyDependsOnTheProgramsNotOnTheirPlace(t *testing.T) {
	key := func(program string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeDigest(dir, []string{"etcd"}); err != nil {
			t.Fatal(err)
		}
		spec := image.Spec{Reference: "x/y:1", Files: []image.File{{Source: filepath.Join(dir, "etcd"), Target: "/etcd"}}}
		got, err := imageKey(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if a, b := key("same"), key("same"); a != b {
		t.Errorf("equal programs give different images: %s, %s", a, b)
	}
	if a, b := key("one"), key("other"); a == b {
		t.Errorf("different programs give one image: %s", a)
	}
}

func TestEtcdImagesLookLikeTheOfficialOnes(t *testing.T) {
	spec := etcdImage("3.6.16", "/cache/etcd")
	if want := "gcr.io/etcd-development/etcd:v3.6.16"; spec.Reference != want {
		t.Errorf("reference is %s, want %s", spec.Reference, want)
	}
	if len(spec.Entrypoint) != 0 || len(spec.Command) != 1 || spec.Command[0] != "/usr/local/bin/etcd" {
		t.Errorf("entrypoint %v and command %v, want only the command /usr/local/bin/etcd", spec.Entrypoint, spec.Command)
	}
	for i, target := range []string{"/usr/local/bin/etcd", "/usr/local/bin/etcdctl", "/usr/local/bin/etcdutl"} {
		if spec.Files[i].Target != target {
			t.Errorf("file %d is at %s, want %s", i, spec.Files[i].Target, target)
		}
	}
}
