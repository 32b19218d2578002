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
	// peersWindow is how long is listened for messages of a peer at least, and maxPeersWindow at most.
	peersWindow    = time.Second
	maxPeersWindow = 3 * time.Second
	// maxMetrics is more than etcd's metrics, of some 200 KiB, ever are.
	maxMetrics = 16 << 20
	// serverIDMetric names the member, so that another process at the address is not mistaken for it.
	serverIDMetric = "etcd_server_id"
	// activePeersMetric is above 0 for each peer that the member holds for connected (etcd
	// server/etcdserver/api/rafthttp/peer_status.go). It lacks those that it never heard from since it started. It may
	// stay above 0 for a dead peer: a member that joined counts those that helped it a second time, for ever
	// (rafthttp/remote.go; seen with 3.7.3).
	activePeersMetric = "etcd_network_active_peers"
	// receivedMetric counts the bytes that came from a peer: it grows with each heartbeat that a follower answers.
	receivedMetric = "etcd_network_peer_received_bytes_total"
)

var errNotTheMember = errors.New("its metrics are not those of the member")

// PeersQuestion asks a member whether it hears from others.
type PeersQuestion struct {
	// Address of the member's metrics.
	Address string
	Member  uint64
	// Suspects are the members that are asked for.
	Suspects []uint64
	// Heartbeat is etcd's --heartbeat-interval.
	Heartbeat time.Duration
}

// ActivePeers asks the leader from which of the suspects it hears. It takes the leader's word that a connection is lost;
// that there is one it believes when something comes from the peer, because the leader may err in that.
func ActivePeers(ctx context.Context, q PeersQuestion) (map[uint64]bool, error) {
	before, err := readPeers(ctx, q)
	if err != nil {
		return nil, err
	}
	active := map[uint64]bool{}
	for _, id := range q.Suspects {
		if before.active[id] {
			active[id] = true
		}
	}
	window := max(peersWindow, 3*q.Heartbeat)
	if len(active) == 0 || window > maxPeersWindow {
		return active, nil
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("listen to the peers: %w", ctx.Err())
	case <-time.After(window):
	}
	after, err := readPeers(ctx, q)
	if err != nil {
		return nil, err
	}
	for id := range active {
		if after.received[id] == before.received[id] {
			delete(active, id)
		}
	}
	return active, nil
}

// peers are what the metrics of a member tell of others, by their IDs.
type peers struct {
	active   map[uint64]bool
	received map[uint64]float64
}

func readPeers(ctx context.Context, q PeersQuestion) (peers, error) {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+q.Address+"/metrics", http.NoBody)
	if err != nil {
		return peers{}, fmt.Errorf("metrics at %s: %w", q.Address, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return peers{}, fmt.Errorf("read the metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return peers{}, fmt.Errorf("metrics at %s: %s", q.Address, resp.Status)
	}
	p, err := parsePeers(io.LimitReader(resp.Body, maxMetrics), q.Member)
	if err != nil {
		return peers{}, fmt.Errorf("metrics at %s: %w", q.Address, err)
	}
	return p, nil
}

// parsePeers reads the peers of the member from metrics in the text format.
func parsePeers(metrics io.Reader, member uint64) (peers, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return peers{}, fmt.Errorf("parse: %w", err)
	}
	self := families[serverIDMetric].GetMetric()
	if len(self) != 1 || labelID(self[0], "server_id") != member {
		return peers{}, errNotTheMember
	}
	p := peers{active: map[uint64]bool{}, received: map[uint64]float64{}}
	for _, m := range families[activePeersMetric].GetMetric() {
		if m.GetGauge().GetValue() > 0 && labelID(m, "Local") == member {
			p.active[labelID(m, "Remote")] = true
		}
	}
	for _, m := range families[receivedMetric].GetMetric() {
		p.received[labelID(m, "From")] = m.GetCounter().GetValue()
	}
	return p, nil
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

// ActivePeers is what ActivePeers tells when the process in the Pod is asked: the suspects to which it is connected.
func (m *Model) ActivePeers(podUID string, suspects []uint64) (map[uint64]bool, error) {
	p := m.pods[podUID]
	if p == nil || p.ended || m.unreachable[podUID] {
		return nil, errUnreachable
	}
	active := map[uint64]bool{}
	for _, id := range suspects {
		if peer := m.member(p, id); peer != nil && peer != p {
			active[id] = true
		}
	}
	return active, nil
}
