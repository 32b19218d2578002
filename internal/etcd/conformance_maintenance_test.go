package etcd_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
)

const (
	conformanceQuota = 16 << 20
	largeValue       = 1 << 20
)

// fillable is a world whose processes have a quota of conformanceQuota.
type fillable interface {
	world
	// overwrite writes a value of largeValue bytes, always to the same key.
	overwrite(name string) error
}

// runMaintenance fills a member's quota with history, and mends it in the order that the operator takes.
func runMaintenance(t *testing.T, w fillable) {
	s := &scenario{T: t, world: w}
	s.start("a", false, "a")
	s.untilServing("a")
	s.write("kept")
	a := s.client("a")

	err, written := error(nil), int64(0)
	s.until("a write is refused", func() bool {
		err = w.overwrite("a")
		written += largeValue
		return err != nil
	})
	if !strings.Contains(err.Error(), "database space exceeded") {
		t.Fatalf("the write beyond the quota was answered with %v", err)
	}
	most := 100 + 2*written*100/conformanceQuota
	full := s.wantSizes(70, most, 25, most)
	alarms, err := a.Alarms(s.ctx())
	s.wantError(nil, err)
	if diff := cmp.Diff([]etcd.Alarm{{MemberID: full.MemberID, Type: etcd.AlarmNoSpace}}, alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}

	s.wantCompacted(full.Revision-1, false)
	if err := a.Compact(s.ctx(), full.Revision+100); err == nil {
		t.Error("a revision that is still to come was compacted")
	}
	s.wantError(nil, a.Compact(s.ctx(), full.Revision))
	s.wantError(nil, a.Compact(s.ctx(), full.Revision))
	s.wantCompacted(full.Revision, true)
	s.wantCompacted(1, true)
	s.until("the compacted space is free", func() bool { return s.status("a").DBSizeInUse < conformanceQuota/4 })
	s.wantSizes(70, most, 1, 25)
	if err := s.put("a", "refused"); err == nil {
		t.Error("a write was accepted while the alarm is raised")
	}

	s.wantError(nil, a.Defragment(s.ctx(), full.DBSize))
	s.wantSizes(1, 25, 1, 25)
	s.wantError(nil, a.Disarm(s.ctx(), alarms[0]))
	s.wantError(nil, a.Disarm(s.ctx(), alarms[0]))
	s.write("accepted again")
	s.checkWrites()
}

// wantSizes checks the size of the database and what of it is used, in percent of the quota. A real server compares its
// quota with the size at its last commit, of which there is one in 100 ms: the faster the writer, the further it gets
// beyond the quota. bbolt keeps a copy of a leaf that it rewrites until the next commit, and a leaf holds several of the
// large values.
func (s *scenario) wantSizes(fileMin, fileMax, usedMin, usedMax int64) etcd.Status {
	s.Helper()
	status := s.status("a")
	percent := func(n int64) int64 { return n * 100 / conformanceQuota }
	file, used := percent(status.DBSize), percent(status.DBSizeInUse)
	if file < fileMin || file > fileMax || used < usedMin || used > usedMax {
		s.Errorf("the database takes %d %% of the quota and %d %% are used, want %d to %d, and %d to %d",
			file, used, fileMin, fileMax, usedMin, usedMax)
	}
	if status.DBSizeQuota != conformanceQuota && !strings.HasPrefix(status.Version, "3.5.") {
		s.Errorf("the quota is %d, want %d", status.DBSizeQuota, conformanceQuota)
	}
	return status
}

func (s *scenario) wantCompacted(revision int64, want bool) {
	s.Helper()
	got, err := s.client("a").Compacted(s.ctx(), revision)
	s.wantError(nil, err)
	if got != want {
		s.Errorf("compacted up to revision %d: %t, want %t", revision, got, want)
	}
}

func TestTheModelFillsUpLikeEtcd(t *testing.T) {
	w := newModelWorld(t)
	w.quota = conformanceQuota
	runMaintenance(t, w)
}

func (w *modelWorld) overwrite(name string) error { return w.model.Overwrite(name, largeValue) }
