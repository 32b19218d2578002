package etcd_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
)

// Whatever happens to processes and networks, raft loses nothing: a model that reports otherwise is wrong.
func TestWithoutLossOfDisksNoWriteIsLost(t *testing.T) {
	acknowledged := 0
	for seed := range uint64(300) {
		w := newCluster(t, "a", "b", "c", "d", "e")
		shake(w, seed, 200)
		if v := w.model.Violations(); len(v) != 0 {
			t.Fatalf("seed %d: %v", seed, v)
		}
		heal(w)
		if lost := w.model.AckedWritesSurvive(); len(lost) != 0 || w.leaderName() == "" {
			t.Fatalf("seed %d: leader %q, lost %v", seed, w.leaderName(), lost)
		}
		acknowledged += len(w.model.AcknowledgedWrites(w.volumes["a"].ClusterID()))
	}
	if acknowledged < 1000 {
		t.Errorf("only %d writes were acknowledged: the test proves little", acknowledged)
	}
}

func TestTheModelIsDeterministic(t *testing.T) {
	trace := func() string {
		w := newCluster(t, "a", "b", "c", "d", "e")
		shake(w, 42, 300)
		out := ""
		for _, name := range w.running() {
			s, _ := w.model.State(name)
			out += fmt.Sprintf("%+v\n", s)
		}
		return out + fmt.Sprint(w.model.AcknowledgedWrites(w.volumes["a"].ClusterID()))
	}
	if diff := cmp.Diff(trace(), trace()); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}

// shake lets random things happen: processes end and return, members are cut off, the leadership moves, writes go on.
func shake(w *modelWorld, seed uint64, steps int) {
	r := rand.New(rand.NewPCG(seed, seed))
	names := []string{"a", "b", "c", "d", "e"}
	for step := range steps {
		name := names[r.IntN(len(names))]
		switch r.IntN(8) {
		case 0:
			w.kill(name)
		case 1, 2:
			if s, _ := w.model.State(name); !s.Running && !w.volumes[name].Empty() {
				w.start(name, true, name)
			}
		case 3:
			w.model.Partition(name, true)
		case 4, 5:
			w.model.Partition(name, false)
		case 6:
			_ = w.client(name).MoveLeader(w.t.Context(), w.id(names[r.IntN(len(names))])) // any answer will do
		case 7:
			_ = w.put(name, fmt.Sprintf("%s-%d", name, step)) // acknowledged or not
		}
		w.pass(time.Duration(r.IntN(15)) * 100 * time.Millisecond)
	}
}

func heal(w *modelWorld) {
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.model.Partition(name, false)
		if s, _ := w.model.State(name); !s.Running {
			w.start(name, true, name)
		}
	}
	w.pass(5 * time.Second)
}

// A member of three loses its disk and is replaced under a new ID, again and again.
func TestReplacementsLoseNothing(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newCluster(t, "a", "b", "c")
		for round := range 5 {
			if err := w.put(w.leaderName(), fmt.Sprint(round)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			dead := []string{"a", "b", "c"}[r.IntN(3)]
			w.kill(dead)
			w.wipe(dead)
			w.pass(6 * time.Second)
			w.replace(dead, seed)
		}
		if v := w.model.Violations(); len(v) != 0 {
			t.Fatalf("seed %d: %v", seed, v)
		}
		if lost := w.model.AckedWritesSurvive(); len(lost) != 0 {
			t.Fatalf("seed %d: lost %v", seed, lost)
		}
	}
}

// replace removes a dead member, and joins a new one in its place.
func (w *modelWorld) replace(dead string, seed uint64) {
	w.t.Helper()
	list, err := w.leader().Members(w.t.Context())
	if err != nil {
		w.t.Fatalf("seed %d: %v", seed, err)
	}
	others := []string(nil)
	for _, m := range list.Members {
		if m.PeerURLs[0] != w.peerURL(dead) {
			others = append(others, m.Name)
		} else if err := w.leader().Remove(w.t.Context(), m.ID); err != nil {
			w.t.Fatalf("seed %d: removing %s: %v", seed, dead, err)
		}
	}
	w.volumes[dead] = &etcd.DataDir{}
	w.join(dead, others...)
}

func BenchmarkModelTenSecondsOfThreeMembers(b *testing.B) {
	for b.Loop() {
		w := &modelWorld{clock: time.Unix(1_800_000_000, 0), volumes: map[string]*etcd.DataDir{}}
		w.model = etcd.NewModel(etcd.ModelOptions{Now: w.now})
		for _, name := range []string{"a", "b", "c"} {
			w.start(name, false, "a", "b", "c")
		}
		for range 100 {
			w.wait()
		}
	}
}
