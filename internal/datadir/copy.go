package datadir

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Copy copies what etcd needs of a data directory that no etcd has open: its log, its snapshots and its database. The
// target must not exist.
func Copy(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("copy to %s: it exists", to)
	}
	for _, dir := range []string{walDir, snapDir} {
		if err := os.MkdirAll(filepath.Join(to, dir), 0o700); err != nil {
			return fmt.Errorf("copy the data: %w", err)
		}
		entries, err := os.ReadDir(filepath.Join(from, dir))
		if err != nil {
			return fmt.Errorf("copy the data: %w", err)
		}
		for _, e := range entries {
			if !wanted(e) {
				continue
			}
			if err := copyFile(filepath.Join(from, dir, e.Name()), filepath.Join(to, dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// wanted leaves out files that etcd was making when it ended (".tmp"), and those that it put aside (".broken").
func wanted(e fs.DirEntry) bool {
	return e.Type().IsRegular() &&
		(e.Name() == "db" || slices.Contains([]string{".wal", ".snap", ".db"}, filepath.Ext(e.Name())))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy the data: %w", err)
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy the data: %w", err)
	}
	defer func() {
		if closed := out.Close(); err == nil && closed != nil {
			err = fmt.Errorf("copy the data: %w", closed)
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}
