package cluster

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/volume"
)

// mountVolumesDirectory makes the directory of volumes a mount that shares what is mounted in it with the nodes,
// whose mount namespaces are slaves of this one. It shares nothing with the host's other mounts.
func (c *Cluster) mountVolumesDirectory() error {
	dir := c.Layout.Volumes()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("prepare volumes: %w", err)
	}
	mounted, err := volume.IsMountPoint(dir)
	if err != nil || mounted {
		return err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("prepare volumes: %w", err)
	}
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", dir, "", propagation, ""); err != nil {
			return fmt.Errorf("prepare volumes: %w", err)
		}
	}
	return nil
}
