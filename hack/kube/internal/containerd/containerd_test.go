package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRender(t *testing.T) {
	pods := Config{Dir: "/n", PauseImage: "p:1", CNIPlugins: "/usr/lib/cni", CNIConfig: "/n/cni"}.Render()
	for _, want := range []string{
		`root = "/n/containerd"`, `state = "/run/containerd"`, `sandbox_image = "p:1"`, `restrict_oom_score_adj = true`,
		`bin_dir = "/usr/lib/cni"`, `conf_dir = "/n/cni"`, `SystemdCgroup = false`,
	} {
		if !strings.Contains(pods, want) {
			t.Errorf("the configuration for Pods lacks %s:\n%s", want, pods)
		}
	}
	bare := Config{Dir: "/n"}.Render()
	if !strings.Contains(bare, `"io.containerd.grpc.v1.cri"]`) || strings.Contains(bare, "sandbox_image") {
		t.Errorf("a daemon without Pods must not have the CRI plugin:\n%s", bare)
	}
}

func TestSeedLinksImagesAndCopiesDatabases(t *testing.T) {
	prepared, root := t.TempDir(), filepath.Join(t.TempDir(), "root")
	const blob = "io.containerd.content.v1.content/blobs/sha256/abc"
	const layer = "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs"
	const database = "io.containerd.metadata.v1.bolt/meta.db"
	const identity = "io.containerd.grpc.v1.introspection/uuid"
	for _, file := range []string{blob, layer + "/bin", database, identity} {
		path := filepath.Join(prepared, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(prepared, layer, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(prepared, layer, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	// A second call finishes what an interrupted one has begun.
	for range 2 {
		if err := Seed(prepared, root); err != nil {
			t.Fatal(err)
		}
	}
	for file, linked := range map[string]bool{blob: true, layer + "/bin": true, database: false} {
		if got := inode(t, filepath.Join(prepared, file)) == inode(t, filepath.Join(root, file)); got != linked {
			t.Errorf("%s is a hard link: %t, want %t", file, got, linked)
		}
	}
	if _, err := os.Stat(filepath.Join(root, identity)); err == nil {
		t.Error("the identity of the daemon was given to another")
	}
	info, err := os.Stat(filepath.Join(root, layer, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("the mode of a directory in a layer became %s", info.Mode())
	}
}

func inode(t *testing.T, file string) uint64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no inode")
	}
	return stat.Ino
}
