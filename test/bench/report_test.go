package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/audit"
)

// lives are creations that took so long.
func lives(seconds ...float64) []life {
	var out []life
	for _, s := range seconds {
		out = append(out, life{times: map[string]float64{createVoters: s}})
	}
	return out
}

func TestTargetOfCreation(t *testing.T) {
	for name, tc := range map[string]struct {
		floor, operator []life
		ratio           float64
		missed          int
	}{
		"faster than the floor":              {lives(2), lives(1), 0.5, 0},
		"exactly at the target":              {lives(2), lives(3), 1.5, 0},
		"above the target":                   {lives(2), lives(3.2), 1.6, 1},
		"the medians count, not an outlier":  {lives(2, 2, 2), lives(2, 60, 2), 1, 0},
		"the medians count, not a lucky one": {lives(1, 1, 1), lives(0.1, 4, 4), 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &results{}
			r.compare(tc.floor, tc.operator)
			if got := r.Measurements[0].Ratio; got != tc.ratio {
				t.Errorf("ratio is %g, want %g", got, tc.ratio)
			}
			if got := r.missed(); len(got) != tc.missed {
				t.Errorf("missed targets are %q, want %d", got, tc.missed)
			}
			var out strings.Builder
			if err := r.print(&out); err != nil {
				t.Fatal(err)
			}
			if want := passed(tc.missed == 0); !strings.Contains(out.String(), want) {
				t.Errorf("the table lacks %s:\n%s", want, out.String())
			}
		})
	}
}

func TestWhatOneSideLacksHasNoRatio(t *testing.T) {
	r := &results{}
	r.compare(lives(2), []life{{times: map[string]float64{createVoters: 3, createReady: 4}}})
	if got := len(r.Measurements); got != 2 {
		t.Fatalf("there are %d measurements, want 2", got)
	}
	if m := r.Measurements[1]; m.Name != createReady || m.Floor != nil || m.Ratio != 0 || !m.met() {
		t.Errorf("measurement is %+v, want one of the operator only, without ratio and target", m)
	}
}

func TestWritesAtRestMissTheTarget(t *testing.T) {
	r := &results{Rest: &rest{WorkingSet: summarize([]float64{1}), RSS: summarize([]float64{1})}}
	if missed := r.missed(); len(missed) != 0 {
		t.Errorf("without a write %q is missed", missed)
	}
	r.Rest.Writes = []string{"patch pods"}
	if missed := r.missed(); len(missed) != 1 {
		t.Errorf("with a write the missed targets are %q, want one", missed)
	}
}

func TestWhoseWritesCount(t *testing.T) {
	const coordination, own = "coordination.k8s.io", framework.OperatorNamespace
	for name, tc := range map[string]struct {
		write            audit.Request
		count, elsewhere int
	}{
		"the operator's Lease":               {audit.Request{Resource: "leases", Group: coordination, Namespace: own}, 0, 0},
		"a Lease somewhere else":             {audit.Request{Resource: "leases", Group: coordination, Namespace: "ns"}, 1, 0},
		"a member Pod":                       {audit.Request{Resource: "pods", Namespace: "ns"}, 1, 0},
		"an event about leader election":     {audit.Request{Resource: "events", Namespace: own}, 1, 0},
		"an object of no namespace":          {audit.Request{Resource: "nodes"}, 1, 0},
		"a Pod of somebody else's cluster":   {audit.Request{Resource: "pods", Namespace: "default"}, 0, 1},
		"a namespace that begins just alike": {audit.Request{Resource: "pods", Namespace: "ns-2"}, 0, 1},
	} {
		writes, elsewhere := concerning([]audit.Request{tc.write}, "ns")
		if len(writes) != tc.count || elsewhere != tc.elsewhere {
			t.Errorf("%s: counted %d here and %d elsewhere, want %d and %d", name, len(writes), elsewhere, tc.count, tc.elsewhere)
		}
	}
}

func TestCPUPerMinute(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }
	for name, tc := range map[string]struct {
		first, last usage
		want        float64
		fails       bool
	}{
		"3 s in two minutes":                  {usage{"a", at(0), 10, 0, 0}, usage{"a", at(120), 13, 0, 0}, 1.5, false},
		"nothing used":                        {usage{"a", at(0), 10, 0, 0}, usage{"a", at(60), 10, 0, 0}, 0, false},
		"the container was restarted":         {usage{"a", at(0), 10, 0, 0}, usage{"b", at(60), 1, 0, 0}, 0, true},
		"the kubelet measured only once":      {usage{"a", at(0), 10, 0, 0}, usage{"a", at(0), 10, 0, 0}, 0, true},
		"less than a minute, told per minute": {usage{"a", at(0), 1, 0, 0}, usage{"a", at(30), 2, 0, 0}, 2, false},
	} {
		got, err := cpuPerMinute(tc.first, tc.last)
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: %g s a minute (%v), want %g", name, got, err, tc.want)
		}
	}
}

func TestUsageIsThatOfTheOperatorsContainer(t *testing.T) {
	pod := func(uid string, working, rss, cpu int) string {
		return fmt.Sprintf(`{"podRef":{"uid":%q},"containers":[{"name":"manager","startTime":"2026-01-01T00:00:00Z",`+
			`"cpu":{"time":"2026-01-01T00:01:00Z","usageCoreNanoSeconds":%d},`+
			`"memory":{"workingSetBytes":%d,"rssBytes":%d}}]}`, uid, cpu, working, rss)
	}
	summary := `{"node":{"nodeName":"a"},"pods":[` + pod("other", 1, 2, 3) + "," + pod("mine", 40, 30, 2_500_000_000) + "]}"
	got, err := usageOf([]byte(summary), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "mine"}})
	if err != nil {
		t.Fatal(err)
	}
	want := usage{
		started: "2026-01-01T00:00:00Z", at: time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC), cpu: 2.5, workingSet: 40, rss: 30,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(usage{})); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if _, err := usageOf([]byte(summary), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "gone"}}); err == nil {
		t.Error("a Pod that the kubelet does not know has a usage")
	}
}
