// Package node runs the nodes: each has a network namespace, a mount namespace, a containerd, a kubelet and a
// kube-proxy of its own.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/cgroup"
	"github.com/quorate/quorate/hack/kube/internal/containerd"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

const (
	killTimeout = 20 * time.Second
	kubeletPort = 10250
)

// Nodes knows what all nodes have in common.
type Nodes struct {
	Layout    layout.Layout
	Network   network.Network
	Cgroups   cgroup.Cgroups
	Artifacts build.Artifacts
	Processes process.Table
	// Server is the URL of the apiserver.
	Server string
	// Count is how many nodes the cluster has.
	Count int
}

// Names of a node's processes.
func containerdName(node string) string { return node + "-containerd" }
func kubeletName(node string) string    { return node + "-kubelet" }
func kubeProxyName(node string) string  { return node + "-kube-proxy" }

// Prepare writes a node's certificates and configuration and creates its cgroups.
func (n Nodes) Prepare(number int) error {
	name := layout.NodeName(number)
	for _, dir := range append(n.bindSources(name), n.cniDir(name), n.kubeletDir(name)) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	for _, path := range []string{n.Layout.NodeSystemCgroup(name), n.Layout.NodePodsCgroup(name)} {
		if err := n.Cgroups.Create(path); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	if err := containerd.Seed(n.Artifacts.ImageStore, containerd.Root(n.Layout.Node(name))); err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	if err := n.issueCertificates(number); err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	for file, content := range n.configFiles(number) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	return nil
}

// StartRuntime connects the node to the network and starts its containerd in a new mount namespace, which is what a
// machine has after booting: an empty /run and no container.
func (n Nodes) StartRuntime(ctx context.Context, number int) error {
	name := layout.NodeName(number)
	if err := n.Network.Connect(ctx, number, n.Count); err != nil {
		return err
	}
	return n.startContainerd(name, process.Placement{
		Cgroup: n.Layout.NodeSystemCgroup(name),
		NetNS:  n.Layout.NetNS(name),
		Mounts: &process.Mounts{Binds: n.binds(name), Tmpfs: []string{"/run"}},
	})
}

func (n Nodes) startContainerd(name string, placement process.Placement) error {
	_, err := containerd.Start(n.Processes, containerdName(name), n.file(name, "containerd.toml"), placement)
	return err
}

// StartKubelet starts kubelet and kube-proxy beside the node's containerd.
func (n Nodes) StartKubelet(number int) error {
	name := layout.NodeName(number)
	placement, err := n.placement(name)
	if err != nil {
		return err
	}
	for process, argv := range map[string][]string{
		kubeletName(name):   n.kubeletArgv(number),
		kubeProxyName(name): n.kubeProxyArgv(name),
	} {
		if err := n.startUnlessRunning(process, argv, placement); err != nil {
			return err
		}
	}
	return nil
}

func (n Nodes) startUnlessRunning(name string, argv []string, placement process.Placement) error {
	if _, running := n.Processes.Find(name); running {
		return nil
	}
	_, err := n.Processes.Start(process.Spec{Name: name, Argv: argv, Placement: placement})
	return err
}

// placement is where the processes of a running node live.
func (n Nodes) placement(name string) (process.Placement, error) {
	pid, err := n.anchor(name)
	if err != nil {
		return process.Placement{}, err
	}
	return process.Placement{
		Cgroup:  n.Layout.NodeSystemCgroup(name),
		NetNS:   n.Layout.NetNS(name),
		MountNS: fmt.Sprintf("/proc/%d/ns/mnt", pid),
	}, nil
}

// ErrDown says that a node does not run.
var ErrDown = errors.New("the node is down")

// anchor finds a process that lives in the node's mount namespace.
func (n Nodes) anchor(name string) (int, error) {
	for _, process := range []string{containerdName(name), kubeletName(name), kubeProxyName(name)} {
		if record, running := n.Processes.Find(process); running {
			return record.PID, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", name, ErrDown)
}

// Repair starts what a running node lacks, and boots one that is down.
func (n Nodes) Repair(ctx context.Context, number int) error {
	name := layout.NodeName(number)
	placement, err := n.placement(name)
	if errors.Is(err, ErrDown) {
		return n.Boot(ctx, number)
	}
	if err != nil {
		return err
	}
	if _, running := n.Processes.Find(containerdName(name)); !running {
		if err := n.startContainerd(name, placement); err != nil {
			return err
		}
	}
	if _, running := n.Processes.Find(kubeletName(name)); !running {
		// A boot may have been interrupted before this.
		if err := n.importLoaded(ctx, number); err != nil {
			return fmt.Errorf("repair %s: %w", name, err)
		}
	}
	return n.StartKubelet(number)
}

// Kill is a loss of power. The link goes first, so that the dying processes' sockets tell nobody; then everything
// ends at once, and the mount and network namespaces vanish. Volumes and images stay.
func (n Nodes) Kill(ctx context.Context, number int) error {
	name := layout.NodeName(number)
	if n.Running(number) {
		if err := n.Network.SetLink(ctx, number, false); err != nil {
			return fmt.Errorf("kill %s: %w", name, err)
		}
	}
	if err := n.Cgroups.Kill(n.Layout.NodeCgroup(name), killTimeout); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	if err := n.Network.Disconnect(ctx, number); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	return nil
}

// Boot starts a node that is down, or was left half-started.
func (n Nodes) Boot(ctx context.Context, number int) error {
	// What is left of an interrupted boot must not run beside the new one.
	if err := n.Kill(ctx, number); err != nil {
		return err
	}
	name := layout.NodeName(number)
	pods := n.Layout.NodePodsCgroup(name)
	if err := n.Cgroups.Remove(pods, killTimeout); err != nil {
		return fmt.Errorf("boot %s: %w", name, err)
	}
	if err := n.Cgroups.Create(pods); err != nil {
		return fmt.Errorf("boot %s: %w", name, err)
	}
	if err := n.StartRuntime(ctx, number); err != nil {
		return fmt.Errorf("boot %s: %w", name, err)
	}
	if err := n.importLoaded(ctx, number); err != nil {
		return fmt.Errorf("boot %s: %w", name, err)
	}
	return n.StartKubelet(number)
}

// Running tells whether any process of the node runs.
func (n Nodes) Running(number int) bool {
	_, err := n.anchor(layout.NodeName(number))
	return err == nil
}

// Complete tells whether all processes of the node run and its link is up.
func (n Nodes) Complete(number int) bool {
	name := layout.NodeName(number)
	for _, process := range []string{containerdName(name), kubeletName(name), kubeProxyName(name)} {
		if _, running := n.Processes.Find(process); !running {
			return false
		}
	}
	return n.Network.LinkUp(number)
}

// bindSources are directories of the node that stand for fixed paths of a machine, in the order of binds.
func (n Nodes) bindSources(name string) []string {
	return []string{filepath.Join(n.Layout.Node(name), "log"), filepath.Join(n.Layout.Node(name), "cni-state")}
}

func (n Nodes) binds(name string) []process.Bind {
	sources := n.bindSources(name)
	return []process.Bind{{From: sources[0], To: "/var/log"}, {From: sources[1], To: CNIStateDir}}
}

// SetLink cuts a running node off or connects it again.
func (n Nodes) SetLink(ctx context.Context, number int, up bool) error {
	if !n.Running(number) {
		return fmt.Errorf("%s: %w: it has no link until it is started", layout.NodeName(number), ErrDown)
	}
	return n.Network.SetLink(ctx, number, up)
}

// KubeletListens tells whether the node's kubelet accepts connections, as it must for logs and exec. A Node may be
// Ready by an old status while its kubelet is still starting.
func (n Nodes) KubeletListens(number int) bool {
	address := netip.AddrPortFrom(n.Network.Ranges.Node(number), kubeletPort)
	connection, err := net.DialTimeout("tcp", address.String(), time.Second)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
