package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Kill ends all processes in a cgroup and below it at once, as a loss of power would, and waits until none is left.
// On v1 the freezer stops them first, so that none can react to the death of another; v2 has cgroup.kill.
func (c Cgroups) Kill(path string, timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		pids, err := c.Processes(path)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of cgroup %s did not end within %s of SIGKILL", pids, path, timeout)
		}
		if err := c.killOnce(path, pids); err != nil {
			return err
		}
	}
}

func (c Cgroups) killOnce(path string, pids []int) error {
	c.write(path, "freezer.state", "FROZEN")
	c.write(path, "cgroup.kill", "1")
	var failures []error
	for _, pid := range pids {
		failures = append(failures, killMember(pid, path))
	}
	c.write(path, "freezer.state", "THAWED")
	return errors.Join(failures...)
}

// write sets a control file in those hierarchies that have it; Kill works without it, only less suddenly.
func (c Cgroups) write(path, file, value string) {
	for _, h := range c.hierarchies {
		name := filepath.Join(h.mount, path, file)
		if _, err := os.Stat(name); err == nil {
			_ = os.WriteFile(name, []byte(value), 0)
		}
	}
}

// killMember signals a pid only while it is a member of the cgroup: the pidfd pins the process before the check, so
// that a reused pid is never hit.
func killMember(pid int, path string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	membership, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil || !isMember(string(membership), path) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// isMember reads /proc/PID/cgroup, lines of "ID:CONTROLLERS:PATH".
func isMember(membership, path string) bool {
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[2] == path || strings.HasPrefix(parts[2], path+"/")) {
			return true
		}
	}
	return false
}

// Remove deletes a cgroup with all below it from every hierarchy. It must hold no process. The kernel needs a moment
// after the last process has gone.
func (c Cgroups) Remove(path string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for _, h := range c.hierarchies {
		for {
			err := walk(filepath.Join(h.mount, path), os.Remove)
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove cgroup %s: %w", path, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

func ignoreGone(err error) error {
	gone := []error{fs.ErrNotExist, syscall.ENODEV}
	if slices.ContainsFunc(gone, func(target error) bool { return errors.Is(err, target) }) {
		return nil
	}
	return err
}

// RemoveIfEmpty deletes a cgroup that has neither processes nor children, and leaves any other alone.
func (c Cgroups) RemoveIfEmpty(path string) {
	for _, h := range c.hierarchies {
		_ = os.Remove(filepath.Join(h.mount, path))
	}
}
