package state

import (
	"crypto/sha1" //nolint:gosec // etcd derives its IDs with SHA-1; nothing is protected by it
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// BootstrapMemberID is the member ID that etcd gives a member at bootstrap: it depends on the peer URL and the token
// only (etcd server/etcdserver/api/membership/member.go, computeMemberID without a time).
func BootstrapMemberID(peerURL, token string) uint64 {
	return idOf([]byte(peerURL + token))
}

// BootstrapClusterID is the cluster ID that etcd derives from the members that bootstrap it
// (etcd server/etcdserver/api/membership/cluster.go, genID).
func BootstrapClusterID(memberIDs []uint64) uint64 {
	sorted := slices.Clone(memberIDs)
	slices.Sort(sorted)
	b := make([]byte, 0, 8*len(sorted))
	for _, id := range sorted {
		b = binary.BigEndian.AppendUint64(b, id)
	}
	return idOf(b)
}

// Token is etcd's --initial-cluster-token of a bootstrap: the lineage, which all generations of one latch share, and
// the generation.
func Token(lineage string, generation int64) string {
	return fmt.Sprintf("%s-%d", lineage, generation)
}

// Lineage of a token: data of another lineage comes from another cluster, also when it bears this one's name.
func Lineage(token string) string {
	if i := strings.LastIndexByte(token, '-'); i > 0 {
		return token[:i]
	}
	return token
}

func idOf(b []byte) uint64 {
	sum := sha1.Sum(b) //nolint:gosec // see the import
	return binary.BigEndian.Uint64(sum[:8])
}

// InitialCluster renders etcd's --initial-cluster from members in the order of their slots.
func InitialCluster(members []InitialMember) string {
	parts := make([]string, 0, len(members))
	for _, m := range members {
		parts = append(parts, m.Name+"="+m.PeerURL)
	}
	return strings.Join(parts, ",")
}

// InitialMember is an entry of --initial-cluster.
type InitialMember struct {
	Name    string
	PeerURL string
}

// Incarnation is one member ID plus one volume: what a Pod and its volume are made for, and record.
type Incarnation struct {
	// Slot is the number in the member's name.
	Slot int
	// Generation and Token of the bootstrap that the cluster comes from, and the Size of that bootstrap.
	Generation int64
	Token      string
	Size       int
	// BootstrapList is the --initial-cluster of the bootstrap; empty for a member that joined later.
	BootstrapList string
	ClusterID     uint64
	MemberID      uint64
	PeerURL       string
	// Version of etcd to run.
	Version string
	// Surge tells that the member is added beyond the wanted number of voters, to stand in for members that are moved.
	Surge bool
	// VolumeSize is what the incarnation's claim asks for when it is made, and QuotaSize the volume size from which the
	// default quota of its database follows, both in bytes; 0 stands for what the spec says.
	VolumeSize int64
	QuotaSize  int64
	// Quota of its database, in bytes, where another than the spec's is to be given; else 0.
	Quota int64
	// SizeInSpec is what the claim records as Volume.SizeInSpec, in bytes; 0 stands for what the spec says.
	SizeInSpec int64
}

// Start is how a Pod starts its etcd.
type Start struct {
	// InitialCluster is etcd's --initial-cluster. Ignored by etcd when the data directory holds a write-ahead log.
	InitialCluster string
	// Existing renders --initial-cluster-state=existing, else new.
	Existing bool
	// Sealed tells that InitialCluster is the member itself only and Existing is set, because the incarnation ran.
	Sealed bool
	// Voter puts the voter label on the Pod, which the PodDisruptionBudget counts.
	Voter bool
	// IPv6 listens on [::] instead of 0.0.0.0.
	IPv6 bool
	// Trust is the ConfigMap with the CAs that the member trusts, and Certificates the revision of the certificates
	// that it finds at its start; both are empty when it speaks plain text.
	Trust        string
	Certificates string
	// AnyPeerName starts it without a demand on the common names of its peers; see TLS.AnyPeerName.
	AnyPeerName bool
	// Node pins the Pod to a node; empty leaves it to the scheduler.
	Node string
}
