package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const operator = "system:serviceaccount:quorate-system:operator"

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// line is an event at so many seconds after start.
func line(second int, user, stage, verb, object string) string {
	return fmt.Sprintf(`{"kind":"Event","stage":%q,"verb":%q,"user":{"username":%q},"objectRef":{%s},`+
		`"requestReceivedTimestamp":%q}`+"\n", stage, verb, user, object,
		start.Add(time.Duration(second)*time.Second).Format(time.RFC3339Nano))
}

const (
	pod    = `"resource":"pods","namespace":"ns","name":"demo-0"`
	status = `"resource":"etcdclusters","subresource":"status","apiGroup":"quorate.dev","namespace":"ns","name":"demo"`
	lease  = `"resource":"leases","apiGroup":"coordination.k8s.io","namespace":"quorate-system","name":"quorate"`
)

func TestRequestsAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		log  string
		want []string
	}{
		"a write of the user":            {line(1, operator, "ResponseComplete", "patch", pod), []string{"patch pods"}},
		"a write of a subresource":       {line(1, operator, "ResponseComplete", "update", status), []string{"update etcdclusters/status"}},
		"a write that panicked":          {line(1, operator, "Panic", "create", pod), []string{"create pods"}},
		"a deletion of many":             {line(1, operator, "ResponseComplete", "deletecollection", pod), []string{"deletecollection pods"}},
		"the first moment belongs to it": {line(0, operator, "ResponseComplete", "patch", pod), []string{"patch pods"}},
		"the last moment does not":       {line(10, operator, "ResponseComplete", "patch", pod), nil},
		"an earlier write":               {line(-1, operator, "ResponseComplete", "patch", pod), nil},
		"a read":                         {line(1, operator, "ResponseComplete", "get", pod), []string{"get pods"}},
		"a watch that goes on":           {line(1, operator, "ResponseStarted", "watch", pod), []string{"watch pods"}},
		"a watch that has ended": {
			line(1, operator, "ResponseStarted", "watch", pod) + line(1, operator, "ResponseComplete", "watch", pod),
			[]string{"watch pods"},
		},
		"a write of somebody else":      {line(1, "kubelet", "ResponseComplete", "patch", pod), nil},
		"a name that only begins alike": {line(1, operator+"-2", "ResponseComplete", "patch", pod), nil},
		"a user that is only mentioned": {
			line(1, "kubelet", "ResponseComplete", "patch", `"resource":"pods","name":"`+operator+`"`), nil,
		},
		"one request with two stages is one write": {
			line(1, operator, "ResponseStarted", "patch", pod) + line(1, operator, "ResponseComplete", "patch", pod),
			[]string{"patch pods"},
		},
		"a line that is still being written": {
			line(1, operator, "ResponseComplete", "patch", pod) +
				strings.TrimSuffix(line(2, operator, "ResponseComplete", "delete", pod), "\n"),
			[]string{"patch pods"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(tc.log), operator, start, start.Add(10*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, short(got)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func short(requests []Request) []string {
	var out []string
	for _, r := range requests {
		out = append(out, r.Verb+" "+r.Resource)
	}
	return out
}

func TestABrokenLineOfTheUserIsAnError(t *testing.T) {
	log := line(1, "kubelet", "ResponseComplete", "patch", pod) + `{"user":{"username":"` + operator + "\"}\n"
	_, err := parse(strings.NewReader(log), operator, start, start.Add(time.Hour))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error is %v, want one that names line 2", err)
	}
}

func TestOnlyLeasesAreLeases(t *testing.T) {
	for object, want := range map[string]bool{lease: true, pod: false, status: false} {
		got, err := parse(strings.NewReader(line(1, operator, "ResponseComplete", "update", object)), operator, start,
			start.Add(time.Hour))
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", object, got, err)
		}
		if got[0].Lease() != want {
			t.Errorf("%s: Lease is %t, want %t", got[0], got[0].Lease(), want)
		}
	}
}

func TestWhatIsForbiddenIsToldWithItsReason(t *testing.T) {
	refused := func(verb, status string) string {
		return strings.Replace(line(1, operator, "ResponseComplete", verb, pod), `"user"`, `"responseStatus":{`+status+`},"user"`, 1)
	}
	for name, tc := range map[string]struct {
		log  string
		want string
	}{
		"a read":             {refused("list", `"code":403,"message":"pods is forbidden"`), "pods is forbidden"},
		"a watch":            {refused("watch", `"code":403,"message":"pods is forbidden"`), "pods is forbidden"},
		"without a message":  {refused("list", `"code":403`), "forbidden"},
		"another failure":    {refused("list", `"code":409,"message":"conflict"`), ""},
		"what was permitted": {refused("list", `"code":200`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(tc.log), operator, start, start.Add(time.Hour))
			if err != nil || len(got) != 1 || got[0].Refused != tc.want {
				t.Errorf("found %+v, %v; want one request refused because of %q", got, err, tc.want)
			}
		})
	}
}

func TestRotatedFilesAreReadInOrder(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"audit.log":                         line(4, operator, "ResponseComplete", "get", pod) + line(5, operator, "ResponseComplete", "delete", pod),
		"audit-2026-01-02T03-04-08.000.log": line(2, operator, "ResponseComplete", "create", pod),
		"other.log":                         line(3, operator, "ResponseComplete", "patch", pod),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Writes(filepath.Join(dir, "audit.log"), operator, start, start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create pods", "delete pods"}, short(got)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if _, err := Writes(filepath.Join(dir, "none.log"), operator, start, start.Add(time.Minute)); err == nil {
		t.Error("a log that does not exist counts as one without writes")
	}
}
