package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// metricsOfA are those of member a, which leads, holds b and d for connected, and c not. So many bytes came from b.
func metricsOfA(fromB int) string {
	return fmt.Sprintf(`# TYPE etcd_server_id gauge
etcd_server_id{server_id="a"} 1
# TYPE etcd_server_is_leader gauge
etcd_server_is_leader 1
# TYPE etcd_server_leader_changes_seen_total counter
etcd_server_leader_changes_seen_total 4
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.76382e+09
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="a",Remote="b"} 1
etcd_network_active_peers{Local="a",Remote="c"} 0
etcd_network_active_peers{Local="a",Remote="d"} 2
etcd_network_active_peers{Local="f",Remote="e"} 1
# TYPE etcd_network_peer_received_bytes_total counter
etcd_network_peer_received_bytes_total{From="0"} 7
etcd_network_peer_received_bytes_total{From="b"} %d
etcd_network_peer_received_bytes_total{From="d"} 500
`, fromB)
}

// read is what ReadPeers makes of metrics of member a.
func read(t *testing.T, status int, metrics string) (PeerReading, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			t.Errorf("asked for %s, want /metrics", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(metrics))
	}))
	defer s.Close()
	return ReadPeers(t.Context(), s.Listener.Addr().String(), 0xa)
}

func TestALeaderTellsWhatItHearsOfOthers(t *testing.T) {
	got, err := read(t, http.StatusOK, metricsOfA(300))
	if err != nil {
		t.Fatal(err)
	}
	want := PeerReading{
		Leadership: Leadership{Member: 0xa, Process: 1.76382e+09, Changes: 4}, Active: map[uint64]bool{0xb: true, 0xd: true},
		Received: map[uint64]float64{0: 7, 0xb: 300, 0xd: 500},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMetricsThatTellNothingOfPeers(t *testing.T) {
	for name, test := range map[string]struct {
		status         int
		metrics, wrong string
	}{
		"of another process": {http.StatusOK, strings.ReplaceAll(metricsOfA(1), `server_id="a"`, `server_id="b"`), "are not those of the member"},
		"of one that does not lead any more, to which nobody answers heartbeats": {
			http.StatusOK, strings.ReplaceAll(metricsOfA(1), "is_leader 1", "is_leader 0"), "does not lead any more",
		},
		"of something else entirely": {http.StatusOK, "up 1\n", "are not those of the member"},
		"of an error":                {http.StatusServiceUnavailable, metricsOfA(1), "503"},
		"of garbage":                 {http.StatusOK, "<html>", "parse"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, test.status, test.metrics)
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("got %v and error %v, want one with %q", got, err, test.wrong)
			}
		})
	}
}

func TestAMemberWhoseMetricsHangIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	start := time.Now()
	_, err = ReadPeers(context.Background(), l.Addr().String(), 0xa)
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
