package etcd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/etcd"
)

func TestTheModelBehavesLikeEtcd(t *testing.T) {
	runScenario(t, func(t *testing.T) world { return newModelWorld(t) })
}

// modelWorld runs the scenario in the Model, 100 ms a tick.
type modelWorld struct {
	t       *testing.T
	clock   time.Time
	model   *etcd.Model
	volumes map[string]*etcd.DataDir
	quota   int64 // 0 for etcd's default
	version string
}

func newModelWorld(t *testing.T) *modelWorld {
	w := &modelWorld{t: t, clock: time.Unix(1_800_000_000, 0), volumes: map[string]*etcd.DataDir{},
		version: "3.6.16"}
	w.model = etcd.NewModel(etcd.ModelOptions{Now: w.now, ElectionTicks: 10, SyncTicks: 3})
	return w
}

func (w *modelWorld) during(t *testing.T)          { w.t = t }
func (w *modelWorld) now() time.Time               { return w.clock }
func (w *modelWorld) token() string                { return "generation-1" }
func (w *modelWorld) peerURL(name string) string   { return "http://" + name + ":2380" }
func (w *modelWorld) clientURL(name string) string { return "http://" + name + ":2379" }

func (w *modelWorld) start(name string, existing bool, initial ...string) {
	if w.volumes[name] == nil {
		w.volumes[name] = &etcd.DataDir{}
	}
	pairs := []string(nil)
	for _, n := range initial {
		pairs = append(pairs, n+"="+w.peerURL(n))
	}
	w.model.Start(etcd.ProcessConfig{
		PodUID: name, Name: name, Address: name + ":2379", PeerURL: w.peerURL(name), ClientURL: w.clientURL(name),
		InitialCluster: strings.Join(pairs, ","), Existing: existing, Token: w.token(), Version: w.version,
		DataDir: w.volumes[name], Quota: w.quota,
	})
}

func (w *modelWorld) use(minor string) { w.version = minor + ".99" }

func (w *modelWorld) kill(name string) { w.model.Stop(name) }
func (w *modelWorld) wipe(name string) {
	if volume := w.volumes[name]; volume != nil {
		volume.Wipe()
	}
}

func (w *modelWorld) exited(name string) (int, string, bool) {
	s, ok := w.model.State(name)
	return s.ExitCode, s.Message, ok && !s.Running
}

func (w *modelWorld) client(name string) etcd.Client {
	c, err := w.model.Dialer().Client(etcd.Target{Cluster: "ns/demo", PodUID: name, Address: name + ":2379"})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *modelWorld) activePeers(leader string, _ uint64) (map[uint64]bool, error) {
	r, err := w.model.ReadPeers(leader)
	return r.Active, err
}

func (w *modelWorld) put(name, value string) error { return w.model.Put(name, value) }

func (w *modelWorld) lost(string) ([]string, error) {
	lost := []string(nil)
	for _, v := range w.model.AckedWritesSurvive() {
		lost = append(lost, v.Detail)
	}
	return lost, nil
}

func (w *modelWorld) wait() {
	w.clock = w.clock.Add(100 * time.Millisecond)
	w.model.Tick()
}
