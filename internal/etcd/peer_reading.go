package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// peersTimeout bounds a question that a healthy member answers from memory.
	peersTimeout = 2 * time.Second
	// maxMetrics is more than etcd's metrics, of some 200 KiB, ever are.
	maxMetrics = 16 << 20
	// serverIDMetric names the member, so that another process at the address is not mistaken for it.
	serverIDMetric = "etcd_server_id"
	// leadsMetric is 1 while the member leads, and leaderChangesMetric counts the leaders that it has followed or been
	// (etcd server/etcdserver/raft.go).
	leadsMetric         = "etcd_server_is_leader"
	leaderChangesMetric = "etcd_server_leader_changes_seen_total"
	// processMetric is when the process was started, in seconds since 1970.
	processMetric = "process_start_time_seconds"
	// activePeersMetric is above 0 for each peer that the member holds for connected (etcd
	// server/etcdserver/api/rafthttp/peer_status.go). It lacks those that it never heard from since it started. It may
	// stay above 0 for a dead peer: a member that joined counts those that helped it a second time, for ever
	// (rafthttp/remote.go; seen with 3.7.3).
	activePeersMetric = "etcd_network_active_peers"
	// receivedMetric counts the bytes that came from a peer: it grows with each heartbeat that a follower answers.
	receivedMetric = "etcd_network_peer_received_bytes_total"
)

var (
	errNotTheMember = errors.New("its metrics are not those of the member")
	errNotLeading   = errors.New("it does not lead any more")
)

// Leadership is one of a process: from one election to the next.
type Leadership struct {
	Member uint64
	// Process is when the process was started, and Changes how many leaders it has seen since.
	Process, Changes float64
}

// PeerReading is what the leader has heard from others up to now.
type PeerReading struct {
	Leadership Leadership
	// Active are the peers that it holds for connected. That one is not is to be believed, that one is may be wrong.
	Active map[uint64]bool
	// Received are the bytes that came from each peer since the process was started. A follower answers each heartbeat.
	Received map[uint64]float64
}

// direct asks members themselves, never through a proxy of the environment, as all other connections to them do.
var direct = &http.Client{Transport: &http.Transport{}}

// ReadPeers reads the metrics at the address, which have to be the member's, and it has to lead.
func ReadPeers(ctx context.Context, address string, member uint64) (PeerReading, error) {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return PeerReading{}, fmt.Errorf("metrics at %s: %w", address, err)
	}
	resp, err := direct.Do(req)
	if err != nil {
		return PeerReading{}, fmt.Errorf("read the metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return PeerReading{}, fmt.Errorf("metrics at %s: %s", address, resp.Status)
	}
	r, err := parsePeers(io.LimitReader(resp.Body, maxMetrics), member)
	if err != nil {
		return PeerReading{}, fmt.Errorf("metrics at %s: %w", address, err)
	}
	return r, nil
}

// parsePeers reads the peers of the member from metrics in the text format.
func parsePeers(metrics io.Reader, member uint64) (PeerReading, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return PeerReading{}, fmt.Errorf("parse: %w", err)
	}
	self := families[serverIDMetric].GetMetric()
	switch {
	case len(self) != 1 || labelID(self[0], "server_id") != member:
		return PeerReading{}, errNotTheMember
	case single(families[leadsMetric]) != 1:
		return PeerReading{}, errNotLeading
	}
	r := PeerReading{
		Leadership: Leadership{
			Member: member, Process: single(families[processMetric]), Changes: single(families[leaderChangesMetric]),
		},
		Active: map[uint64]bool{}, Received: map[uint64]float64{},
	}
	for _, m := range families[activePeersMetric].GetMetric() {
		if m.GetGauge().GetValue() > 0 && labelID(m, "Local") == member {
			r.Active[labelID(m, "Remote")] = true
		}
	}
	for _, m := range families[receivedMetric].GetMetric() {
		r.Received[labelID(m, "From")] = m.GetCounter().GetValue()
	}
	return r, nil
}

// single is the value of a metric without labels, a gauge or a counter; 0 when there is none.
func single(f *dto.MetricFamily) float64 {
	if len(f.GetMetric()) != 1 {
		return 0
	}
	m := f.GetMetric()[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}

// labelID is a label's value as an ID; 0 when it is none.
func labelID(m *dto.Metric, name string) uint64 {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			id, _ := strconv.ParseUint(l.GetValue(), 16, 64)
			return id
		}
	}
	return 0
}

// ReadPeers is what ReadPeers reads of the process in the Pod.
func (m *Model) ReadPeers(podUID string) (PeerReading, error) {
	p := m.pods[podUID]
	if p == nil || p.ended || m.unreachable[podUID] {
		return PeerReading{}, errUnreachable
	}
	if !p.leading {
		return PeerReading{}, errNotLeading
	}
	r := PeerReading{
		Leadership: Leadership{Member: p.disk.member, Changes: float64(p.disk.term)},
		Active:     map[uint64]bool{}, Received: map[uint64]float64{},
	}
	for _, c := range p.active {
		heard := m.opts.Now()
		if !c.cut.IsZero() {
			heard = c.cut
		}
		r.Active[c.peer.disk.member], r.Received[c.peer.disk.member] = true, heard.Sub(c.since).Seconds()
	}
	return r, nil
}
