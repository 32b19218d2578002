// Package volume makes local volumes with a real size limit: an XFS file system in a loop-mounted sparse file each.
package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/command"
)

const (
	mebibyte = 1 << 20
	// MinimumSize is the smallest XFS that mkfs.xfs makes.
	MinimumSize = 32 * mebibyte
	// supportedSize is the smallest XFS that mkfs.xfs makes without being told that it is for a test.
	supportedSize = 300 * mebibyte
)

// Store keeps volumes below two directories, each as NODE/NAME.
type Store struct {
	Disks  string // files that hold the file systems
	Mounts string // where they are mounted
}

// Size rounds a requested size in bytes up to what a volume can have.
func Size(requested int64) int64 {
	rounded := (requested + mebibyte - 1) / mebibyte * mebibyte
	return max(rounded, MinimumSize)
}

// MountPoint is where a volume is mounted on the host and, by mount propagation, on its node.
func (s Store) MountPoint(node, name string) string { return filepath.Join(s.Mounts, node, name) }

func (s Store) disk(node, name string) string { return filepath.Join(s.Disks, node, name+".img") }

// Create makes a volume and mounts it. A repeated call finishes what an interrupted one has begun and never formats
// a finished file system again.
func (s Store) Create(ctx context.Context, node, name string, size int64) error {
	disk := s.disk(node, name)
	if _, err := os.Stat(disk); errors.Is(err, fs.ErrNotExist) {
		if err := format(ctx, disk, size); err != nil {
			return fmt.Errorf("create volume %s: %w", name, err)
		}
	} else if err != nil {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	if err := s.Mount(ctx, node, name); err != nil {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	return nil
}

// format makes the file system in a temporary file, so that a file with the final name is always a complete one.
func format(ctx context.Context, disk string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(disk), 0o700); err != nil {
		return err
	}
	temporary := disk + ".tmp"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return err
	}
	argv := []string{"mkfs.xfs", "-q", "-f", "-K"}
	if size < supportedSize {
		argv = append(argv, "--unsupported")
	}
	if err := command.Run(ctx, append(argv, temporary)...); err != nil {
		return err
	}
	return os.Rename(temporary, disk)
}

// Mount mounts an existing volume unless it is mounted. The loop device frees itself when the volume is unmounted.
func (s Store) Mount(ctx context.Context, node, name string) error {
	target := s.MountPoint(node, name)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	mounted, err := IsMountPoint(target)
	if err != nil || mounted {
		return err
	}
	return command.Run(ctx, "mount", "-t", "xfs", "-o", "loop", s.disk(node, name), target)
}

// Delete unmounts a volume and removes its file. A mount that is in use is an error, to be tried again.
func (s Store) Delete(ctx context.Context, node, name string) error {
	target := s.MountPoint(node, name)
	mounted, err := IsMountPoint(target)
	if err != nil {
		return fmt.Errorf("delete volume %s: %w", name, err)
	}
	if mounted {
		if err := command.Run(ctx, "umount", target); err != nil {
			return fmt.Errorf("delete volume %s: %w", name, err)
		}
	}
	// os.Remove, not RemoveAll: the directory is empty unless the volume were still mounted.
	for _, path := range []string{target, s.disk(node, name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete volume %s: %w", name, err)
		}
	}
	return nil
}

// IsMountPoint tells whether something is mounted exactly at path.
func IsMountPoint(path string) (bool, error) {
	points, err := MountPoints()
	if err != nil {
		return false, err
	}
	for _, point := range points {
		if point == path {
			return true, nil
		}
	}
	return false, nil
}

// MountPoints lists all mount points of this mount namespace in the order of mounting.
func MountPoints() ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, unescape(fields[4]))
		}
	}
	return points, nil
}

// unescape undoes the octal escapes that the kernel uses for spaces and such in mount points.
func unescape(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if value, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(value))
				i += 3
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
