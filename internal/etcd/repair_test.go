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

// metricsOfA are those of member a, which holds b and d for connected, and c not. So many bytes came from b.
func metricsOfA(fromB int) string {
	return fmt.Sprintf(`# TYPE etcd_server_id gauge
etcd_server_id{server_id="a"} 1
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

// asked is what ActivePeers makes of metrics, and how often it asked for them.
func asked(t *testing.T, status int, heartbeat time.Duration, metrics func(nth int) string, suspects ...uint64) (
	active map[uint64]bool, times int, err error,
) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			t.Errorf("asked for %s, want /metrics", r.URL.Path)
		}
		times++
		w.WriteHeader(status)
		_, _ = w.Write([]byte(metrics(times)))
	}))
	defer s.Close()
	active, err = ActivePeers(t.Context(), PeersQuestion{
		Address: s.Listener.Addr().String(), Member: 0xa, Suspects: suspects, Heartbeat: heartbeat,
	})
	return active, times, err
}

func TestActivePeers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		suspects  []uint64
		heartbeat time.Duration
		want      map[uint64]bool
		times     int
	}{
		"one from which something comes":                             {[]uint64{0xb}, 0, map[uint64]bool{0xb: true}, 2},
		"not one from which nothing comes, whatever is said of it":   {[]uint64{0xb, 0xd}, 0, map[uint64]bool{0xb: true}, 2},
		"not one that is known to be away, for which nobody listens": {[]uint64{0xc}, 0, map[uint64]bool{}, 1},
		"not one that was never heard of":                            {[]uint64{0x9}, 0, map[uint64]bool{}, 1},
		"not what another process said":                              {[]uint64{0xe}, 0, map[uint64]bool{}, 1},
		"nobody listens for heartbeats that come too seldom":         {[]uint64{0xd}, 10 * time.Second, map[uint64]bool{0xd: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, times, err := asked(t, http.StatusOK, test.heartbeat, func(nth int) string { return metricsOfA(nth) }, test.suspects...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || times != test.times {
				t.Errorf("asked %d times, want %d (-want +got):\n%s", times, test.times, diff)
			}
		})
	}
}

func TestActivePeersOfNobodyKnowsWhom(t *testing.T) {
	for name, test := range map[string]struct {
		status         int
		metrics, wrong string
	}{
		"of another process":         {http.StatusOK, strings.ReplaceAll(metricsOfA(1), `server_id="a"`, `server_id="b"`), "are not those of the member"},
		"of something else entirely": {http.StatusOK, "up 1\n", "are not those of the member"},
		"of an error":                {http.StatusServiceUnavailable, metricsOfA(1), "503"},
		"of garbage":                 {http.StatusOK, "<html>", "parse"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := asked(t, test.status, 0, func(int) string { return test.metrics }, 0xb)
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("got %v and error %v, want one with %q", got, err, test.wrong)
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
	_, err = ActivePeers(context.Background(), PeersQuestion{Address: l.Addr().String(), Member: 0xa, Suspects: []uint64{0xb}})
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
