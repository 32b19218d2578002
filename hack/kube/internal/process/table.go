// Package process starts programs that outlive the command that started them, remembers them, and stops exactly them.
package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Spec says what to run and where.
type Spec struct {
	// Name is unique among all processes of the cluster; it names the record and the log file.
	Name      string
	Argv      []string
	Env       []string
	Placement Placement
}

// Record is what is remembered of a started process.
type Record struct {
	Name string `json:"name"`
	Identity
	Argv []string `json:"argv"`
}

// Table remembers processes as files, one for each, so that a later command finds them.
type Table struct {
	Records string // directory of the records
	Logs    string // directory of the log files
}

// Handle watches a process that this very command started.
type Handle struct {
	Record
	Log    string
	exited chan struct{}
}

// Start runs a process in a session of its own with its output in a log file, and records it.
func (t Table) Start(spec Spec) (*Handle, error) {
	log := filepath.Join(t.Logs, spec.Name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer func() { _ = out.Close() }()
	argv, err := launchArgv(spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + SearchPath, "HOME=/root"}, spec.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	handle := &Handle{Log: log, exited: make(chan struct{})}
	identity, identityErr := Identify(cmd.Process.Pid)
	go func() {
		_ = cmd.Wait()
		close(handle.exited)
	}()
	handle.Record = Record{Name: spec.Name, Identity: identity, Argv: spec.Argv}
	if identityErr != nil {
		return nil, handle.exitError()
	}
	return handle, t.save(handle.Record)
}

// SearchPath is the PATH of all started processes.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Exited is closed when the process has ended.
func (h *Handle) Exited() <-chan struct{} { return h.exited }

// WaitUntil polls ready until it returns nil, the process ends or the time is over.
func (h *Handle) WaitUntil(ready func() error, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-h.exited:
			return h.exitError()
		case <-deadline.C:
			return fmt.Errorf("%s is not ready after %s: %w (log: %s)", h.Name, timeout, err, h.Log)
		case <-time.After(pause):
		}
	}
}

func (h *Handle) exitError() error {
	return fmt.Errorf("%s ended; the end of its log %s:\n%s", h.Name, h.Log, logTail(h.Log, 10))
}

// Find returns the record of a process that still runs.
func (t Table) Find(name string) (Record, bool) {
	content, err := os.ReadFile(t.file(name))
	if err != nil {
		return Record{}, false
	}
	var record Record
	if json.Unmarshal(content, &record) != nil || !record.Alive() {
		return Record{}, false
	}
	return record, true
}

// Running lists the recorded processes that still run.
func (t Table) Running() ([]Record, error) {
	files, err := os.ReadDir(t.Records)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var running []Record
	for _, file := range files {
		if record, ok := t.Find(strings.TrimSuffix(file.Name(), ".json")); ok {
			running = append(running, record)
		}
	}
	return running, nil
}

func (t Table) file(name string) string { return filepath.Join(t.Records, name+".json") }

// save writes the record through a rename, so that a crash leaves no half-written one.
func (t Table) save(record Record) error {
	content, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record %s: %w", record.Name, err)
	}
	temporary := t.file(record.Name) + ".tmp"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("record %s: %w", record.Name, err)
	}
	if err := os.Rename(temporary, t.file(record.Name)); err != nil {
		return fmt.Errorf("record %s: %w", record.Name, err)
	}
	return nil
}

func logTail(file string, lines int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Stop asks the process to end and waits until it has.
func (h *Handle) Stop(timeout time.Duration) error {
	if err := SignalIf(h.PID, syscall.SIGTERM, h.Alive); err != nil {
		return err
	}
	select {
	case <-h.exited:
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("%s did not end within %s of SIGTERM", h.Name, timeout)
	}
}
