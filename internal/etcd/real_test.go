//go:build integration

package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/internal/etcd"
)

// These tests need the etcd servers under $QUORATE_CACHE (~/.cache/quorate), one directory a version.

func TestRealEtcdBehavesAsTheScenarioSays(t *testing.T) {
	for _, minor := range []string{"3.5", "3.6", "3.7"} {
		t.Run("etcd "+minor, func(t *testing.T) {
			runScenario(t, func(t *testing.T) world { return newRealWorld(t, minor) })
		})
	}
}

func TestRealEtcdFillsUpAsTheScenarioSays(t *testing.T) {
	for _, minor := range []string{"3.5", "3.6", "3.7"} {
		t.Run("etcd "+minor, func(t *testing.T) {
			w := newRealWorld(t, minor)
			w.quota = conformanceQuota
			runMaintenance(t, w)
		})
	}
}

func TestRealEtcdChangesVersionsAsTheScenarioSays(t *testing.T) {
	for _, minors := range [][2]string{{"3.5", "3.6"}, {"3.6", "3.7"}} {
		t.Run("etcd "+minors[0]+" and "+minors[1], func(t *testing.T) {
			runVersions(t, minors[0], minors[1], func(t *testing.T) world { return newRealWorld(t, minors[0]) })
		})
	}
}

func (w *realWorld) overwrite(name string) error {
	return w.kv(name, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, "large", strings.Repeat("x", largeValue))
		return err
	})
}

func TestARealMembersDeathAndReturnAreTold(t *testing.T) {
	w := newRealWorld(t, "3.6")
	told := func(what string) {
		t.Helper()
		select {
		case <-w.pool.Changed():
		case <-time.After(15 * time.Second):
			t.Fatalf("not told: %s\n%s", what, w.processes["a"].log.String())
		}
	}
	w.start("a", false, "a")
	w.client("a")
	told("the member serves")
	w.kill("a")
	told("the member died")
	w.start("a", true, "a")
	told("the member serves again")
}

// realWorld runs etcd processes on ports of the loopback interface.
type realWorld struct {
	t         *testing.T
	binary    string
	dir       string
	pool      *etcd.Pool
	ports     map[string][2]int // of client and peer URL
	processes map[string]*realProcess
	starts    int
	acked     []string
	quota     int64 // 0 for etcd's default
}

type realProcess struct {
	cmd    *exec.Cmd
	uid    string
	log    *lockedBuffer
	exited chan struct{}
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRealWorld(t *testing.T, minor string) *realWorld {
	t.Helper()
	w := &realWorld{
		t: t, binary: etcdBinary(t, minor), dir: t.TempDir(), pool: etcd.NewPool(etcd.PoolOptions{}),
		ports: map[string][2]int{}, processes: map[string]*realProcess{},
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		w.ports[name] = [2]int{freePort(t), freePort(t)}
	}
	t.Cleanup(func() {
		w.pool.Close()
		for name := range w.processes {
			w.kill(name)
		}
	})
	return w
}

// etcdBinary returns the newest server of a minor version in the cache.
func etcdBinary(t *testing.T, minor string) string {
	t.Helper()
	cache := os.Getenv("QUORATE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "quorate")
	}
	found, newest := "", time.Time{}
	pattern := filepath.Join(cache, "etcd-v"+minor+".*", "etcd")
	matches, _ := filepath.Glob(pattern)
	for _, path := range matches {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			found, newest = path, info.ModTime()
		}
	}
	if found == "" {
		t.Fatalf("no etcd server at %s: build it from hack/tools/etcd-%s, or set QUORATE_CACHE", pattern, minor)
	}
	return found
}

// freePort is below the ports from which the kernel takes those of outgoing connections (32768 and above), so that
// nothing takes it before the server does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close() // nothing was accepted
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func (w *realWorld) during(t *testing.T) { w.t = t }
func (w *realWorld) now() time.Time      { return time.Now() }
func (w *realWorld) token() string       { return "generation-1" }
func (w *realWorld) wait()               { time.Sleep(100 * time.Millisecond) }

func (w *realWorld) address(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", w.ports[name][0])
}
func (w *realWorld) clientURL(name string) string { return "http://" + w.address(name) }
func (w *realWorld) peerURL(name string) string {
	return fmt.Sprintf("http://127.0.0.1:%d", w.ports[name][1])
}

func (w *realWorld) start(name string, existing bool, initial ...string) {
	w.kill(name)
	pairs := []string(nil)
	for _, n := range initial {
		pairs = append(pairs, n+"="+w.peerURL(n))
	}
	state := "new"
	if existing {
		state = "existing"
	}
	w.starts++
	p := &realProcess{uid: fmt.Sprint(w.starts), log: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd = exec.Command(w.binary,
		"--name="+name, "--data-dir="+filepath.Join(w.dir, name),
		"--listen-client-urls="+w.clientURL(name), "--advertise-client-urls="+w.clientURL(name),
		"--listen-peer-urls="+w.peerURL(name), "--initial-advertise-peer-urls="+w.peerURL(name),
		"--initial-cluster="+strings.Join(pairs, ","), "--initial-cluster-state="+state,
		"--initial-cluster-token="+w.token(), fmt.Sprintf("--quota-backend-bytes=%d", w.quota))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		w.t.Fatalf("starting %s: %v", w.binary, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the exit code is read from ProcessState
	}()
	w.processes[name] = p
}

func (w *realWorld) use(minor string) { w.binary = etcdBinary(w.t, minor) }

func (w *realWorld) kill(name string) {
	if p := w.processes[name]; p != nil {
		_ = p.cmd.Process.Kill() // it may have exited
		<-p.exited
	}
}

func (w *realWorld) wipe(name string) {
	if err := os.RemoveAll(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *realWorld) exited(name string) (int, string, bool) {
	p := w.processes[name]
	if p == nil {
		return 0, "", false
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), p.log.String(), true
	default:
		return 0, "", false
	}
}

// client returns a client of the process that runs now: a restarted one is another Pod.
func (w *realWorld) client(name string) etcd.Client {
	uid := "never-started-" + name
	if p := w.processes[name]; p != nil {
		uid = p.uid
	}
	c, err := w.pool.Client(etcd.Target{Cluster: "ns/demo", PodUID: uid, Address: w.address(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *realWorld) activePeers(leader string, id uint64) (map[uint64]bool, error) {
	before, err := etcd.ReadPeers(context.Background(), w.address(leader), id)
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // many heartbeats
	now, err := etcd.ReadPeers(context.Background(), w.address(leader), id)
	active := map[uint64]bool{}
	for peer := range now.Active {
		if now.Received[peer] > before.Received[peer] && now.Leadership == before.Leadership {
			active[peer] = true
		}
	}
	return active, err
}

// kv calls do with a client of the member, apart from the pool that is tested.
func (w *realWorld) kv(name string, do func(context.Context, *clientv3.Client) error) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{w.clientURL(name)}})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return do(ctx, c)
}

func (w *realWorld) put(name, value string) error {
	return w.kv(name, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, value, value)
		if err == nil {
			w.acked = append(w.acked, value)
		}
		return err
	})
}

func (w *realWorld) lost(name string) (lost []string, err error) {
	if len(w.acked) == 0 {
		return nil, errors.New("nothing was written")
	}
	return lost, w.kv(name, func(ctx context.Context, c *clientv3.Client) error {
		for _, key := range w.acked {
			r, err := c.Get(ctx, key)
			if err != nil {
				return err
			}
			if len(r.Kvs) != 1 {
				lost = append(lost, key)
			}
		}
		return nil
	})
}
