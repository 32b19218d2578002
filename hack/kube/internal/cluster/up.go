package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/addons"
	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/controlplane"
	"github.com/quorate/quorate/hack/kube/internal/network"
	"github.com/quorate/quorate/hack/kube/internal/node"
)

// Up brings the cluster to a state in which all is up, from whatever state it is in. A cluster that had come up
// keeps its data; one that never had is thrown away first.
func (c *Cluster) Up(ctx context.Context, builder *build.Builder, workers int) error {
	if workers < 1 || workers > network.MaxNodes {
		return fmt.Errorf("--workers must be between 1 and %d, got %d", network.MaxNodes, workers)
	}
	state, err := c.running()
	switch {
	case errors.Is(err, ErrNotRunning):
		return c.create(ctx, builder, workers)
	case err != nil:
		return err
	case state.Workers != workers:
		return fmt.Errorf("a cluster with %d workers is up: run \"kube down\" first to get one with %d",
			state.Workers, workers)
	}
	if c.healthy(state) == nil {
		c.Report.Say("already up with %d workers", workers)
		return nil
	}
	return c.complete(ctx, builder, state)
}

// create starts a new cluster on a machine from which everything of an earlier one was removed.
func (c *Cluster) create(ctx context.Context, builder *build.Builder, workers int) error {
	if leftovers := c.Leftovers(ctx); len(leftovers) > 0 {
		c.Report.Say("an earlier cluster is half there: removing it")
		if err := c.Down(ctx); err != nil {
			return err
		}
	}
	artifacts, err := builder.Build(ctx)
	if err != nil {
		return err
	}
	state, err := c.begin(ctx, artifacts, workers)
	if err != nil {
		return err
	}
	if err := c.start(ctx, state); err != nil {
		return err
	}
	state.Phase = Running
	return c.saveState(state)
}

// begin records what is needed to undo everything, before anything is done.
func (c *Cluster) begin(ctx context.Context, artifacts build.Artifacts, workers int) (State, error) {
	used, err := network.UsedByHost(ctx)
	if err != nil {
		return State{}, err
	}
	ranges, err := network.ChooseRanges(used)
	if err != nil {
		return State{}, err
	}
	settings, err := readKernelSettings()
	if err != nil {
		return State{}, err
	}
	boot, err := bootID()
	if err != nil {
		return State{}, err
	}
	state := State{
		Phase: Starting, Workers: workers, Ranges: ranges, BootID: boot, KernelSettings: settings, Artifacts: artifacts,
	}
	if err := c.saveState(state); err != nil {
		return State{}, err
	}
	if err := raiseKernelSettings(settings); err != nil {
		return State{}, err
	}
	return state, os.MkdirAll(node.CNIStateDir, 0o755)
}

func (c *Cluster) start(ctx context.Context, state State) error {
	plane, nodes := c.controlPlane(state), c.nodes(state)
	err := c.Report.Step(fmt.Sprintf("network: Pods %s, Services %s", state.Ranges.Cluster, state.Ranges.Services),
		func() error { return c.prepare(ctx, state, plane, nodes) })
	if err != nil {
		return err
	}
	apiserver := make(chan error, 1)
	go func() {
		apiserver <- c.Report.Step("control plane is ready", func() error { return c.startControlPlane(ctx, plane) })
	}()
	err = c.Report.Step("container runtimes are ready", func() error {
		return forEachNode(state.Workers, func(number int) error {
			return nodes.StartRuntime(ctx, number)
		})
	})
	if err := errors.Join(err, <-apiserver); err != nil {
		return err
	}
	if err := forEachNode(state.Workers, nodes.StartKubelet); err != nil {
		return err
	}
	return c.waitUntilHealthy(state)
}

func (c *Cluster) prepare(
	ctx context.Context, state State, plane controlplane.ControlPlane, nodes node.Nodes,
) error {
	if err := c.mountVolumesDirectory(); err != nil {
		return err
	}
	if err := c.Cgroups.Create(c.Layout.ControlPlaneCgroup()); err != nil {
		return err
	}
	if err := plane.Prepare(); err != nil {
		return err
	}
	if err := c.network(state.Ranges).Create(ctx); err != nil {
		return err
	}
	return forEachNode(state.Workers, nodes.Prepare)
}

func (c *Cluster) startControlPlane(ctx context.Context, plane controlplane.ControlPlane) error {
	if err := plane.Start(); err != nil {
		return err
	}
	if err := addons.Apply(ctx, c.Layout, plane.Ranges, plane.Artifacts); err != nil {
		return err
	}
	return plane.StartProvisioner()
}

// complete starts whatever a cluster that had come up lacks now.
func (c *Cluster) complete(ctx context.Context, builder *build.Builder, state State) error {
	c.Report.Say("a cluster is up but not complete: starting what is missing")
	var err error
	if state.Artifacts, err = builder.Build(ctx); err != nil {
		return err
	}
	if err := c.saveState(state); err != nil {
		return err
	}
	plane, nodes := c.controlPlane(state), c.nodes(state)
	err = c.Report.Step("control plane is ready", func() error { return c.startControlPlane(ctx, plane) })
	if err != nil {
		return err
	}
	err = c.Report.Step("nodes run", func() error {
		return forEachNode(state.Workers, func(number int) error {
			if err := nodes.Repair(ctx, number); err != nil {
				return err
			}
			return nodes.Network.SetLink(ctx, number, true)
		})
	})
	if err != nil {
		return err
	}
	return c.waitUntilHealthy(state)
}

const healthyTimeout = 90 * time.Second

func (c *Cluster) waitUntilHealthy(state State) error {
	return c.Report.StepWith("nodes are Ready and DNS answers", func(detail func(string)) error {
		for deadline := time.Now().Add(healthyTimeout); ; time.Sleep(50 * time.Millisecond) {
			err := c.healthy(state)
			if err == nil {
				return nil
			}
			detail(err.Error())
			if time.Now().After(deadline) {
				return fmt.Errorf("not healthy after %s: %w (logs: %s)", healthyTimeout, err, c.Layout.Logs())
			}
		}
	})
}

// forEachNode runs f for all nodes at once and joins the errors.
func forEachNode(count int, f func(number int) error) error {
	failures := make([]error, count)
	var running sync.WaitGroup
	for i := range count {
		running.Go(func() { failures[i] = f(i + 1) })
	}
	running.Wait()
	return errors.Join(failures...)
}
