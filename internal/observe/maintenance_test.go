package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// compactable answers which revision was compacted.
type compactable struct {
	etcd.Client
	compacted int64
	err       error
}

func (c compactable) Compacted(_ context.Context, revision int64) (bool, error) {
	return revision <= c.compacted, c.err
}

func TestTheHistoryIsAskedForOnlyToCompactIt(t *testing.T) {
	full := []state.Alarm{{Type: "NOSPACE"}}
	permitted := &v1alpha1.MaintenanceSpec{CompactOnNoSpace: ptr.To(true), KeepRevisions: ptr.To[int64](100)}
	for name, tc := range map[string]struct {
		spec   *v1alpha1.MaintenanceSpec
		alarms []state.Alarm
		client compactable
		want   state.History
	}{
		"older history is there":    {permitted, full, compactable{compacted: 899}, state.History{Known: true, Revision: 1000}},
		"nothing older is there":    {permitted, full, compactable{compacted: 900}, state.History{Known: true, Revision: 1000, Compacted: true}},
		"etcd does not say":         {permitted, full, compactable{err: errors.New("lost")}, state.History{}},
		"the quota is not reached":  {permitted, nil, compactable{}, state.History{}},
		"the spec does not permit":  {nil, full, compactable{}, state.History{}},
		"another alarm is raised":   {permitted, []state.Alarm{{Type: "CORRUPT"}}, compactable{}, state.History{}},
		"fewer revisions than kept": {&v1alpha1.MaintenanceSpec{CompactOnNoSpace: ptr.To(true)}, full, compactable{}, state.History{Known: true, Revision: 1000, Compacted: true}},
	} {
		c := clusterOf(1)
		c.Object.Spec.Maintenance = tc.spec
		a := answers{etcd: state.Etcd{Alarms: tc.alarms}}
		a.askHistory(t.Context(), c, tc.client, 1000)
		if a.etcd.History != tc.want {
			t.Errorf("%s: %+v, want %+v", name, a.etcd.History, tc.want)
		}
	}
}

func TestOperationsInTheBackgroundAreObserved(t *testing.T) {
	c := statetest.Formed(3).Build()
	ops := &etcd.Operations{Now: func() time.Time { return statetest.Now }, Go: func(func()) {}, Ended: func(string) {}}
	ops.Start("default/demo", string(c.Members[1].Pod.UID), nil)
	ops.Go = func(f func()) { f() }
	ops.Start("default/demo", CompactionKey, func(context.Context) error { return context.DeadlineExceeded })
	(&Observer{Operations: ops}).recallOperations(c)
	for i, m := range c.Members {
		if m.Defragmentation.Running != (i == 1) {
			t.Errorf("defragmentation of %s runs: %t", m.Name, m.Defragmentation.Running)
		}
	}
	if want := (state.Operation{Ended: statetest.Now, Err: "no answer in time"}); c.Etcd.Compaction != want {
		t.Errorf("the compaction is %+v, want %+v", c.Etcd.Compaction, want)
	}
}
