package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

// Phase says how far a cluster has come.
type Phase string

const (
	// Starting means that "up" has begun and not finished: what exists is thrown away by the next "up".
	Starting Phase = "Starting"
	// Running means that "up" has finished once: what is missing is started again by the next "up".
	Running Phase = "Running"
)

// State is what has to be remembered of a cluster.
type State struct {
	Phase   Phase          `json:"phase"`
	Workers int            `json:"workers"`
	Ranges  network.Ranges `json:"ranges"`
	// BootID is that of the kernel: after a reboot of the host nothing of the cluster runs any more.
	BootID string `json:"bootID"`
	// KernelSettings are the values of the kernel settings that are changed, as they were before.
	KernelSettings map[string]string `json:"kernelSettings"`
	// Artifacts are the programs that run.
	Artifacts build.Artifacts `json:"artifacts"`
}

// loadState returns false when nothing is recorded.
func (c *Cluster) loadState() (State, bool, error) {
	content, err := os.ReadFile(c.Layout.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("read the cluster's state: %w", err)
	}
	var state State
	if err := json.Unmarshal(content, &state); err != nil {
		return State{}, false, fmt.Errorf("read the cluster's state %s (\"kube down\" removes a damaged one): %w",
			c.Layout.StateFile(), err)
	}
	return state, true, nil
}

func (c *Cluster) saveState(state State) error {
	content, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("record the cluster's state: %w", err)
	}
	if err := os.MkdirAll(c.Layout.Dir, 0o755); err != nil {
		return fmt.Errorf("record the cluster's state: %w", err)
	}
	temporary := c.Layout.StateFile() + ".tmp"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("record the cluster's state: %w", err)
	}
	if err := os.Rename(temporary, c.Layout.StateFile()); err != nil {
		return fmt.Errorf("record the cluster's state: %w", err)
	}
	return nil
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot ID: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
