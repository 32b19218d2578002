//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework/audit"
)

// It does not run in parallel with others: a member that is slow because the machine is busy is worth a status write.
func TestAtRestTheOperatorWritesNothing(t *testing.T) {
	const (
		rest  = time.Minute
		quiet = 10 * time.Second
	)
	w := newWorld(t)
	w.localOnly()
	start := time.Now()
	var clusters []*cluster
	for i := range 3 {
		clusters = append(clusters, w.create(fmt.Sprintf("rest-%d", i), spec([]int32{1, 3, 3}[i])))
	}
	for _, c := range clusters {
		c.ready()
	}
	if made := w.writes(start); len(made) == 0 {
		t.Fatal("the audit log shows no write while three clusters were created: it cannot show that there is none later")
	} else {
		t.Logf("%d writes while three clusters were created", len(made))
	}
	w.eventually("waiting until all is at rest", time.Minute, func(context.Context) string {
		if last := w.writes(time.Now().Add(-quiet)); len(last) > 0 {
			return fmt.Sprintf("%d writes in the last %s: %v", len(last), quiet, last)
		}
		return ""
	})
	rested := time.Now()
	<-time.After(rest)
	if got := w.writes(rested); len(got) > 0 {
		t.Errorf("the operator wrote %d times in %s of rest, want never: %v", len(got), rest, got)
	}
	edited := time.Now()
	clusters[0].edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.ClientService = &v1alpha1.ClientServiceSpec{Annotations: map[string]string{"example.com/a": "b"}}
	})
	w.eventually("waiting until an edit shows in the audit log", settle, func(context.Context) string {
		if len(w.writes(edited)) == 0 {
			return "no write although the spec was edited"
		}
		return ""
	})
}

// writes are those of the operator in the test's namespace.
func (w *world) writes(since time.Time) []audit.Request {
	w.t.Helper()
	all, err := w.OperatorWrites(since)
	w.must(err)
	var here []audit.Request
	for _, write := range all {
		if write.Namespace == w.namespace {
			here = append(here, write)
		}
	}
	return here
}
