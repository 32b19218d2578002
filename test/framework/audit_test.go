package framework

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOperatorWritesCountsWhatTheOperatorChanged(t *testing.T) {
	since := time.Now().Add(-time.Hour).UTC()
	line := func(offset time.Duration, user, verb, resource string) string {
		return fmt.Sprintf(`{"stage":"ResponseComplete","verb":%q,"user":{"username":%q},"objectRef":{%s,"namespace":"ns"},`+
			`"requestReceivedTimestamp":%q}`+"\n", verb, user, resource, since.Add(offset).Format(time.RFC3339Nano))
	}
	const lease = `"resource":"leases","apiGroup":"coordination.k8s.io"`
	tests := map[string]struct {
		line string
		want int
	}{
		"a write of the operator counts":                 {line(time.Second, OperatorUser, "update", `"resource":"etcdclusters"`), 1},
		"an event counts":                                {line(time.Second, OperatorUser, "create", `"resource":"events"`), 1},
		"its Lease does not":                             {line(time.Second, OperatorUser, "update", lease), 0},
		"reading does not":                               {line(time.Second, OperatorUser, "list", `"resource":"pods"`), 0},
		"what happened before does not":                  {line(-time.Second, OperatorUser, "update", `"resource":"etcdclusters"`), 0},
		"reviews of who reads its metrics do not":        {line(time.Second, OperatorUser, "create", `"resource":"tokenreviews"`), 0},
		"what others write does not":                     {line(time.Second, "system:kube-scheduler", "create", `"resource":"pods"`), 0},
		"a line that is still being written is left out": {strings.TrimSpace(line(time.Second, OperatorUser, "update", `"resource":"pods"`)), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("QUORATE_KUBE_DIR", dir)
			if err := os.WriteFile(filepath.Join(dir, "audit.log"), []byte(test.line), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := (&Kube{Provider: Local}).OperatorWrites(since)
			if err != nil || len(got) != test.want {
				t.Errorf("found the writes %v, %v; want %d", got, err, test.want)
			}
		})
	}
}
