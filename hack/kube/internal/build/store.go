package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/cgroup"
	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/containerd"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

const stopTimeout = 10 * time.Second

// imageStore returns a containerd root that holds all images, unpacked. Nodes start with hard links to its files:
// importing the images on every node would take most of the time of "kube up".
func (b *Builder) imageStore(ctx context.Context, images []string) (string, error) {
	version, err := command.Output(ctx, "containerd", "--version")
	if err != nil {
		return "", fmt.Errorf("prepare images: %w", err)
	}
	sum := sha256.Sum256([]byte(string(version) + strings.Join(images, "\n")))
	dir, err := b.cached("image-store-"+hex.EncodeToString(sum[:])[:12], func(dir string) error {
		return b.Report.Step("unpack the images for the nodes", func() error { return b.unpack(ctx, dir, images) })
	})
	return containerd.Root(dir), err
}

func (b *Builder) unpack(ctx context.Context, dir string, images []string) error {
	scratch, err := os.MkdirTemp(dir, "scratch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	config := filepath.Join(scratch, "containerd.toml")
	if err := os.WriteFile(config, []byte(containerd.Config{Dir: dir}.Render()), 0o600); err != nil {
		return err
	}
	cgroups, err := cgroup.Detect()
	if err != nil {
		return err
	}
	// An interrupted build may have left its containerd behind.
	if err := cgroups.Kill(b.Layout.BuildCgroup(), stopTimeout); err != nil {
		return err
	}
	if err := cgroups.Create(b.Layout.BuildCgroup()); err != nil {
		return err
	}
	defer func() {
		_ = cgroups.Kill(b.Layout.BuildCgroup(), stopTimeout)
		_ = cgroups.Remove(b.Layout.BuildCgroup(), stopTimeout)
		cgroups.RemoveIfEmpty(b.Layout.CgroupRoot())
	}()
	handle, err := containerd.Start(process.Table{Records: scratch, Logs: scratch}, "containerd", config,
		process.Placement{Cgroup: b.Layout.BuildCgroup(), Mounts: &process.Mounts{Tmpfs: []string{"/run"}}})
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := (containerd.Daemon{PID: handle.PID}).Import(ctx, image); err != nil {
			return err
		}
	}
	return handle.Stop(stopTimeout)
}
