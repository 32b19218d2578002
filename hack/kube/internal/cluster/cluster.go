// Package cluster brings the whole local Kubernetes up and down in the right order.
package cluster

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/hack/kube/internal/cgroup"
	"github.com/quorate/quorate/hack/kube/internal/controlplane"
	"github.com/quorate/quorate/hack/kube/internal/filelock"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
	"github.com/quorate/quorate/hack/kube/internal/node"
	"github.com/quorate/quorate/hack/kube/internal/process"
	"github.com/quorate/quorate/hack/kube/internal/progress"
)

// Cluster is the local Kubernetes, whether it runs or not.
type Cluster struct {
	Layout  layout.Layout
	Cgroups cgroup.Cgroups
	Report  *progress.Reporter
}

// New returns the cluster of this machine. Managing it needs root.
func New(l layout.Layout, report *progress.Reporter) (*Cluster, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("root is needed: it makes namespaces, mounts and cgroups")
	}
	cgroups, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	return &Cluster{Layout: l, Cgroups: cgroups, Report: report}, nil
}

// Lock keeps two commands from changing the cluster at once. It is held until this process ends.
func (c *Cluster) Lock() error {
	file := filepath.Join(c.Layout.Cache, filepath.Base(c.Layout.Dir)+".lock")
	_, err := filelock.Acquire(file, func() {
		c.Report.Say("waiting for another kube command that changes the cluster (it holds %s)", file)
	})
	return err
}

func (c *Cluster) processes() process.Table {
	return process.Table{Records: c.Layout.Processes(), Logs: c.Layout.Logs()}
}

func (c *Cluster) network(ranges network.Ranges) network.Network {
	return network.Network{Layout: c.Layout, Ranges: ranges}
}

func (c *Cluster) controlPlane(state State) controlplane.ControlPlane {
	return controlplane.ControlPlane{
		Layout: c.Layout, Ranges: state.Ranges, Artifacts: state.Artifacts, Processes: c.processes(),
	}
}

func (c *Cluster) nodes(state State) node.Nodes {
	return node.Nodes{
		Layout: c.Layout, Network: c.network(state.Ranges), Cgroups: c.Cgroups,
		Artifacts: state.Artifacts,
		Processes: c.processes(), Server: c.controlPlane(state).Server(), Count: state.Workers,
	}
}

// ErrNotRunning says that there is no cluster.
var ErrNotRunning = errors.New("no cluster is up: start one with \"kube up\"")

// running returns the state of a cluster that has come up on this boot of the machine.
func (c *Cluster) running() (State, error) {
	state, found, err := c.loadState()
	if err != nil {
		return State{}, err
	}
	boot, err := bootID()
	if err != nil {
		return State{}, err
	}
	if !found || state.Phase != Running || state.BootID != boot {
		return State{}, ErrNotRunning
	}
	return state, nil
}

// Nodes gives access to the nodes of the running cluster.
func (c *Cluster) Nodes() (node.Nodes, error) {
	state, err := c.running()
	return c.nodes(state), err
}

// resolvConf makes programs of the host ask the cluster's DNS.
func (c *Cluster) resolvConf() string { return filepath.Join(c.Layout.Config(), "resolv.conf") }
