package etcd_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/etcd"
)

// add, remove, promote and so on are calls at the leader.
func add(name string) func(*modelWorld) error {
	return func(w *modelWorld) error {
		_, err := w.leader().AddLearner(w.t.Context(), w.peerURL(name))
		return err
	}
}

func remove(name string) func(*modelWorld) error {
	return func(w *modelWorld) error { return w.leader().Remove(w.t.Context(), w.id(name)) }
}

func promote(name string) func(*modelWorld) error {
	return func(w *modelWorld) error { return w.leader().Promote(w.t.Context(), w.id(name)) }
}

func moveLeader(name string) func(*modelWorld) error {
	return func(w *modelWorld) error { return w.leader().MoveLeader(w.t.Context(), w.id(name)) }
}

// killed kills followers, and waits until they are noticed.
func killed(names ...string) func(*modelWorld) {
	return func(w *modelWorld) {
		lead(w, "a")
		for _, name := range names {
			w.kill(name)
		}
		w.pass(6 * time.Second)
	}
}

// lead makes a member the leader.
func lead(w *modelWorld, name string) {
	w.t.Helper()
	if w.leaderName() != name {
		if err := moveLeader(name)(w); err != nil {
			w.t.Fatalf("making %s the leader: %v", name, err)
		}
	}
}

// learner adds a learner and starts it.
func learner(name string, others ...string) func(*modelWorld) {
	return func(w *modelWorld) {
		if err := add(name)(w); err != nil {
			w.t.Fatalf("adding %s: %v", name, err)
		}
		w.start(name, true, append(others, name)...)
	}
}

// membershipTest is a call in a cluster of these members, connected for 6 s, after something happened to it.
type membershipTest struct {
	name    string
	members []string
	arrange func(*modelWorld)
	act     func(*modelWorld) error
	want    error
}

func (test membershipTest) run(t *testing.T) {
	w := newCluster(t, test.members...)
	w.volumes["z"] = &etcd.DataDir{}
	test.arrange(w)
	wantOutcome(t, test.want, test.act(w))
	w.pass(6 * time.Second)
	w.wantViolations()
	if w.leaderName() == "" && len(w.running()) > len(test.members)/2 {
		t.Error("the cluster lost its leader")
	}
}

func runAll(t *testing.T, tests []membershipTest) {
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func nothing(*modelWorld) {}

var (
	one   = []string{"a"}
	two   = []string{"a", "b"}
	three = []string{"a", "b", "c"}
	five  = []string{"a", "b", "c", "d", "e"}
)

func TestAdditionsInTheModel(t *testing.T) {
	runAll(t, []membershipTest{
		{"a learner joins a single member at once", one, func(w *modelWorld) {
			w.kill("a")
			w.start("a", true, "a")
			w.pass(2 * time.Second)
		}, add("b"), nil},
		{"a learner joins three that are connected for 5 s", three, nothing, add("d"), nil},
		{"a learner does not join three of which one is down", three, killed("c"), add("d"), etcd.ErrLater},
		{"a learner joins five of which one is down", five, killed("c"), add("f"), nil},
		{"a learner does not join five of which two are down", five, killed("c", "d"), add("f"), etcd.ErrLater},
		{"a learner does not join while a restarted member is connected for less than 5 s", three, func(w *modelWorld) {
			lead(w, "a")
			w.start("c", true, "c")
			w.pass(4900 * time.Millisecond)
		}, add("d"), etcd.ErrLater},
		{"a learner joins when a restarted member is connected for more than 5 s", three, func(w *modelWorld) {
			lead(w, "a")
			w.start("c", true, "c")
			w.pass(5100 * time.Millisecond)
		}, add("d"), nil},
		{"a learner does not join at a leader that noticed the loss of its quorum", three, nothing, func(w *modelWorld) error {
			c := w.leader()
			w.model.Partition(w.leaderName(), true)
			w.pass(6 * time.Second)
			_, err := c.AddLearner(w.t.Context(), w.peerURL("d"))
			return err
		}, etcd.ErrLater},
		{"an addition is not answered while a leader has not noticed the loss of its quorum", three,
			nothing, func(w *modelWorld) error {
				c := w.leader()
				w.model.Partition(w.leaderName(), true)
				w.pass(4 * time.Second)
				_, err := c.AddLearner(w.t.Context(), w.peerURL("d"))
				return err
			}, errUnknown},
		{"a second learner does not join", three, learner("d", three...), add("e"), etcd.ErrTooManyLearners},
		{"a peer URL is listed once", three, nothing, add("b"), etcd.ErrExists},
	})
}

func TestPromotionsInTheModel(t *testing.T) {
	runAll(t, []membershipTest{
		{"a learner that has not started is not promoted", three, nothing, func(w *modelWorld) error {
			id, err := w.leader().AddLearner(w.t.Context(), w.peerURL("d"))
			if err != nil {
				return err
			}
			return w.leader().Promote(w.t.Context(), id)
		}, etcd.ErrLater},
		{"a learner that is not in sync is not promoted", three, learner("d", three...), promote("d"), etcd.ErrLater},
		{"a learner in sync is promoted", three, func(w *modelWorld) {
			learner("d", three...)(w)
			w.pass(time.Second)
		}, promote("d"), nil},
		{"a learner in sync is promoted at the request of a follower", three, func(w *modelWorld) {
			learner("d", three...)(w)
			w.pass(time.Second)
		}, func(w *modelWorld) error { return w.client(w.follower("d")).Promote(w.t.Context(), w.id("d")) }, nil},
		{"a voter is not promoted", three, nothing, promote("b"), etcd.ErrNotLearner},
		{"a member that is not listed is not promoted", three, nothing, promote("z"), etcd.ErrNotFound},
	})
}

func TestRemovalsInTheModel(t *testing.T) {
	runAll(t, []membershipTest{
		{"a healthy member of three is removed", three, nothing, remove("b"), nil},
		{"a healthy member of three is not removed while another is down", three, killed("c"), remove("b"), etcd.ErrLater},
		{"the dead member of three is removed", three, killed("c"), remove("c"), nil},
		{"a dead member of five is removed while another is down", five, killed("c", "d"), remove("c"), nil},
		{"a healthy member of five is not removed while two are down", five, killed("c", "d"), remove("b"), etcd.ErrLater},
		{"one of two is removed", two, nothing, remove("b"), nil},
		{"one of two is not removed right after a restart", two, func(w *modelWorld) {
			lead(w, "a")
			w.start("b", true, "b")
			w.pass(2 * time.Second)
		}, remove("b"), etcd.ErrLater},
		{"the last member is not removed", one, nothing, remove("a"), etcd.ErrLater},
		{"a learner is removed at any time", three, func(w *modelWorld) {
			learner("d", three...)(w)
			w.start(w.follower("d"), true, "x") // its flags are ignored
			w.pass(200 * time.Millisecond)
		}, remove("d"), nil},
		{"a member that is not listed is not removed", three, nothing, remove("z"), etcd.ErrNotFound},
		{"a removed member is not removed again", three, killed("c"), func(w *modelWorld) error {
			if err := remove("c")(w); err != nil {
				return err
			}
			return remove("c")(w)
		}, etcd.ErrNotFound},
	})
}

func TestMovesOfTheLeadershipInTheModel(t *testing.T) {
	runAll(t, []membershipTest{
		{"the leadership moves to a voter", three, func(w *modelWorld) { lead(w, "b") }, moveLeader("a"), nil},
		{"the leadership does not move to a member that is down", three, killed("b"), moveLeader("b"), errUnknown},
		{"the leadership does not move to a learner", three, learner("d", three...), moveLeader("d"), errUnknown},
		{"the leadership does not move at the request of a follower", three, nothing, func(w *modelWorld) error {
			return w.client(w.follower()).MoveLeader(w.t.Context(), w.id("a"))
		}, etcd.ErrNotLeader},
		{"a learner answers nothing but its status", three, func(w *modelWorld) {
			learner("d", three...)(w)
			w.pass(time.Second)
		}, func(w *modelWorld) error { return w.client("d").Read(w.t.Context()) }, errUnknown},
	})
}

func TestAnIDDependsOnTheSecondOfTheAddition(t *testing.T) {
	w := newCluster(t, "a")
	first, err := w.leader().AddLearner(t.Context(), w.peerURL("b"))
	wantOutcome(t, nil, err)
	wantOutcome(t, nil, w.leader().Remove(t.Context(), first))
	_, err = w.leader().AddLearner(t.Context(), w.peerURL("b"))
	wantOutcome(t, etcd.ErrLater, err) // the same second: the ID is a removed one
	w.pass(time.Second)
	second, err := w.leader().AddLearner(t.Context(), w.peerURL("b"))
	wantOutcome(t, nil, err)
	if first == second {
		t.Errorf("both additions got the ID %x", first)
	}
}

// An addition at a leader that is cut off is written to its log only. What becomes of it depends on who leads next.
func TestAnAdditionThatTimedOut(t *testing.T) {
	for _, test := range []struct {
		name    string
		heal    time.Duration
		members int
	}{
		{"happens later if the leader finds its quorum in time", 300 * time.Millisecond, 4},
		{"never happens if another leader was elected", 5 * time.Second, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newCluster(t, "a", "b", "c")
			name := w.leaderName()
			c := w.leader()
			w.model.Partition(name, true)
			_, err := c.AddLearner(t.Context(), w.peerURL("d"))
			wantOutcome(t, errUnknown, err)
			w.pass(test.heal)
			w.model.Partition(name, false)
			w.pass(time.Second)
			list, err := w.leader().Members(t.Context())
			wantOutcome(t, nil, err)
			if len(list.Members) != test.members {
				t.Errorf("%d members are listed, want %d: %+v", len(list.Members), test.members, list.Members)
			}
			w.wantViolations()
		})
	}
}

func TestASecondChangeInFlightIsNotAnswered(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	name := w.leaderName()
	c := w.leader()
	w.model.Partition(name, true)
	_, err := c.AddLearner(t.Context(), w.peerURL("d"))
	wantOutcome(t, errUnknown, err)
	w.clock = w.clock.Add(time.Second) // another ID
	_, err = c.AddLearner(t.Context(), w.peerURL("e"))
	wantOutcome(t, errUnknown, err)
	w.model.Partition(name, false)
	w.pass(time.Second)
	list, err := w.leader().Members(t.Context())
	wantOutcome(t, nil, err)
	if len(list.Members) != 4 {
		t.Errorf("%d members are listed, want the first addition only: %+v", len(list.Members), list.Members)
	}
}

func TestFaultsOfCalls(t *testing.T) {
	for _, test := range []struct {
		name    string
		outcome etcd.Outcome
		listed  bool
	}{
		{"a request that is lost changes nothing", etcd.DropRequest, false},
		{"an answer that is lost hides the change", etcd.LoseReply, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newCluster(t, "a", "b", "c")
			seen := etcd.Call{}
			w.model.Fault = func(call etcd.Call) etcd.Outcome {
				if call.Method != etcd.MethodAddLearner {
					return etcd.OK
				}
				seen = call
				return test.outcome
			}
			wantOutcome(t, errUnknown, add("d")(w))
			if seen.PeerURL != w.peerURL("d") || seen.Target.Cluster != "ns/demo" {
				t.Errorf("the fault saw %+v", seen)
			}
			list, err := w.leader().Members(t.Context())
			wantOutcome(t, nil, err)
			if got := len(list.Members) == 4; got != test.listed {
				t.Errorf("the learner is listed: %v, want %v", got, test.listed)
			}
		})
	}
}
