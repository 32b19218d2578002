package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// hashing answers for its own data only, and counts how often it had to read it.
type hashing struct {
	speaker
	value uint32
	err   error
	reads *int
}

func (h hashing) HashKV(_ context.Context, revision int64) (etcd.Hash, error) {
	*h.reads++
	return etcd.Hash{Value: h.value, Revision: revision, Compacted: 3}, h.err
}

// hashed is an observer of three members and of a fourth process that cannot hash. What it starts in the background
// is done when the test says so.
type hashed struct {
	*Observer
	now     time.Time
	begun   []func()
	alarms  []etcd.Alarm
	reads   int
	restart string // is the container of the first member
}

func newHashed() *hashed {
	h := &hashed{now: statetest.Now, alarms: []etcd.Alarm{{Type: etcd.AlarmCorrupt, MemberID: 3}}}
	h.Observer = &Observer{Now: func() time.Time { return h.now }}
	h.Operations = &etcd.Operations{
		Now: h.Now, Go: func(f func()) { h.begun = append(h.begun, f) }, Ended: func(string) {},
	}
	return h
}

func (h *hashed) ask(t *testing.T) answers {
	t.Helper()
	list := etcd.MemberList{ClusterID: 1, Members: []etcd.Member{{ID: 1}, {ID: 2}, {ID: 3}}}
	of := func(id uint64, revision int64, value uint32, err error) hashing {
		return hashing{value: value, err: err, reads: &h.reads, speaker: speaker{
			list: list, alarms: h.alarms, status: etcd.Status{
				ClusterID: 1, MemberID: id, Leader: 1, Revision: revision, Errors: []string{"memberID:3 alarm:CORRUPT "},
			},
		}}
	}
	h.Etcd = clientsByPod(map[string]etcd.Client{
		"a": of(1, 9, 77, nil), "b": of(2, 8, 77, nil), "c": of(3, 5, 78, nil), "d": of(2, 9, 0, errors.New("lost")),
	})
	return h.Observer.ask(t.Context(), clusterOf(1), []state.Pod{
		{UID: "a", MemberID: 1, IP: "192.0.2.1", Running: true, ContainerID: h.restart},
		{UID: "b", MemberID: 2, IP: "192.0.2.2", Running: true},
		{UID: "c", MemberID: 3, IP: "192.0.2.3", Running: true}, {UID: "d", MemberID: 2, IP: "192.0.2.4", Running: true},
	})
}

// finish does what was begun in the background.
func (h *hashed) finish() {
	for _, f := range h.begun {
		f()
	}
	h.begun = nil
}

func TestHashesAreMadeInTheBackgroundWhileAnAlarmSaysThatDataIsCorrupt(t *testing.T) {
	h := newHashed()
	wait := func(what string, known map[types.UID]state.Hash, hashing bool, reads int) {
		t.Helper()
		got := h.ask(t)
		if diff := cmp.Diff(known, got.hashes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if got.etcd.Hashing != hashing || h.reads != reads {
			t.Errorf("%s: hashing %t after %d reads of a database, want %t after %d", what, got.etcd.Hashing, h.reads, hashing, reads)
		}
	}
	all := map[types.UID]state.Hash{
		"a": {Value: 77, Revision: 8, Compacted: 3}, "b": {Value: 77, Revision: 8, Compacted: 3},
		"c": {Value: 78, Revision: 8, Compacted: 3},
	}
	wait("the first look waits for nobody", map[types.UID]state.Hash{}, true, 0)
	wait("nor does the next, which begins nothing anew", map[types.UID]state.Hash{}, true, 0)
	h.finish()
	wait("all have hashed up to the revision that those have whose data is right", all, false, 4)
	h.finish()
	wait("what is known is not made again, and what failed not at once", all, false, 4)
	h.now = h.now.Add(hashRetry)
	wait("what failed is tried again in a while", all, true, 4)
	h.finish()
	h.restart = "another"
	wait("a process that was restarted may read other data from its volume",
		map[types.UID]state.Hash{"b": all["b"], "c": all["c"]}, true, 5)
	h.finish()
	h.alarms = []etcd.Alarm{{Type: etcd.AlarmNoSpace, MemberID: 3}}
	wait("without such an alarm nothing is hashed", nil, false, 6)
	h.alarms = newHashed().alarms
	wait("and nothing is remembered", map[types.UID]state.Hash{}, true, 6)
}
