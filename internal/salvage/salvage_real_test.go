//go:build integration

package salvage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/salvage"
)

// These tests need the etcd servers under $QUORATE_CACHE (~/.cache/quorate), one directory a version.

func TestEverythingInTheLogOfTheSurvivorIsSalvaged(t *testing.T) {
	for _, minor := range []string{"3.5", "3.6", "3.7"} {
		t.Run("etcd "+minor, func(t *testing.T) {
			w := newWorld(t, minor)
			w.start("a", "b", "c")
			acked := w.write("a", 100)
			w.lead("a")
			w.kill("b", "c")
			// What reaches the log of the survivor, and is not committed for all it knows, may have been acknowledged by the
			// others.
			w.writeWithoutQuorum("a", "unconfirmed")
			before := w.inspectRunning("a")
			w.kill("a")
			job := w.job("a")
			report := w.salvage(job)
			if before.LastIndex != job.LastIndex || before.LastTerm != job.LastTerm {
				t.Errorf("beside etcd the log was seen to end with %d/%d, without with %d/%d",
					before.LastTerm, before.LastIndex, job.LastTerm, job.LastIndex)
			}
			if want := len(acked) + 1; report.Digest.Keys != want {
				t.Errorf("%d keys were salvaged, want %d", report.Digest.Keys, want)
			}
			if again := w.salvage(job); again != report {
				t.Errorf("run again it tells %+v, want %+v", again, report)
			}
			w.startRestored(job)
			w.has(append(acked, "unconfirmed"))
		})
	}
}

func TestTheDataOfALearnerIsSalvaged(t *testing.T) {
	for _, minor := range []string{"3.5", "3.6", "3.7"} {
		t.Run("etcd "+minor, func(t *testing.T) {
			w := newWorld(t, minor)
			w.start("a")
			acked := w.write("a", 100)
			w.learn("b", "a")
			w.kill("a", "b")
			job := w.job("b")
			w.salvage(job)
			w.startRestored(job)
			w.has(acked)
		})
	}
}

func TestASalvageBeginsAnewAfterItWasStopped(t *testing.T) {
	w := newWorld(t, "3.6")
	w.start("a", "b", "c")
	acked := w.write("a", 10)
	w.kill("a", "b", "c")
	job := w.job("b")
	for _, left := range []string{job.Target, job.Target + ".half", filepath.Join(job.Work, "data")} {
		w.must(os.MkdirAll(filepath.Join(left, "member", "wal"), 0o700))
	}
	w.salvage(job)
	w.startRestored(job)
	w.has(acked)
}

func TestAnotherLogThanWasAgreedToIsNotTouched(t *testing.T) {
	w := newWorld(t, "3.6")
	w.start("a", "b", "c")
	w.write("a", 10)
	w.kill("a", "b", "c")
	tests := map[string]func(*salvage.Job){
		"ends with":                    func(j *salvage.Job) { j.LastIndex-- },
		"is of member":                 func(j *salvage.Job) { j.MemberID++ },
		"is not of this recovery":      func(j *salvage.Job) { w.must(os.WriteFile(j.Target+".salvaged", []byte("{}"), 0o600)) },
		"what was restored is member ": func(j *salvage.Job) { j.NewMemberID++ },
	}
	for problem, change := range tests {
		job := w.job("b")
		change(&job)
		_, err := salvage.Run(t.Context(), job)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("the error is %v, want one that says %q", err, problem)
		}
		if _, err := os.Stat(job.Target); err == nil {
			t.Errorf("%q: the target was made all the same", problem)
		}
	}
}
