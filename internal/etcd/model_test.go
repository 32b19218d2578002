package etcd_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
)

// newCluster returns a world in which these members have bootstrapped, serve, and are connected for long enough for a
// membership change.
func newCluster(t *testing.T, names ...string) *modelWorld {
	t.Helper()
	w := newModelWorld(t)
	for _, name := range names {
		w.start(name, false, names...)
	}
	w.pass(6 * time.Second)
	if w.leaderName() == "" {
		t.Fatal("the cluster has no leader")
	}
	return w
}

func (w *modelWorld) pass(d time.Duration) {
	for range d / (100 * time.Millisecond) {
		w.wait()
	}
}

// running returns the Pods whose processes run, in the order of their names.
func (w *modelWorld) running() []string {
	names := []string(nil)
	for name := range w.volumes {
		if s, _ := w.model.State(name); s.Running {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// leaderName returns the member that leads and serves linearizable reads; empty when there is none.
func (w *modelWorld) leaderName() string {
	for _, name := range w.running() {
		s, _ := w.model.State(name)
		if s.Leader == s.MemberID && w.client(name).Read(w.t.Context()) == nil {
			return name
		}
	}
	return ""
}

func (w *modelWorld) leader() etcd.Client {
	w.t.Helper()
	name := w.leaderName()
	if name == "" {
		w.t.Fatal("no member leads")
	}
	return w.client(name)
}

// follower returns a running member that does not lead, other than these.
func (w *modelWorld) follower(other ...string) string {
	for _, name := range w.running() {
		if name != w.leaderName() && !slices.Contains(other, name) {
			return name
		}
	}
	w.t.Fatal("there is no follower")
	return ""
}

func (w *modelWorld) id(name string) uint64 { return w.volumes[name].MemberID() }

// join adds and promotes a member on a new volume.
func (w *modelWorld) join(name string, others ...string) {
	w.t.Helper()
	if _, err := w.leader().AddLearner(w.t.Context(), w.peerURL(name)); err != nil {
		w.t.Fatalf("adding %s: %v", name, err)
	}
	w.start(name, true, append(others, name)...)
	w.pass(time.Second)
	if err := w.leader().Promote(w.t.Context(), w.id(name)); err != nil {
		w.t.Fatalf("promoting %s: %v", name, err)
	}
	w.pass(6 * time.Second)
}

func (w *modelWorld) wantViolations(want ...etcd.ViolationKind) {
	w.t.Helper()
	got := []etcd.ViolationKind(nil)
	for _, v := range w.model.Violations() {
		got = append(got, v.Kind)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("violations (-want +got):\n%s%v", diff, w.model.Violations())
	}
}

func (w *modelWorld) wantRunning(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.running()); diff != "" {
		w.t.Errorf("running members (-want +got):\n%s", diff)
	}
}

// wantOutcome checks an error against a sentinel; unknown stands for an error that is none of the sentinels.
func wantOutcome(t *testing.T, want, got error) {
	t.Helper()
	sentinels := []error{
		etcd.ErrLater, etcd.ErrNotFound, etcd.ErrExists, etcd.ErrNotLearner, etcd.ErrTooManyLearners, etcd.ErrNotLeader,
	}
	if (want == nil) != (got == nil) {
		t.Fatalf("got error %v, want %v", got, want)
	}
	for _, s := range sentinels {
		if errors.Is(got, s) != errors.Is(want, s) {
			t.Errorf("got error %v, want %v", got, want)
		}
	}
}

var errUnknown = errors.New("an error after which the outcome is unknown")

func TestElectionsOfTheModel(t *testing.T) {
	for _, test := range []struct {
		name    string
		arrange func(w *modelWorld)
		leads   bool
	}{
		{"three of three elect", func(*modelWorld) {}, true},
		{"two of three elect", func(w *modelWorld) { w.kill(w.leaderName()) }, true},
		{"one of three does not", func(w *modelWorld) { w.kill(w.leaderName()); w.kill(w.follower()) }, false},
		{"a leader that is cut off is replaced", func(w *modelWorld) { w.model.Partition(w.leaderName(), true) }, true},
		{"a majority that is cut off from each other does not", func(w *modelWorld) {
			w.model.Partition("a", true)
			w.model.Partition("b", true)
		}, false},
		{"members that restart elect again", func(w *modelWorld) {
			for _, name := range []string{"a", "b", "c"} {
				w.kill(name)
			}
			w.start("a", true, "a")
			w.start("c", true, "c")
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newCluster(t, "a", "b", "c")
			test.arrange(w)
			w.pass(3 * time.Second)
			if got := w.leaderName(); (got != "") != test.leads {
				t.Errorf("leader %q, want one: %v", got, test.leads)
			}
			w.wantViolations()
		})
	}
}

func TestTheMemberWithTheBestLogIsElected(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	leader := w.leaderName()
	behind := w.follower()
	ahead := w.follower(behind)
	w.model.Partition(behind, true)
	if err := w.put(leader, "written without "+behind); err != nil {
		t.Fatal(err)
	}
	w.kill(leader)
	w.model.Partition(behind, false)
	w.pass(3 * time.Second)
	if got := w.leaderName(); got != ahead {
		t.Errorf("%q leads, want %q, the only one that runs with the write", got, ahead)
	}
	w.wantViolations()
}

func TestALeaderThatWasCutOffGivesWay(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	old := w.leaderName()
	w.model.Partition(old, true)
	if err := w.put(old, "never acknowledged"); err == nil {
		t.Error("a leader without a quorum acknowledged a write")
	}
	w.pass(3 * time.Second)
	if s, _ := w.model.State(old); s.Leader != 0 {
		t.Errorf("the leader that was cut off still follows %x", s.Leader)
	}
	if err := w.put(w.leaderName(), "acknowledged"); err != nil {
		t.Fatal(err)
	}
	w.model.Partition(old, false)
	w.pass(time.Second)
	if err := w.client(old).Read(t.Context()); err != nil {
		t.Errorf("reading at the old leader: %v", err)
	}
	w.wantViolations()
	if lost := w.model.AckedWritesSurvive(); len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
}

func TestALeaderTakesAsManyTicksAsAsked(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	w.kill(w.leaderName())
	ticks := 0
	for ; w.leaderName() == "" && ticks < 100; ticks++ {
		w.wait()
	}
	if ticks != 10 {
		t.Errorf("a new leader after %d ticks, want 10", ticks)
	}
}

func TestAMemberServesOnlyAfterItFoundAQuorum(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	for _, name := range []string{"a", "b", "c"} {
		w.kill(name)
	}
	w.start("a", true, "a")
	w.pass(3 * time.Second)
	if _, err := w.client("a").Status(t.Context()); err == nil {
		t.Error("a member that started without a quorum answers")
	}
	w.start("b", true, "b")
	w.pass(3 * time.Second)
	if _, err := w.client("a").Status(t.Context()); err != nil {
		t.Errorf("a member with a quorum does not answer: %v", err)
	}
	w.kill("b")
	w.pass(3 * time.Second)
	if s, err := w.client("a").Status(t.Context()); err != nil || s.Leader != 0 || len(s.Errors) == 0 {
		t.Errorf("a member that lost its quorum answers %+v, %v; want no leader", s, err)
	}
}

func TestTheOperatorAndTheMembersAreCutOffSeparately(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	w.model.Unreachable("a", true)
	if _, err := w.client("a").Status(t.Context()); err == nil {
		t.Error("an unreachable member answers the operator")
	}
	if s, _ := w.model.State("a"); s.Leader == 0 {
		t.Error("the member lost its leader")
	}
	w.model.Unreachable("a", false)
	if _, err := w.client("a").Status(t.Context()); err != nil {
		t.Errorf("a member that is reachable again: %v", err)
	}
	moved, err := w.model.Dialer().Client(etcd.Target{Cluster: "ns/demo", PodUID: "a", Address: "elsewhere:2379"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Status(t.Context()); err == nil {
		t.Error("a member answers at an address that is not its own")
	}
}

func TestClustersThatEverHadALeaderAreKept(t *testing.T) {
	w := newCluster(t, "a")
	first := w.volumes["a"].ClusterID()
	w.wipe("a")
	config := w.config("a")
	config.InitialCluster, config.Token, config.DataDir = "a=http://a:2380", "generation-2", &etcd.DataDir{}
	w.model.Start(config)
	w.pass(3 * time.Second)
	if diff := cmp.Diff([]uint64{first, config.DataDir.ClusterID()}, w.model.Clusters()); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}

func TestADialerRefusesATargetWithoutAnAddress(t *testing.T) {
	w := newCluster(t, "a")
	if _, err := w.model.Dialer().Client(etcd.Target{Cluster: "ns/demo", PodUID: "a"}); err == nil {
		t.Error("got a client without an address")
	}
}
