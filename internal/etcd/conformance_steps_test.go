package etcd_test

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
)

func (s *scenario) removeRunning() {
	s.mustAdd("e")
	s.start("e", true, "a", "b", "c", "e")
	s.untilServing("e")
	s.wantError(nil, s.leader().Remove(s.ctx(), s.id("e")))
	s.wantExit("e", []int{0}, "permanently removed")
}

// oneOfThreeDown relies on the step before: the connections are so old that the dead member is the only reason.
func (s *scenario) oneOfThreeDown() {
	if s.leaderName() == "c" {
		s.wantError(nil, s.client("c").MoveLeader(s.ctx(), s.id("a")))
		s.untilLeader("c")
	}
	s.kill("c")
	err := error(nil)
	s.until("the leader notices the loss", func() bool {
		_, err = s.leader().AddLearner(s.ctx(), s.peerURL("f"))
		if err == nil {
			s.wantError(nil, s.leader().Remove(s.ctx(), s.id("f")))
		}
		return err != nil
	})
	s.wantError(etcd.ErrLater, err)
	live := "a"
	if s.leaderName() == "a" {
		live = "b"
	}
	s.wantPeers(s.leaderName(), live)
	s.wantError(etcd.ErrLater, s.leader().Remove(s.ctx(), s.id(live)))
	s.mustRemove("c")
	s.wantMembers("a voter", "b voter")
	s.write("with two members")
}

func (s *scenario) startRemoved() {
	s.start("c", true, "c")
	// Before a member serves, this exit races with the end of its listeners, which is exit 1.
	s.wantExit("c", []int{0, 1}, "permanently removed")
}

func (s *scenario) refill() {
	s.wipe("c")
	id, _, _ := s.mustAdd("c")
	s.start("c", true, "a", "b", "c")
	s.untilServing("c")
	s.promoteMember("c")
	if got := s.status("c").MemberID; got != id {
		s.Errorf("c runs as member %x, want %x", got, id)
	}
	s.wantMembers("a voter", "b voter", "c voter")
	s.write("with three members again")
}

func (s *scenario) bootstrapAgain() {
	if s.leaderName() == "b" {
		s.wantError(nil, s.client("b").MoveLeader(s.ctx(), s.id("a")))
	}
	s.kill("b")
	s.wipe("b")
	s.untilLeader("b")
	s.start("b", false, "a", "b", "c")
	s.wantExit("b", []int{1}, "has already been bootstrapped")
}

func (s *scenario) amnesia() {
	s.start("b", true, "a", "b", "c")
	s.wantExit("b", []int{2}, "is out of range [lastIndex(0)]")
}

func (s *scenario) loseQuorum() {
	s.mustRemove("b")
	s.wantMembers("a voter", "c voter")
	s.write("with two members again")
	s.kill("c")
	s.until("a has no leader", func() bool { return s.status("a").Leader == 0 })
	if _, err := s.client("a").Members(s.ctx()); err == nil {
		s.Error("a lists the members without a quorum")
	}
	s.kill("a")
	s.start("a", true, "a")
	if got, err := s.client("a").Status(s.ctx()); err == nil {
		s.Errorf("a answers though it started without a quorum: %+v", got)
	}
	s.start("c", true, "c")
	s.untilServing("a", "c")
}

// promoteMember promotes a learner, as soon as etcd lets it.
func (s *scenario) promoteMember(name string) {
	s.Helper()
	s.until(name+" is promoted", func() bool {
		err := s.leader().Promote(s.ctx(), s.id(name))
		if err != nil && !errors.Is(err, etcd.ErrLater) {
			s.Fatalf("promoting %s: %v", name, err)
		}
		return err == nil
	})
}

// mustAdd adds a learner as soon as etcd lets it; the ID was made between the two times.
func (s *scenario) mustAdd(name string) (id uint64, before, after time.Time) {
	s.Helper()
	s.until(name+" is added", func() bool {
		before = s.now()
		got, err := s.leader().AddLearner(s.ctx(), s.peerURL(name))
		after = s.now()
		if err != nil && !errors.Is(err, etcd.ErrLater) {
			s.Fatalf("adding %s: %v", name, err)
		}
		id = got
		return err == nil
	})
	return id, before, after
}

// mustRemove removes a member as soon as etcd lets it.
func (s *scenario) mustRemove(name string) {
	s.Helper()
	id := s.id(name)
	s.until(name+" is removed", func() bool {
		err := s.leader().Remove(s.ctx(), id)
		if err != nil && !errors.Is(err, etcd.ErrLater) {
			s.Fatalf("removing %s: %v", name, err)
		}
		return err == nil
	})
}

// untilServing waits until the members answer, know one leader, and are listed as started.
func (s *scenario) untilServing(names ...string) {
	s.Helper()
	s.until(strings.Join(names, ", ")+" serve", func() bool {
		for _, name := range names {
			if status, err := s.client(name).Status(s.ctx()); err != nil || status.Leader == 0 {
				return false
			}
		}
		return true
	})
	s.untilLeader()
}

// untilLeader waits until a member leads that is not among those that are down.
func (s *scenario) untilLeader(down ...string) {
	s.Helper()
	s.until("a member leads", func() bool {
		for _, name := range members {
			if slices.Contains(down, name) {
				continue
			}
			status, err := s.client(name).Status(s.ctx())
			if err == nil && status.Leader == status.MemberID && s.client(name).Read(s.ctx()) == nil {
				return true
			}
		}
		return false
	})
}

// members are the names that a scenario uses.
var members = []string{"a", "b", "c", "d"}

func (s *scenario) leaderName() string {
	s.Helper()
	for _, name := range members {
		if _, _, exited := s.exited(name); exited {
			continue
		}
		if status, err := s.client(name).Status(s.ctx()); err == nil && status.Leader == status.MemberID {
			return name
		}
	}
	s.Fatal("no member leads")
	return ""
}

func (s *scenario) leader() etcd.Client { return s.client(s.leaderName()) }

// follower returns a voter of the first three that does not lead.
func (s *scenario) follower() string {
	for _, name := range members[:3] {
		if status := s.status(name); status.Leader != status.MemberID {
			return name
		}
	}
	return ""
}

func (s *scenario) status(name string) etcd.Status {
	s.Helper()
	status, err := s.client(name).Status(s.ctx())
	if err != nil {
		s.Fatalf("status of %s: %v", name, err)
	}
	return status
}

// list returns the members, as the leader lists them.
func (s *scenario) list() []etcd.Member {
	s.Helper()
	list, err := s.leader().Members(s.ctx())
	if err != nil {
		s.Fatalf("listing the members: %v", err)
	}
	return list.Members
}

// id returns the ID under which the name's peer URL is listed.
func (s *scenario) id(name string) uint64 {
	s.Helper()
	for _, m := range s.list() {
		if m.PeerURLs[0] == s.peerURL(name) {
			return m.ID
		}
	}
	s.Fatalf("%s is not listed", name)
	return 0
}

// wantMembers compares the list with sentences like "d unstarted learner".
func (s *scenario) wantMembers(want ...string) {
	s.Helper()
	got := []string(nil)
	for _, m := range s.list() {
		sentence := "unknown"
		for _, name := range members {
			if s.peerURL(name) == m.PeerURLs[0] {
				sentence = name
			}
		}
		if m.Started() != (m.Name != "") || m.Started() && (m.Name != sentence || m.ClientURLs[0] != s.clientURL(sentence)) {
			s.Errorf("%s is listed with name %q and client URLs %q", sentence, m.Name, m.ClientURLs)
		}
		if !m.Started() {
			sentence += " unstarted"
		}
		if m.Learner {
			sentence += " learner"
		} else {
			sentence += " voter"
		}
		got = append(got, sentence)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("members (-want +got):\n%s", diff)
	}
}

func (s *scenario) wantError(want, got error) {
	s.Helper()
	if !errors.Is(got, want) {
		s.Errorf("got error %v, want %v", got, want)
	}
}

func (s *scenario) wantExit(name string, codes []int, message string) {
	s.Helper()
	s.until(name+" exits", func() bool { _, _, exited := s.exited(name); return exited })
	if code, words, _ := s.exited(name); !slices.Contains(codes, code) || !strings.Contains(words, message) {
		s.Errorf("%s exited with %d, want one of %d; want %q in:\n%s", name, code, codes, message,
			words[max(0, len(words)-4000):])
	}
}

func (s *scenario) write(when string) {
	s.Helper()
	if err := s.put(s.leaderName(), when); err != nil {
		s.Fatalf("writing %s: %v", when, err)
	}
}
