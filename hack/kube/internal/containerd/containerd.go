// Package containerd runs containerd daemons, each in a mount namespace with a /run of its own.
package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp"%s]
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
	table process.Table, name, configFile string, placement process.Placement,
) (*process.Handle, error) {
	handle, err := table.Start(process.Spec{
		Name: name, Argv: []string{"containerd", "--config", configFile}, Placement: placement,
	})
	if err != nil {
		return nil, err
	}
	return handle, handle.WaitUntil(Daemon{PID: handle.PID}.ready, startTimeout)
}

// Import adds the images of a tarball.
func (d Daemon) Import(ctx context.Context, file string) error {
	return command.Run(ctx, "ctr", "--address", d.socket(), "--namespace", "k8s.io", "images", "import", file)
}

// ready returns nil when the daemon accepts connections. Until the process has become containerd it may still be in
// the host's mount namespace, where the socket would be that of the host's own containerd.
func (d Daemon) ready() error {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", d.PID))
	if err != nil {
		return err
	}
	if filepath.Base(program) != "containerd" {
		return fmt.Errorf("process %d is still %s", d.PID, program)
	}
	connection, err := net.Dial("unix", d.socket())
	if err != nil {
		return err
	}
	return connection.Close()
}

// socket is the path of the daemon's socket as seen from here.
func (d Daemon) socket() string { return fmt.Sprintf("/proc/%d/root%s", d.PID, Socket) }
