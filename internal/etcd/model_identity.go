package etcd

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // etcd derives its IDs with SHA-1; nothing is protected by it
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// memberID is etcd's: salt is the token for a member of the bootstrap, the unix second for one that is added
// (etcd server/etcdserver/api/membership/member.go, computeMemberID). The model does not share the code that predicts
// these IDs elsewhere: it stands in for etcd.
func memberID(peerURL, salt string) uint64 {
	sum := sha1.Sum([]byte(peerURL + salt)) //nolint:gosec // see the import
	return binary.BigEndian.Uint64(sum[:8])
}

// clusterID is etcd's (etcd server/etcdserver/api/membership/cluster.go, genID).
func clusterID(members []uint64) uint64 {
	sorted := slices.Sorted(slices.Values(members))
	b := make([]byte, 0, 8*len(sorted))
	for _, id := range sorted {
		b = binary.BigEndian.AppendUint64(b, id)
	}
	sum := sha1.Sum(b) //nolint:gosec // see the import
	return binary.BigEndian.Uint64(sum[:8])
}

func sortByID(members []listed) {
	slices.SortFunc(members, func(a, b listed) int { return cmp.Compare(a.id, b.id) })
}

func findURL(members []listed, peerURL string) (listed, bool) {
	for _, m := range members {
		if m.peerURL == peerURL {
			return m, true
		}
	}
	return listed{}, false
}

// parseInitialCluster reads --initial-cluster, ordered by peer URL, and refuses what etcd refuses. A name that occurs
// twice, which etcd would take for one member with two URLs, is refused too.
func parseInitialCluster(cfg ProcessConfig) ([]listed, error) {
	members, local := []listed(nil), false
	for pair := range strings.SplitSeq(cfg.InitialCluster, ",") {
		name, url, ok := strings.Cut(pair, "=")
		if !ok || name == "" || url == "" {
			return nil, fmt.Errorf("invalid --initial-cluster %q", cfg.InitialCluster)
		}
		for _, m := range members {
			if m.peerURL == url || m.name == name {
				return nil, fmt.Errorf("initial cluster %s has duplicate url or name", cfg.InitialCluster)
			}
		}
		local = local || name == cfg.Name
		members = append(members, listed{name: name, peerURL: url})
	}
	if !local {
		return nil, fmt.Errorf("couldn't find local name %q in the initial cluster configuration", cfg.Name)
	}
	slices.SortFunc(members, func(a, b listed) int { return strings.Compare(a.peerURL, b.peerURL) })
	return members, nil
}
