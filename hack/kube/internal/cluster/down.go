package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/network"
	"github.com/quorate/quorate/hack/kube/internal/node"
	"github.com/quorate/quorate/hack/kube/internal/process"
	"github.com/quorate/quorate/hack/kube/internal/volume"
)

const endTimeout = 20 * time.Second

// Down removes everything that Up has made, whatever of it exists, and checks that nothing is left.
func (c *Cluster) Down(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"processes ended", c.endProcesses},
		{"volumes unmounted", c.unmountAll},
		{"network removed", func(ctx context.Context) error { return c.network(network.Ranges{}).Remove(ctx) }},
		{"cgroups removed", func(context.Context) error { return c.Cgroups.Remove(c.Layout.CgroupRoot(), endTimeout) }},
		{"kernel settings restored", c.restoreMachine},
		{"state removed", c.removeState},
	}
	for _, step := range steps {
		if err := c.Report.Step(step.name, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	if leftovers := c.Leftovers(ctx); len(leftovers) > 0 {
		return fmt.Errorf("not everything could be removed:\n  %s", strings.Join(leftovers, "\n  "))
	}
	return nil
}

// endProcesses kills nodes first, so that no kubelet restarts what dies, then the rest; then what is not in the
// cgroup although it is ours, such as a process that was started the moment before a crash.
func (c *Cluster) endProcesses(context.Context) error {
	if err := c.Cgroups.Kill(c.Layout.CgroupRoot(), endTimeout); err != nil {
		return err
	}
	records, err := c.processes().Running()
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := record.Kill(endTimeout); err != nil {
			return fmt.Errorf("end %s: %w", record.Name, err)
		}
	}
	strays, err := process.Strays(c.Layout.Dir)
	if err != nil {
		return err
	}
	for _, stray := range strays {
		if err := stray.Kill(endTimeout); err != nil {
			return err
		}
	}
	return nil
}

// unmountAll unmounts everything below the state directory, the last mount first, and frees loop devices.
func (c *Cluster) unmountAll(ctx context.Context) error {
	mounts, err := c.ownMounts()
	if err != nil {
		return err
	}
	for _, point := range slices.Backward(mounts) {
		if err := unmount(point); err != nil {
			return err
		}
	}
	devices, err := volume.LoopDevices(c.Layout.Dir)
	if err != nil {
		return err
	}
	for device := range devices {
		if err := command.Run(ctx, "losetup", "--detach", device); err != nil {
			return err
		}
	}
	return nil
}

// unmount falls back to a lazy unmount when somebody still has a file open: the processes of the cluster are gone,
// so it can only be a reader from outside.
func unmount(point string) error {
	err := unix.Unmount(point, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(point, unix.MNT_DETACH)
	}
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", point, err)
	}
	return nil
}

func (c *Cluster) ownMounts() ([]string, error) {
	points, err := volume.MountPoints()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(points, func(point string) bool {
		return point != c.Layout.Dir && !strings.HasPrefix(point, c.Layout.Dir+"/")
	}), nil
}

// restoreMachine undoes what kubelet and we have changed outside the state directory.
func (c *Cluster) restoreMachine(context.Context) error {
	state, found, err := c.loadState()
	if err != nil || !found {
		// A damaged record must not keep the rest from being removed; the settings then stay as kubelet set them.
		return node.RemoveCNIStateDir()
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	if state.BootID == boot {
		if err := restoreKernelSettings(state.KernelSettings); err != nil {
			return err
		}
	}
	return node.RemoveCNIStateDir()
}

// removeState deletes the state directory. It checks first that nothing is mounted in it: deleting through a mount
// would delete what is not ours.
func (c *Cluster) removeState(context.Context) error {
	mounts, err := c.ownMounts()
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("still mounted: %s", strings.Join(mounts, ", "))
	}
	if err := os.RemoveAll(c.Layout.Dir); err != nil {
		return fmt.Errorf("remove the state directory: %w", err)
	}
	return nil
}

// Leftovers names everything of a cluster that exists on this machine.
func (c *Cluster) Leftovers(ctx context.Context) []string {
	var found []string
	note := func(kind string, items []string, err error) {
		if err != nil {
			found = append(found, fmt.Sprintf("%s: cannot tell: %v", kind, err))
		}
		for _, item := range items {
			found = append(found, kind+": "+item)
		}
	}
	note("cgroup", c.Cgroups.Exists(c.Layout.CgroupRoot()), nil)
	strays, err := process.Strays(c.Layout.Dir)
	for _, stray := range strays {
		note("process", []string{stray.String()}, nil)
	}
	note("process", nil, err)
	mounts, err := c.ownMounts()
	note("mount", mounts, err)
	devices, err := volume.LoopDevices(c.Layout.Dir)
	for device, file := range devices {
		note("loop device", []string{device + " of " + file}, nil)
	}
	note("loop device", nil, err)
	net := c.network(network.Ranges{})
	routes, err := net.OwnRoutes(ctx)
	note("route", routes, err)
	note("network interface", net.OwnInterfaces(), nil)
	if _, err := os.Stat(c.Layout.Dir); err == nil {
		note("directory", []string{c.Layout.Dir}, nil)
	}
	return found
}
