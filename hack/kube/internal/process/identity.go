package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity names one process for good: a pid alone may be reused by another process.
type Identity struct {
	PID int `json:"pid"`
	// StartTicks is the start time in clock ticks since boot, field 22 of /proc/PID/stat.
	StartTicks uint64 `json:"startTicks"`
}

// errGone says that a process has ended (a zombie has ended too).
var errGone = errors.New("process is gone")

// Identify reads the identity of a running process.
func Identify(pid int) (Identity, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return Identity{}, errGone
	}
	ticks, state, err := parseStat(stat)
	if err != nil {
		return Identity{}, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	if state == 'Z' || state == 'X' {
		return Identity{}, errGone
	}
	return Identity{PID: pid, StartTicks: ticks}, nil
}

// Alive tells whether this very process still runs.
func (i Identity) Alive() bool {
	now, err := Identify(i.PID)
	return err == nil && now == i
}

// Kill ends this very process with SIGKILL and waits until it is gone. A reused pid is never signalled: the
// identity is checked after a pidfd was opened, and the signal goes through the pidfd.
func (i Identity) Kill(timeout time.Duration) error {
	if err := SignalIf(i.PID, unix.SIGKILL, i.Alive); err != nil {
		return err
	}
	for deadline := time.Now().Add(timeout); i.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d did not end within %s of SIGKILL", i.PID, timeout)
		}
	}
	return nil
}

// SignalIf signals pid only when ours holds after the process was pinned by a pidfd.
func SignalIf(pid int, signal unix.Signal, ours func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if !ours() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// parseStat extracts start time and state from /proc/PID/stat. The second field, the command name, is in
// parentheses and may itself hold spaces and parentheses.
func parseStat(stat []byte) (startTicks uint64, state byte, err error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("no command name in %q", stat)
	}
	fields := strings.Fields(string(stat[end+1:]))
	const startTimeIndex = 22 - 3 // fields here start with the third
	if len(fields) <= startTimeIndex {
		return 0, 0, fmt.Errorf("only %d fields in %q", len(fields)+2, stat)
	}
	startTicks, err = strconv.ParseUint(fields[startTimeIndex], 10, 64)
	return startTicks, fields[0][0], err
}
