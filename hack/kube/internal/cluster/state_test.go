package cluster

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

func sample(t *testing.T) (*Cluster, State) {
	t.Helper()
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{Layout: layout.Layout{Dir: t.TempDir()}}, State{
		Phase: Running, Workers: 3, BootID: boot, KernelSettings: map[string]string{"vm/panic_on_oom": "0"},
		Ranges: network.Ranges{
			Cluster: netip.MustParsePrefix("10.244.0.0/16"), Services: netip.MustParsePrefix("10.96.0.0/16"),
		},
	}
}

func TestStateIsReadAsItWasSaved(t *testing.T) {
	c, want := sample(t)
	if err := c.saveState(want); err != nil {
		t.Fatal(err)
	}
	got, found, err := c.loadState()
	if err != nil || !found {
		t.Fatalf("found: %t, error: %v", found, err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("state differs (-want +got):\n%s", diff)
	}
}

func TestOnlyAClusterThatCameUpOnThisBootRuns(t *testing.T) {
	tests := []struct {
		name   string
		change func(*State)
		runs   bool
	}{
		{"one that came up", func(*State) {}, true},
		{"one whose start was interrupted", func(s *State) { s.Phase = Starting }, false},
		{"one from before a reboot of the host", func(s *State) { s.BootID = "other" }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, state := sample(t)
			test.change(&state)
			if err := c.saveState(state); err != nil {
				t.Fatal(err)
			}
			_, err := c.running()
			if runs := err == nil; runs != test.runs || (err != nil && !errors.Is(err, ErrNotRunning)) {
				t.Errorf("runs: %t (%v), want %t", runs, err, test.runs)
			}
		})
	}
	c, _ := sample(t)
	if _, err := c.running(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without any state the error is %v, want %v", err, ErrNotRunning)
	}
}

func TestADamagedStateSaysWhatToDo(t *testing.T) {
	c, _ := sample(t)
	if err := os.WriteFile(c.Layout.StateFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.running(); err == nil || !strings.Contains(err.Error(), "kube down") {
		t.Errorf("got error %v, want one that names the remedy", err)
	}
}
