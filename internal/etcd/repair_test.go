package etcd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const metricsOfA = `# HELP etcd_server_id Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.
# TYPE etcd_server_id gauge
etcd_server_id{server_id="a"} 1
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="a",Remote="b"} 1
etcd_network_active_peers{Local="a",Remote="c"} 0
etcd_network_active_peers{Local="f",Remote="d"} 1
`

func TestActivePeers(t *testing.T) {
	tests := map[string]struct {
		status  int
		metrics string
		want    map[uint64]bool
		wrong   string
	}{
		"those with a connection":              {http.StatusOK, metricsOfA, map[uint64]bool{0xb: true}, ""},
		"none, when it heard from nobody":      {http.StatusOK, `etcd_server_id{server_id="a"} 1` + "\n", map[uint64]bool{}, ""},
		"not those of another process":         {http.StatusOK, strings.ReplaceAll(metricsOfA, `server_id="a"`, `server_id="b"`), nil, "are not those of the member"},
		"not those of something else entirely": {http.StatusOK, "up 1\n", nil, "are not those of the member"},
		"not from an error":                    {http.StatusServiceUnavailable, metricsOfA, nil, "503"},
		"not from garbage":                     {http.StatusOK, "<html>", nil, "parse"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/metrics" {
					t.Errorf("asked for %s, want /metrics", r.URL.Path)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.metrics))
			}))
			defer s.Close()
			got, err := ActivePeers(t.Context(), s.Listener.Addr().String(), 0xa)
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Fatalf("got error %v, want one with %q", err, test.wrong)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestActivePeersDoNotWaitForAMemberThatHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	_, err = ActivePeers(context.Background(), l.Addr().String(), 0xa)
	if took := time.Since(start); took > peersTimeout+time.Second || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v after %v, want the deadline of %v", err, took, peersTimeout)
	}
}

func TestOnlyAlarmsOfEtcdAreDisarmed(t *testing.T) {
	s := startServer(t, &server{})
	c := clientOf(t, s)
	for _, kind := range []AlarmType{"", "NONE", "SMOKE"} {
		if err := c.Disarm(context.Background(), Alarm{Type: kind}); err == nil {
			t.Errorf("%q: got no error; etcd takes it for all alarms", kind)
		}
	}
	if calls, _, _ := s.seen(); len(calls) > 0 {
		t.Errorf("the server saw %v", calls)
	}
	if err := c.Disarm(context.Background(), Alarm{Type: AlarmCorrupt, MemberID: 3}); err != nil {
		t.Fatal(err)
	}
	if calls, _, _ := s.seen(); len(calls) != 1 {
		t.Errorf("the server saw %v, want one call", calls)
	}
}
