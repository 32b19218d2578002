package volume

import (
	"context"
	"fmt"
	"os"

	"github.com/quorate/quorate/hack/kube/internal/command"
)

// MaximumSize is the largest size to which a volume grows: larger ones would be refused by some host file systems.
const MaximumSize = 1 << 40

// Grow makes a volume larger while it may be in use. A repeated call finishes what an interrupted one has begun.
func (s Store) Grow(ctx context.Context, node, name string, size int64) error {
	if size > MaximumSize {
		return fmt.Errorf("grow volume %s: %d bytes are more than the %d that a local volume can have",
			name, size, int64(MaximumSize))
	}
	if err := s.grow(ctx, node, name, size); err != nil {
		return fmt.Errorf("grow volume %s: %w", name, err)
	}
	return nil
}

func (s Store) grow(ctx context.Context, node, name string, size int64) error {
	disk := s.disk(node, name)
	info, err := os.Stat(disk)
	if err != nil {
		return err
	}
	if info.Size() < size {
		if err := os.Truncate(disk, size); err != nil {
			return err
		}
	}
	if err := s.Mount(ctx, node, name); err != nil {
		return err
	}
	devices, err := LoopDevices(s.Disks)
	if err != nil {
		return err
	}
	for device, file := range devices {
		if file != disk {
			continue
		}
		if err := command.Run(ctx, "losetup", "--set-capacity", device); err != nil {
			return err
		}
	}
	// It grows to the size of its device, and is content with a file system that has it already.
	return command.Run(ctx, "xfs_growfs", s.MountPoint(node, name))
}
