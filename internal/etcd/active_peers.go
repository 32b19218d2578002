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
	// activePeersMetric is 1 for each peer that the member hears from (etcd server/etcdserver/api/rafthttp/metrics.go);
	// it lacks those that it never heard from since it started.
	activePeersMetric = "etcd_network_active_peers"
)

var errNotTheMember = errors.New("its metrics are not those of the member")

// ActivePeers asks a member, at the address of its metrics, from which members it hears, by their IDs.
func ActivePeers(ctx context.Context, address string, member uint64) (map[uint64]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("metrics at %s: %w", address, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics at %s: %s", address, resp.Status)
	}
	active, err := parseActivePeers(io.LimitReader(resp.Body, maxMetrics), member)
	if err != nil {
		return nil, fmt.Errorf("metrics at %s: %w", address, err)
	}
	return active, nil
}

// parseActivePeers reads the peers of the member from metrics in the text format.
func parseActivePeers(metrics io.Reader, member uint64) (map[uint64]bool, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	self := families[serverIDMetric].GetMetric()
	if len(self) != 1 || labelID(self[0], "server_id") != member {
		return nil, errNotTheMember
	}
	active := map[uint64]bool{}
	for _, m := range families[activePeersMetric].GetMetric() {
		if m.GetGauge().GetValue() > 0 && labelID(m, "Local") == member {
			active[labelID(m, "Remote")] = true
		}
	}
	return active, nil
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

// ActivePeers is what ActivePeers tells of the process in the Pod: the members that it holds for connected.
func (m *Model) ActivePeers(podUID string) (map[uint64]bool, error) {
	p := m.pods[podUID]
	if p == nil || p.ended || m.unreachable[podUID] {
		return nil, errUnreachable
	}
	active := map[uint64]bool{}
	for _, c := range p.active {
		active[c.peer.disk.member] = true
	}
	return active, nil
}
