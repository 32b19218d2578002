package process

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	tests := []struct {
		name, stat string
		ticks      uint64
		state      byte
		fails      bool
	}{
		{name: "a plain name", stat: "12 (etcd)" + rest, ticks: 4711, state: 'S'},
		{name: "a name with spaces and parentheses", stat: "12 (a) S (b c)" + rest, ticks: 4711, state: 'S'},
		{name: "too short a line", stat: "12 (etcd) S 1 1", fails: true},
		{name: "no name", stat: "12", fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ticks, state, err := parseStat([]byte(test.stat))
			if failed := err != nil; failed != test.fails {
				t.Fatalf("got error %v, want an error: %t", err, test.fails)
			}
			if ticks != test.ticks || (!test.fails && state != test.state) {
				t.Errorf("got ticks %d and state %c, want %d and %c", ticks, state, test.ticks, test.state)
			}
		})
	}
}

// sleeper starts a process of our own to be killed.
func sleeper(t *testing.T) (Identity, <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	identity, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return identity, ended
}

func TestKillEndsTheVeryProcess(t *testing.T) {
	identity, ended := sleeper(t)
	if !identity.Alive() {
		t.Fatal("a running process is said to be gone")
	}
	if err := identity.Kill(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	<-ended
	if identity.Alive() {
		t.Error("a killed process is said to run")
	}
}

func TestKillSparesAProcessThatHasOnlyThePID(t *testing.T) {
	identity, ended := sleeper(t)
	earlier := Identity{PID: identity.PID, StartTicks: identity.StartTicks - 1}
	if earlier.Alive() {
		t.Fatal("another process with the same pid is taken for ours")
	}
	if err := earlier.Kill(time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Error("the process that reused the pid was killed")
	case <-time.After(100 * time.Millisecond):
	}
}

func TestATableFindsOnlyRunningProcesses(t *testing.T) {
	table := Table{Records: t.TempDir(), Logs: t.TempDir()}
	running, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	reused := Identity{PID: running.PID, StartTicks: running.StartTicks + 1}
	for name, identity := range map[string]Identity{"running": running, "reused": reused} {
		if err := table.save(Record{Name: name, Identity: identity}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(table.file("damaged"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	records, err := table.Running()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1 || records[0].Name != "running" {
		t.Errorf("got %v, want only the process that runs", records)
	}
}

func TestIsOurs(t *testing.T) {
	const dir = "/var/lib/quorate-kube"
	tests := []struct {
		name string
		argv []string
		ours bool
	}{
		{"a kubelet of the cluster", []string{"/cache/kubelet", "--config=" + dir + "/nodes/worker-1/kubelet.yaml"}, true},
		{"a program about to be launched", []string{"/bin/kube", "launch", `{"netns":"` + dir + `/netns/worker-1"}`, "kubelet"}, true},
		{"an etcd of somebody else", []string{"etcd", "--data-dir=/var/lib/etcd"}, false},
		{"a cluster whose directory has a longer name", []string{"etcd", "--data-dir=" + dir + "-2/etcd"}, false},
		{"somebody who reads a log", []string{"tail", "-f", dir + "/log/etcd.log"}, false},
		{"somebody's kubectl", []string{"kubectl", "--kubeconfig", dir + "/kubeconfig", "get", "pods"}, false},
		{"a kernel thread", []string{""}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := isOurs(test.argv, dir); got != test.ours {
				t.Errorf("ours: %t, want %t", got, test.ours)
			}
		})
	}
}
