//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/audit"
)

func TestANamespaceThatIsDeletedIsLeftToKubernetes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localOnly() // its audit log tells what the operator was refused
	w.create("demo", spec(3)).ready()
	ns := &corev1.Namespace{}
	w.must(w.Client.Get(w.ctx, types.NamespacedName{Name: w.namespace}, ns))
	since := time.Now()
	w.must(w.Client.Delete(w.ctx, ns))
	ctx, cancel := w.within(settle)
	defer cancel()
	w.must(w.AwaitGone(ctx, ns))

	requests, err := w.Requests(framework.OperatorUser, since)
	w.must(err)
	requests = slices.DeleteFunc(requests, func(r audit.Request) bool { return r.Namespace != w.namespace || !r.Change() })
	// An event of what was seen and decided before the deletion may come after it.
	decided := since.Add(2 * time.Second)
	for _, r := range requests {
		if r.Refused != "" && (r.Resource != "events" || r.Time.After(decided)) {
			t.Errorf("after the deletion the operator was refused: %s (%s)", r, r.Refused)
		}
	}
	t.Logf("after the deletion of the namespace the operator sent %d changes: %v", len(requests), requests)
	for line := range strings.Lines(w.OperatorLog(ctx, w.namespace, 1000)) {
		var entry struct {
			TS     time.Time `json:"ts"`
			Logger string    `json:"logger"`
		}
		w.must(json.Unmarshal([]byte(line), &entry))
		if entry.TS.Before(since.Truncate(time.Second)) || entry.Logger == "events" {
			continue // the requests for events were looked at above
		}
		if strings.Contains(line, "being terminated") || strings.Contains(line, `"level":"error"`) {
			t.Errorf("after the deletion the operator logged: %s", strings.TrimSpace(line))
		}
	}
}
