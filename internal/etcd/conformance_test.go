package etcd_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
)

// world runs etcd processes that are named a, b, c...: the Model or real ones. The same scenario runs in both, so that
// what the Model lets happen is what etcd does.
type world interface {
	// during sets the test that fails when a process or client cannot even be made.
	during(t *testing.T)
	now() time.Time
	token() string
	peerURL(name string) string
	clientURL(name string) string
	// use makes the processes that are started from now on those of a minor.
	use(minor string)
	// start starts a process with --initial-cluster made of the names, on the volume that it had before.
	start(name string, existing bool, initial ...string)
	kill(name string)
	wipe(name string)
	// exited tells with which code and last words the process exited.
	exited(name string) (code int, message string, exited bool)
	client(name string) etcd.Client
	// activePeers tells from which others the leader hears.
	activePeers(leader string, id uint64) (map[uint64]bool, error)
	put(name, value string) error
	// lost returns the acknowledged writes that a linearizable read at the member does not find.
	lost(name string) ([]string, error)
	// wait lets 100 ms pass.
	wait()
}

// scenario is a cluster that goes through what an operator does to it.
type scenario struct {
	*testing.T
	world
}

// steps are run in this order, each from where the one before has led.
var steps = []struct {
	name string
	do   func(*scenario)
}{
	{"three members bootstrap under the IDs that are predicted", (*scenario).bootstrap},
	{"a change is refused while members are connected for less than 5 s", (*scenario).changeTooEarly},
	{"the leadership moves at the request of the leader only", (*scenario).moveLeader},
	{"all members hash the same data, and the leader hears from them", (*scenario).agree},
	{"a learner is added under the ID of its second", (*scenario).addLearner},
	{"a second learner, a used peer URL and an unready learner are refused", (*scenario).refuseChanges},
	{"a joiner whose list is short exits", (*scenario).joinWithShortList},
	{"a learner answers for its status only", (*scenario).startLearner},
	{"a learner in sync is promoted once", (*scenario).promote},
	{"a sealed member restarts on its log", (*scenario).restartSealed},
	{"a sealed member does not start without its log", (*scenario).startSealedWiped},
	{"a dead member is removed once", (*scenario).removeDead},
	{"a running member that is removed exits in peace", (*scenario).removeRunning},
	{"with one of three down only the dead member can be removed, and nothing added", (*scenario).oneOfThreeDown},
	{"a removed member that comes back exits", (*scenario).startRemoved},
	{"a new member takes over the peer URL of a removed one", (*scenario).refill},
	{"a member that started once does not bootstrap again", (*scenario).bootstrapAgain},
	{"a member that lost its log is given its old ID and crashes under the old leader", (*scenario).amnesia},
	{"without a quorum a member that ran answers, and one that starts does not", (*scenario).loseQuorum},
	{"no acknowledged write is lost", (*scenario).checkWrites},
}

func runScenario(t *testing.T, newWorld func(*testing.T) world) {
	w := newWorld(t)
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) {
			w.during(t)
			step.do(&scenario{T: t, world: w})
		}) {
			t.Fatal("the scenario cannot go on")
		}
	}
}

func (s *scenario) bootstrap() {
	names := []string{"a", "b", "c"}
	for _, name := range names {
		s.start(name, false, names...)
	}
	s.untilServing("a", "b", "c")

	want := map[uint64]string{}
	ids := []uint64(nil)
	for _, name := range names {
		id := state.BootstrapMemberID(s.peerURL(name), s.token())
		want[id], ids = name, append(ids, id)
	}
	for _, name := range names {
		if got := s.status(name); got.ClusterID != state.BootstrapClusterID(ids) || want[got.MemberID] != name {
			s.Errorf("%s is member %x of cluster %x, want one of %x in %x", name, got.MemberID, got.ClusterID, want,
				state.BootstrapClusterID(ids))
		}
	}
	s.wantMembers("a voter", "b voter", "c voter")
	s.wantError(nil, s.client("a").Read(s.ctx()))
	alarms, err := s.client("a").Alarms(s.ctx())
	if s.wantError(nil, err); len(alarms) != 0 {
		s.Errorf("got alarms %v", alarms)
	}
}

func (s *scenario) changeTooEarly() {
	_, err := s.leader().AddLearner(s.ctx(), s.peerURL("d"))
	s.wantError(etcd.ErrLater, err)
	s.wantError(etcd.ErrLater, s.leader().Remove(s.ctx(), s.id(s.follower())))
}

func (s *scenario) moveLeader() {
	from, to := s.leaderName(), s.follower()
	s.wantError(etcd.ErrNotLeader, s.client(to).MoveLeader(s.ctx(), s.id(to)))
	s.wantError(nil, s.client(from).MoveLeader(s.ctx(), s.id(to)))
	s.until("all follow the new leader", func() bool {
		return s.status("a").Leader == s.id(to) && s.status("b").Leader == s.id(to) && s.status("c").Leader == s.id(to)
	})
	s.write("after the leadership moved")
}

func (s *scenario) addLearner() {
	id, before, after := s.mustAdd("d")
	possible := []uint64(nil)
	for second := before.Unix(); second <= after.Unix(); second++ {
		possible = append(possible, state.BootstrapMemberID(s.peerURL("d"), strconv.FormatInt(second, 10)))
	}
	if !slices.Contains(possible, id) {
		s.Errorf("the learner is member %x, want one of %x", id, possible)
	}
	s.wantMembers("a voter", "b voter", "c voter", "d unstarted learner")
}

func (s *scenario) refuseChanges() {
	c := s.leader()
	_, err := c.AddLearner(s.ctx(), s.peerURL("e"))
	s.wantError(etcd.ErrTooManyLearners, err)
	_, err = c.AddLearner(s.ctx(), s.peerURL("d"))
	s.wantError(etcd.ErrExists, err)
	s.wantError(etcd.ErrLater, c.Promote(s.ctx(), s.id("d")))
	s.wantError(etcd.ErrNotLearner, c.Promote(s.ctx(), s.id("a")))
	s.wantError(etcd.ErrNotFound, c.Promote(s.ctx(), 4711))
	s.wantError(etcd.ErrNotFound, c.Remove(s.ctx(), 4711))
}

func (s *scenario) joinWithShortList() {
	s.start("d", true, "a", "b", "d")
	s.wantExit("d", []int{1}, "member count is unequal")
}

func (s *scenario) startLearner() {
	s.start("d", true, "a", "b", "c", "d")
	s.untilServing("d")
	if got := s.status("d"); !got.Learner || got.MemberID != s.id("d") {
		s.Errorf("d answers with %+v, want learner %x", got, s.id("d"))
	}
	if _, err := s.client("d").Members(s.ctx()); err == nil || !strings.Contains(err.Error(), "not supported for learner") {
		s.Errorf("a learner that is asked for the members: got error %v, want a refusal", err)
	}
	s.wantMembers("a voter", "b voter", "c voter", "d learner")
}

func (s *scenario) promote() {
	s.promoteMember("d")
	s.wantError(etcd.ErrNotLearner, s.leader().Promote(s.ctx(), s.id("d")))
	s.wantMembers("a voter", "b voter", "c voter", "d voter")
}

func (s *scenario) restartSealed() {
	for _, name := range []string{s.leaderName(), "d"} {
		id := s.status(name).MemberID
		s.kill(name)
		s.untilLeader(name)
		s.write("while a member is down")
		s.start(name, true, name)
		s.untilServing(name)
		if got := s.status(name).MemberID; got != id {
			s.Errorf("%s restarted as member %x, was %x", name, got, id)
		}
	}
}

func (s *scenario) startSealedWiped() {
	s.kill("d")
	s.wipe("d")
	s.start("d", true, "d")
	s.wantExit("d", []int{1}, "cannot fetch cluster info")
}

func (s *scenario) removeDead() {
	s.untilLeader("d")
	id := s.id("d")
	s.mustRemove("d")
	s.wantError(etcd.ErrNotFound, s.leader().Remove(s.ctx(), id))
	s.wantError(etcd.ErrNotFound, s.leader().Promote(s.ctx(), id))
	s.wantMembers("a voter", "b voter", "c voter")
}

func (s *scenario) checkWrites() {
	lost, err := s.lost(s.leaderName())
	if s.wantError(nil, err); len(lost) != 0 {
		s.Errorf("lost the acknowledged writes %q", lost)
	}
}

// until waits for the condition, for a minute at most.
func (s *scenario) until(what string, condition func() bool) {
	s.Helper()
	for end := s.now().Add(time.Minute); !condition(); s.wait() {
		if s.now().After(end) {
			s.Fatalf("not within a minute: %s", what)
		}
	}
}

func (s *scenario) ctx() context.Context { return context.Background() }
