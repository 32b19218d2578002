// Package filelock lets one process at a time do something. The kernel releases a lock with its process.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Acquire takes the lock of a file, which it creates and never removes. When another process holds it, waiting is
// called once. The returned function releases it.
func Acquire(file string, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	fd, err := unix.Open(file, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	release = func() { _ = unix.Close(fd) }
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		return release, nil
	}
	waiting()
	err = unix.Flock(fd, unix.LOCK_EX)
	for errors.Is(err, unix.EINTR) {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return release, nil
}
