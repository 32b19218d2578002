package framework

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestOperatorWritesCountsWhatTheOperatorChanged(t *testing.T) {
	since := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	line := func(offset time.Duration, user, verb, resource string) string {
		return fmt.Sprintf(`{"verb":%q,"user":{"username":%q},"objectRef":{"resource":%q,"namespace":"ns","name":"demo"},`+
			`"requestReceivedTimestamp":%q}`+"\n", verb, user, resource, since.Add(offset).Format(time.RFC3339Nano))
	}
	tests := map[string]struct {
		line string
		want int
	}{
		"a write of the operator counts":                 {line(time.Second, OperatorUser, "update", "etcdclusters"), 1},
		"an event counts":                                {line(time.Second, OperatorUser, "create", "events"), 1},
		"its Lease does not":                             {line(time.Second, OperatorUser, "update", "leases"), 0},
		"reading does not":                               {line(time.Second, OperatorUser, "list", "pods"), 0},
		"what happened before does not":                  {line(-time.Second, OperatorUser, "update", "etcdclusters"), 0},
		"what others write does not":                     {line(time.Second, "system:kube-scheduler", "create", "pods"), 0},
		"a line that is still being written is left out": {strings.TrimSpace(line(time.Second, OperatorUser, "update", "pods")), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := operatorWrites(strings.NewReader(test.line), since)
			if err != nil || len(got) != test.want {
				t.Errorf("found the writes %v, %v; want %d", got, err, test.want)
			}
		})
	}
}
