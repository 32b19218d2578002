// Package containerd runs containerd daemons, each in a mount namespace with a /run of its own.
package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

// Socket is where a daemon listens, inside its mount namespace.
const Socket = "/run/containerd/containerd.sock"

const startTimeout = 30 * time.Second

// Config is what differs between daemons.
type Config struct {
	// Root keeps images and containers, below Dir.
	Dir string
	// PauseImage, CNIPlugins and CNIConfig are for Pods; a daemon that only imports images leaves them empty.
	PauseImage string
	CNIPlugins string
	CNIConfig  string
}

// Root is the directory of images and containers of the daemon that lives in dir.
func Root(dir string) string { return filepath.Join(dir, "containerd") }

const template = `version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"%s]
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
`

const podTemplate = `[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  # Without CAP_SYS_RESOURCE runc cannot lower the OOM score of the pause container and dies.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`

// Render returns the daemon's configuration file.
func (c Config) Render() string {
	withoutPods := ""
	if c.PauseImage == "" {
		withoutPods = `, "io.containerd.grpc.v1.cri"`
	}
	text := fmt.Sprintf(template, Root(c.Dir), withoutPods, Socket, filepath.Join(c.Dir, "opt"))
	if c.PauseImage != "" {
		text += fmt.Sprintf(podTemplate, c.PauseImage, c.CNIPlugins, c.CNIConfig)
	}
	return text
}

// Daemon is a running containerd, known by any process in its mount namespace.
type Daemon struct{ PID int }

// Start starts a daemon with a configuration file and waits until it answers.
func Start(
	ctx context.Context, table process.Table, name, configFile string, placement process.Placement,
) (*process.Handle, error) {
	handle, err := table.Start(process.Spec{
		Name: name, Argv: []string{"containerd", "--config", configFile}, Placement: placement,
	})
	if err != nil {
		return nil, err
	}
	return handle, handle.WaitUntil(func() error { return Daemon{PID: handle.PID}.ctr(ctx, "version") }, startTimeout)
}

// Import adds the images of a tarball.
func (d Daemon) Import(ctx context.Context, file string) error {
	return d.ctr(ctx, "images", "import", file)
}

func (d Daemon) ctr(ctx context.Context, args ...string) error {
	argv := []string{
		"nsenter", "--mount=/proc/" + strconv.Itoa(d.PID) + "/ns/mnt", "--",
		"ctr", "--address", Socket, "--namespace", "k8s.io",
	}
	return command.Run(ctx, append(argv, args...)...)
}
