package etcd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/etcd"
)

// violationTest does something to a cluster of three that is led by a, and whose member c is down.
type violationTest struct {
	name string
	do   func(*modelWorld)
	want []etcd.ViolationKind
}

func (test violationTest) run(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	lead(w, "a")
	w.kill("c")
	w.pass(time.Second)
	test.do(w)
	w.wantViolations(test.want...)
}

func TestAMemberWithoutItsMemoryIsSeen(t *testing.T) {
	for _, test := range []violationTest{
		{"a member joins on an empty volume under the ID that is listed", func(w *modelWorld) {
			w.wipe("c")
			w.start("c", true, "a", "b", "c")
		}, []etcd.ViolationKind{etcd.Amnesia}},
		{"a member bootstraps on an empty volume while no peer answers", func(w *modelWorld) {
			w.kill("a")
			w.kill("b")
			w.wipe("c")
			w.start("c", false, "a", "b", "c")
		}, []etcd.ViolationKind{etcd.Amnesia}},
		{"a member bootstraps again before there was a quorum", func(w *modelWorld) {
			w.start("x", false, "x", "y", "z")
			w.wipe("x")
			w.start("x", false, "x", "y", "z")
		}, []etcd.ViolationKind{etcd.Reincarnation}},
		{"a learner that got nothing yet starts on an empty volume", func(w *modelWorld) {
			w.start("c", true, "c")
			w.pass(6 * time.Second)
			if _, err := w.leader().AddLearner(w.t.Context(), w.peerURL("d")); err != nil {
				w.t.Fatal(err)
			}
			w.start("d", true, "a", "b", "c", "d")
			w.wipe("d")
			w.start("d", true, "a", "b", "c", "d")
		}, []etcd.ViolationKind{etcd.Reincarnation}},
		{"a member starts on an older copy of its volume", func(w *modelWorld) {
			older := w.volumes["c"].Clone()
			w.start("c", true, "c")
			w.pass(3 * time.Second)
			w.kill("c")
			w.volumes["c"] = older
			w.start("c", true, "c")
		}, []etcd.ViolationKind{etcd.Amnesia}},
	} {
		t.Run(test.name, test.run)
	}
}

func TestAProcessThatMustNotRunIsSeen(t *testing.T) {
	for _, test := range []violationTest{
		{"a member that was removed starts", func(w *modelWorld) {
			w.pass(5 * time.Second)
			if err := remove("c")(w); err != nil {
				w.t.Fatal(err)
			}
			w.start("c", true, "c")
		}, []etcd.ViolationKind{etcd.RemovedStarted}},
		{"a member that was removed starts on an emptied volume", func(w *modelWorld) {
			w.pass(5 * time.Second)
			if err := remove("c")(w); err != nil {
				w.t.Fatal(err)
			}
			w.wipe("c")
			w.start("c", false, "a", "b", "c")
		}, []etcd.ViolationKind{etcd.RemovedStarted}},
		{"two Pods run on one volume", func(w *modelWorld) {
			config := w.config("a")
			config.PodUID = "second"
			w.model.Start(config)
		}, []etcd.ViolationKind{etcd.SharedDataDir}},
		{"two Pods run as one member on two volumes", func(w *modelWorld) {
			config := w.config("a")
			config.PodUID, config.DataDir = "second", w.volumes["a"].Clone()
			w.model.Start(config)
		}, []etcd.ViolationKind{etcd.DuplicateMember, etcd.Reincarnation}},
		{"a member restarts on its volume", func(w *modelWorld) { w.start("c", true, "c") }, nil},
		{"a new member takes over the name and the peer URL of a removed one", func(w *modelWorld) {
			w.pass(5 * time.Second)
			if err := remove("c")(w); err != nil {
				w.t.Fatal(err)
			}
			w.volumes["c"] = &etcd.DataDir{}
			w.join("c", "a", "b")
		}, nil},
	} {
		t.Run(test.name, test.run)
	}
}

// The danger for which a member must never start empty under its old ID: a write that a and b have acknowledged is gone
// when b forgets it and elects c.
func TestAmnesiaLosesAcknowledgedWrites(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	lead(w, "a")
	w.model.Partition("c", true)
	if err := w.put("a", "precious"); err != nil {
		t.Fatal(err)
	}
	w.kill("a")
	w.kill("b")
	w.wipe("b")
	w.model.Partition("c", false)
	w.start("b", true, "a", "b", "c")
	w.pass(3 * time.Second)
	if got := w.leaderName(); got != "c" {
		t.Errorf("%q leads, want c", got)
	}
	w.wantViolations(etcd.Amnesia, etcd.LostWrite)
	if lost := w.model.AckedWritesSurvive(); len(lost) != 1 || !strings.Contains(lost[0].Detail, "precious") {
		t.Errorf("lost %v, want the precious write", lost)
	}
	w.start("a", true, "a") // the only one that knows better
	w.pass(time.Second)
	w.wantViolations(etcd.Amnesia, etcd.LostWrite, etcd.TwoLeaders)
	w.wantRunning("b", "c")
}

func TestAWriteThatNoDiskHoldsIsLost(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	if err := w.put("a", "precious"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		w.wipe(name)
	}
	if lost := w.model.AckedWritesSurvive(); len(lost) != 0 {
		t.Errorf("lost %v while c holds it", lost)
	}
	w.wipe("c")
	if lost := w.model.AckedWritesSurvive(); len(lost) != 1 {
		t.Errorf("lost %v, want the write", lost)
	}
}

// Two leaders of one term need a voter that forgot its vote.
func TestAmnesiaMakesTwoLeadersOfOneTerm(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	lead(w, "b")
	w.model.Partition("c", true)
	w.pass(2 * time.Second)
	lead(w, "a") // a term that c does not know
	w.kill("b")
	w.wipe("b")
	w.model.Partition("a", true)
	w.model.Partition("c", false)
	w.start("b", true, "a", "b", "c")
	w.pass(300 * time.Millisecond)
	w.model.Partition("a", false)
	w.pass(200 * time.Millisecond)
	w.wantViolations(etcd.Amnesia, etcd.TwoLeaders)
}
