package containerd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Seed fills the root of a daemon that does not run yet from one that was prepared, without copying the bulk of it:
// blobs and unpacked layers are never written again, only unlinked, so they are hard links. Databases are copied.
func Seed(prepared, root string) error {
	for _, part := range seeded() {
		if err := seedTree(filepath.Join(prepared, part), filepath.Join(root, part)); err != nil {
			return fmt.Errorf("seed images: %w", err)
		}
	}
	return nil
}

// seeded are the parts of a root that hold images; the rest, such as the identity of the daemon, is its own.
func seeded() []string {
	return []string{
		"io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt", "io.containerd.snapshotter.v1.overlayfs",
	}
}

func seedTree(prepared, root string) error {
	return filepath.WalkDir(prepared, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(prepared, path)
		if err != nil {
			return err
		}
		return seedEntry(path, filepath.Join(root, relative), entry)
	})
}

func seedEntry(source, target string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch {
	case entry.IsDir():
		return seedDirectory(target, info)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a directory", source)
	case strings.HasSuffix(source, ".db"):
		return copyFile(source, target, info)
	}
	err = os.Link(source, target)
	if errors.Is(err, syscall.EXDEV) {
		return copyFile(source, target, info)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func seedDirectory(target string, info fs.FileInfo) error {
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	// The mode goes beyond the permission bits: /tmp of an image is sticky.
	if err := os.Chmod(target, info.Mode()); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("no owner of %s", target)
	}
	return os.Chown(target, int(owner.Uid), int(owner.Gid))
}

func copyFile(source, target string, info fs.FileInfo) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
