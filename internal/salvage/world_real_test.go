//go:build integration

package salvage_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/datadir"
	"github.com/quorate/quorate/internal/salvage"
	"github.com/quorate/quorate/internal/state"
)

const readyPoll = 100 * time.Millisecond

type world struct {
	t        *testing.T
	programs string
	dir      string
	members  map[string]*member
	voters   int
}

type member struct {
	port int
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func newWorld(t *testing.T, minor string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), members: map[string]*member{}}
	cache := os.Getenv("QUORATE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		w.must(err)
		cache = filepath.Join(home, ".cache", "quorate")
	}
	found, err := filepath.Glob(filepath.Join(cache, "etcd-v"+minor+".*", "etcdutl"))
	w.must(err)
	if len(found) == 0 {
		t.Fatalf("no etcd %s in %s: build it from hack/tools/etcd-%s, or set QUORATE_CACHE", minor, cache, minor)
	}
	w.programs = filepath.Dir(found[0])
	t.Cleanup(func() {
		for name := range w.members {
			w.kill(name)
		}
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start(names ...string) {
	w.t.Helper()
	w.voters = len(names)
	var list []string
	for _, name := range names {
		w.members[name] = &member{port: freePorts(w.t)}
		list = append(list, fmt.Sprintf("%s=http://127.0.0.1:%d", name, w.members[name].port+1))
	}
	for _, name := range names {
		w.run(name, filepath.Join(w.dir, name), "--initial-cluster="+strings.Join(list, ","))
	}
}

func (w *world) run(name, dir string, args ...string) {
	w.t.Helper()
	m := w.members[name]
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", m.port), fmt.Sprintf("http://127.0.0.1:%d", m.port+1)
	m.cmd = exec.Command(filepath.Join(w.programs, "etcd"), append([]string{"--name=" + name, "--data-dir=" + dir,
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer}, args...)...)
	m.cmd.Stderr = &m.log
	w.must(m.cmd.Start())
}

// learn adds a learner beside the only voter, and waits until it has all that the voter has committed.
func (w *world) learn(name, from string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.members[name] = &member{port: freePorts(w.t)}
	peer := func(name string) string { return fmt.Sprintf("http://127.0.0.1:%d", w.members[name].port+1) }
	_, err := w.client(from).MemberAddAsLearner(ctx, []string{peer(name)})
	w.must(err)
	w.run(name, filepath.Join(w.dir, name), "--initial-cluster-state=existing",
		"--initial-cluster="+from+"="+peer(from)+","+name+"="+peer(name))
	leader, err := w.client(from).Status(ctx, w.address(from))
	w.must(err)
	for ctx.Err() == nil {
		asked, stop := context.WithTimeout(ctx, time.Second)
		s, err := w.client(name).Status(asked, w.address(name))
		stop()
		if err == nil && s.RaftAppliedIndex >= leader.RaftIndex {
			return
		}
		time.Sleep(readyPoll)
	}
	w.t.Fatalf("learner %s does not catch up", name)
}

func (w *world) kill(names ...string) {
	for _, name := range names {
		if m := w.members[name]; m.cmd.ProcessState == nil {
			_ = m.cmd.Process.Kill() // it may have ended
			_ = m.cmd.Wait()         // it was killed
		}
	}
}

func (w *world) client(name string) *clientv3.Client {
	w.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{w.address(name)}})
	w.must(err)
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// write writes keys, one of which is then deleted, and returns those that are there.
func (w *world) write(name string, n int) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	c := w.client(name)
	var keys []string
	for i := range n + 1 {
		key := fmt.Sprintf("key-%03d", i)
		_, err := c.Put(ctx, key, key)
		w.must(err)
		keys = append(keys, key)
	}
	_, err := c.Delete(ctx, keys[n])
	w.must(err)
	return keys[:n]
}

// lead makes the member the leader: only a leader's log grows without a quorum.
func (w *world) lead(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	status, err := w.client(name).Status(ctx, w.address(name))
	w.must(err)
	if status.Leader == status.Header.MemberId {
		return
	}
	for other := range w.members {
		c := w.client(other)
		if s, err := c.Status(ctx, w.address(other)); err == nil && s.Leader == s.Header.MemberId {
			_, err := c.MoveLeader(ctx, status.Header.MemberId)
			w.must(err)
		}
	}
}

func (w *world) address(name string) string { return fmt.Sprintf("127.0.0.1:%d", w.members[name].port) }

func (w *world) writeWithoutQuorum(name, key string) {
	w.t.Helper()
	index := w.inspectRunning(name).LastIndex
	ctx, cancel := context.WithTimeout(w.t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.client(name).Put(ctx, key, key); err == nil {
		w.t.Fatal("a write succeeded without a quorum")
	}
	if after := w.inspectRunning(name); after.LastIndex == index || after.Commit >= after.LastIndex {
		w.t.Fatalf("the log went from %d to %d, of which %d is committed: nothing in it is uncommitted",
			index, after.LastIndex, after.Commit)
	}
}

func (w *world) inspectRunning(name string) state.DataReport {
	w.t.Helper()
	r, err := datadir.Inspect(filepath.Join(w.dir, name))
	w.must(err)
	if r.Problem != "" {
		w.t.Fatalf("the data of %s cannot be read: %s", name, r.Problem)
	}
	return r
}

// job is to salvage the member's data, as its inspection tells.
func (w *world) job(name string) salvage.Job {
	w.t.Helper()
	r := w.inspectRunning(name)
	if len(r.Voters) != w.voters || len(r.Names) != len(w.members) {
		w.t.Errorf("the voters are %x and the names %v, want %d of %d", r.Voters, r.Names, w.voters, len(w.members))
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", freePorts(w.t)+1)
	token := "new-" + w.t.Name()
	return salvage.Job{
		QuorumLossID: "0123456789abcdef", Source: filepath.Join(w.dir, name), Work: w.t.TempDir(),
		Target: filepath.Join(w.t.TempDir(), "data"), ClusterID: r.ClusterID, MemberID: r.MemberID,
		LastTerm: r.LastTerm, LastIndex: r.LastIndex, NewName: "new", NewPeerURL: url, NewToken: token,
		NewMemberID: state.BootstrapMemberID(url, token), FirstPort: freePorts(w.t),
		Etcd: filepath.Join(w.programs, "etcd"), Etcdutl: filepath.Join(w.programs, "etcdutl"),
	}
}

func (w *world) salvage(job salvage.Job) state.SalvageReport {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	report, err := salvage.Run(ctx, job)
	w.must(err)
	return report
}

func (w *world) startRestored(job salvage.Job) {
	w.t.Helper()
	w.members["new"] = &member{port: freePorts(w.t)}
	w.run("new", job.Target)
}

// has tells that exactly these keys are there, above the revisions that the lost cluster had used.
func (w *world) has(keys []string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	c := w.client("new")
	r, err := c.Get(ctx, "", clientv3.WithPrefix())
	w.must(err)
	got := map[string]string{}
	for _, kv := range r.Kvs {
		got[string(kv.Key)] = string(kv.Value)
	}
	for _, key := range keys {
		if got[key] != key {
			w.t.Errorf("%s is %q, want itself", key, got[key])
		}
	}
	if len(got) != len(keys) || r.Header.Revision < 1_000_000_000 {
		w.t.Errorf("there are %d keys at revision %d, want %d above a billion", len(got), r.Header.Revision, len(keys))
	}
	list, err := c.MemberList(ctx)
	w.must(err)
	if len(list.Members) != 1 {
		w.t.Errorf("there are %d members, want 1", len(list.Members))
	}
}

// freePorts is the first of three ports that nobody listens on.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		_ = l.Close() // it was only to find the number
		if free(first+1) && free(first+2) {
			return first
		}
	}
	t.Fatal("no three ports in a row are free")
	return 0
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
