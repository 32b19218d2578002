package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Stray is a running process that belongs to a cluster by its command line.
type Stray struct {
	Identity
	CommandLine string
}

// String tells a person which process it is.
func (s Stray) String() string { return fmt.Sprintf("%d (%s)", s.PID, s.CommandLine) }

// programs are the only ones that are ever taken for ours: somebody who reads a log file below the state directory
// with another program must not be killed for it.
func programs() []string {
	return []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
		"volume-provisioner", "containerd", "containerd-shim-runc-v2", "runc",
	}
}

// Strays finds our programs whose command line names a path below the state directory, and processes that are about
// to become one.
func Strays(stateDir string) ([]Stray, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var strays []Stray
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// The identity is read first: if the pid is reused in between, Kill finds another start time.
		identity, err := Identify(pid)
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue
		}
		if argv := splitCommandLine(cmdline); isOurs(argv, stateDir) {
			strays = append(strays, Stray{Identity: identity, CommandLine: strings.Join(argv, " ")})
		}
	}
	return strays, nil
}

func splitCommandLine(cmdline []byte) []string {
	var argv []string
	for part := range bytes.SplitSeq(bytes.TrimRight(cmdline, "\x00"), []byte{0}) {
		argv = append(argv, string(part))
	}
	return argv
}

func isOurs(argv []string, stateDir string) bool {
	if len(argv) < 2 {
		return false
	}
	launching := argv[1] == LaunchCommand
	if !launching && !slices.Contains(programs(), filepath.Base(argv[0])) {
		return false
	}
	return slices.ContainsFunc(argv[1:], func(arg string) bool { return strings.Contains(arg, stateDir+"/") })
}
