package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// running3 are members 1 to 3, of which one leads.
func running3(leader uint64) []member {
	var members []member
	for id := uint64(1); id <= 3; id++ {
		status := &clientv3.StatusResponse{Leader: leader, Header: &etcdserverpb.ResponseHeader{MemberId: id}}
		members = append(members, member{status: status})
	}
	return members
}

func TestFollowersAreChangedBeforeTheLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		leader     uint64
		done       []uint64
		next, heir uint64
	}{
		"a follower is the first":                         {leader: 1, next: 2},
		"then the other one":                              {leader: 1, done: []uint64{2}, next: 3, heir: 2},
		"the leader is the last, and a changed one leads": {leader: 1, done: []uint64{2, 3}, next: 1, heir: 3},
		"the leadership has moved meanwhile":              {leader: 2, done: []uint64{2}, next: 1, heir: 2},
		"nobody is left":                                  {leader: 2, done: []uint64{1, 2, 3}, heir: 2},
		"without a leader all are followers":              {leader: 0, done: []uint64{1}, next: 2, heir: 1},
	} {
		t.Run(name, func(t *testing.T) {
			done := map[uint64]bool{}
			for _, id := range tc.done {
				done[id] = true
			}
			next, heir := nextToChange(running3(tc.leader), done)
			for what, m := range map[string]struct {
				got  member
				want uint64
			}{"next": {next, tc.next}, "heir": {heir, tc.heir}} {
				got := uint64(0)
				if m.got.status != nil {
					got = m.got.id()
				}
				if got != m.want {
					t.Errorf("%s is member %d, want %d (0: none)", what, got, m.want)
				}
			}
		})
	}
}

func memberPod(container string, ready bool) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-0"},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{ContainerID: container, Ready: ready}}},
	}
}

func TestAMemberIsBackOnlyWithAnotherProcess(t *testing.T) {
	ending := memberPod("new", true)
	ending.DeletionTimestamp = new(metav1.Now())
	other := memberPod("new", true)
	other.Name = "bench-1"
	choose := back(member{pod: memberPod("old", true)}, "3.7.3").pods
	for name, tc := range map[string]struct {
		pod  corev1.Pod
		back bool
	}{
		"another container that is ready":         {memberPod("new", true), true},
		"another container that is not ready yet": {memberPod("new", false), false},
		"the container from before, still ready":  {memberPod("old", true), false},
		"a Pod without a container":               {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bench-0"}}, false},
		"a Pod that is being deleted":             {ending, false},
		"another member":                          {other, false},
	} {
		ask, missing := choose([]corev1.Pod{tc.pod})
		if got := len(ask) == 1; got != tc.back || got == (missing != "") {
			t.Errorf("%s: asked are %d Pods (%q), want that it counts: %t", name, len(ask), missing, tc.back)
		}
	}
}

func TestTheLongestGapIsBetweenAcknowledgements(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(milliseconds int) time.Time { return start.Add(time.Duration(milliseconds) * time.Millisecond) }
	for name, tc := range map[string]struct {
		acknowledged []int
		ended        int
		want         time.Duration
	}{
		"in the middle":                       {[]int{20, 40, 540, 560}, 570, 500 * time.Millisecond},
		"before the first one":                {[]int{300, 320}, 330, 300 * time.Millisecond},
		"since the last one, when it stopped": {[]int{20, 40}, 940, 900 * time.Millisecond},
		"nothing was ever acknowledged":       {nil, 700, 700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := record{acknowledged: map[string]string{}, last: start, failed: 2, repeated: 5}
			for i, ms := range tc.acknowledged {
				r.acknowledge(strings.Repeat("k", i+1), "v", at(ms))
			}
			figures := r.ended(at(tc.ended)).measured(partUpgrade)
			for figure, want := range map[string]float64{
				longestGap: tc.want.Seconds(), writesDone: float64(len(tc.acknowledged)), writesFailed: 2, writesRepeated: 5,
			} {
				if got := figures[partUpgrade+figure]; got != want {
					t.Errorf("%s is %g, want %g", figure, got, want)
				}
			}
		})
	}
}

func TestWritingHasLimits(t *testing.T) {
	wrote := func(failed, gap float64) []life {
		return []life{{writing: map[string]float64{
			partUpgrade + writesDone: 500, partUpgrade + writesFailed: failed, partUpgrade + longestGap: gap,
		}}}
	}
	for name, tc := range map[string]struct {
		floor, operator []life
		missed          []string
	}{
		"no write failed and no gap was long": {wrote(0, 0.1), wrote(0, 0.9), nil},
		"one write failed for good":           {wrote(0, 0.1), wrote(1, 0.1), []string{"upgrade: writes failed"}},
		"the gap is too long":                 {wrote(0, 0.1), wrote(0, 1.2), []string{"upgrade: longest gap"}},
		"one run of two had a gap":            {wrote(0, 0.1), append(wrote(0, 0.1), wrote(0, 1.2)...), []string{"longest gap"}},
		"the floor has no limits":             {wrote(3, 9), wrote(0, 0.1), nil},
		"the operator was not measured":       {wrote(0, 0.1), nil, []string{"writes failed", "longest gap"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &results{}
			r.compare(tc.floor, tc.operator)
			missed := r.missed()
			if len(missed) != len(tc.missed) {
				t.Fatalf("missed are %q, want %q", missed, tc.missed)
			}
			for i, want := range tc.missed {
				if !strings.Contains(missed[i], want) {
					t.Errorf("missed is %q, want %q", missed[i], want)
				}
			}
			var out strings.Builder
			if err := r.print(&out); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out.String(), "FAIL"); got != (len(tc.missed) > 0) {
				t.Errorf("the table tells of a failure: %t, want %t:\n%s", got, len(tc.missed) > 0, out.String())
			}
		})
	}
}

func TestTheSlowestChangeThatIsTolerated(t *testing.T) {
	took := func(name string, seconds float64) []life {
		return []life{{times: map[string]float64{name: seconds}}}
	}
	for name, targets := range map[string]int{upgradeDone: 1, restartDone: 1, createVoters: 1, repairDone: 0, scaleUp: 0} {
		r := &results{}
		r.compare(took(name, 2), took(name, 3.1))
		if missed := r.missed(); len(missed) != targets {
			t.Errorf("%s at 1.55 times the floor: missed are %q, want %d", name, missed, targets)
		}
	}
}

func TestAWriteThatIsNotAnsweredEndsWithTheWriter(t *testing.T) {
	c, err := dialEtcd("127.0.0.1:1", credentials{}, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &writer{client: c, stop: stop, done: make(chan struct{}), record: record{
		acknowledged: map[string]string{}, last: time.Now(),
	}}
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
	if err := repeat(t.Context(), "fail once", func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.record.repeated == 0 {
			return errNotYet
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if r := w.end(); r.failed != 0 || len(r.acknowledged) != 0 || r.failure == nil || r.longest == 0 {
		t.Errorf("the record is %+v, want attempts that failed, no write given up yet and none acknowledged", r)
	}
}
