package state

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// DataReport is what the data directory of a member tells about itself. It is the termination message of an inspection,
// in JSON.
type DataReport struct {
	// Empty tells that there is no write-ahead log: the data was wiped.
	Empty bool `json:"empty,omitempty"`
	// Problem tells why the log cannot be read; the other fields mean nothing then.
	Problem string `json:"problem,omitempty"`
	// ClusterID and MemberID of the member that wrote the log.
	ClusterID uint64 `json:"clusterID,omitempty"`
	MemberID  uint64 `json:"memberID,omitempty"`
	// Term and Commit that the member recorded last.
	Term   uint64 `json:"term,omitempty"`
	Commit uint64 `json:"commit,omitempty"`
	// LastTerm and LastIndex of the last entry of the log, by which raft compares logs.
	LastTerm  uint64 `json:"lastTerm,omitempty"`
	LastIndex uint64 `json:"lastIndex,omitempty"`
	// Voters at the end of the log.
	Voters []uint64 `json:"voters,omitempty"`
	// Names of members by their IDs, as far as they could be read.
	Names map[uint64]string `json:"names,omitempty"`
}

// DataDigest sums up the keys of a database at its newest revision.
type DataDigest struct {
	Revision int64 `json:"revision"`
	Keys     int   `json:"keys"`
	// Hash over all keys with their values and leases.
	Hash string `json:"hash"`
}

// SalvageReport is what came of a salvage: the termination message of its Pod, in JSON.
type SalvageReport struct {
	// QuorumLossID of the loss that the data was salvaged from.
	QuorumLossID string `json:"quorumLossID"`
	// Digest of what was found, and seen again in what it was restored to.
	Digest DataDigest `json:"digest"`
}

// QuorumLoss is the proof that a majority of the voters has lost its data for ever, and what could be done.
type QuorumLoss struct {
	// ID is a hash over ClusterID and the evidence: consent to one loss is no consent to another.
	ID        string `json:"id"`
	ClusterID uint64 `json:"clusterID"`
	// Survivors are members whose data is there, in the order of their slots.
	Survivors []Survivor `json:"survivors,omitempty"`
	// Missing are voters whose data is not there, or cannot be read.
	Missing []Missing `json:"missing"`
	// Chosen is the ID of the survivor whose log is the newest; 0 when nothing is left.
	Chosen uint64 `json:"chosen,omitempty"`
}

// Survivor is a member whose data is there.
type Survivor struct {
	Name     string `json:"name"`
	MemberID uint64 `json:"memberID"`
	// Volume is its claim, and PersistentVolume what that is bound to.
	Volume           string    `json:"volume"`
	VolumeUID        types.UID `json:"volumeUID"`
	PersistentVolume string    `json:"persistentVolume,omitempty"`
	// Version of etcd that can read it.
	Version   string `json:"version"`
	LastTerm  uint64 `json:"lastTerm"`
	LastIndex uint64 `json:"lastIndex"`
	Commit    uint64 `json:"commit"`
}

// Missing is a voter whose data is not there.
type Missing struct {
	// Name of the member, or its ID when the name is not known.
	Name     string `json:"name"`
	MemberID uint64 `json:"memberID"`
	// Node on which it last ran; empty when that is not known.
	Node string `json:"node,omitempty"`
	// Fenced tells that the node does not exist any more or is out of service: nothing of the member can run there.
	Fenced bool `json:"fenced,omitempty"`
	// Volume that is there but of no use; empty when there is none.
	Volume string `json:"volume,omitempty"`
	// NoNode tells that the volume is there, but no node to which it can be attached.
	NoNode bool `json:"noNode,omitempty"`
	// Why its data is taken for lost, as a sentence part.
	Why string `json:"why"`
}

// ChosenSurvivor is the survivor whose data is taken; nil when nothing is left.
func (l QuorumLoss) ChosenSurvivor() *Survivor {
	i := slices.IndexFunc(l.Survivors, func(s Survivor) bool { return s.MemberID == l.Chosen })
	if i < 0 {
		return nil
	}
	return &l.Survivors[i]
}

// Inspection is a Pod that reads, or has read, the data on a volume.
type Inspection struct {
	Pod       string
	UID       types.UID
	Volume    string
	VolumeUID types.UID
	// Confirms is the token of the new cluster (Recovery.To) when it was made after all Pods of the lost one had ended;
	// empty else.
	Confirms string
	// At is when it ended; zero while it has not.
	At time.Time
	// Report is what it has read; nil before it ended well.
	Report      *DataReport
	Terminating bool
	// Created is when Kubernetes accepted it. Finished tells that its containers ended and will not be started again.
	Created  time.Time
	Finished bool
	// Spec names what the Pod was made from.
	Spec string
	// Waiting is why there is no report yet, in the words of Kubernetes.
	Waiting string
}

// Recovery is the record of a recovery from a lost quorum, and how far it has come.
type Recovery struct {
	// UID and ResourceVersion of the object that holds the record.
	UID             types.UID
	ResourceVersion string
	Object          string
	// Loss as it was consented to.
	Loss QuorumLoss
	// Confirmed are the missing members for which the user vouches that they never come back.
	Confirmed []string
	// From is the token of the cluster that was lost, To that of the one that takes its place.
	From, To string
	// Generation and Size of the new cluster's bootstrap; Version of its etcd.
	Generation int64
	Size       int
	Version    string
	// Finished tells that the new cluster serves.
	Finished bool

	// Volume of the new cluster, onto which the data is salvaged; nil when there is none yet.
	Volume *Volume
	// Salvage is the Pod that does it; nil when there is none.
	Salvage *Salvage
	// Former are the volumes of the lost cluster that are not marked as kept aside yet, once the latch is the new one's.
	Former []Volume
}

// Salvage is the Pod that brings the data of the lost cluster onto the volume of the new one.
type Salvage struct {
	Pod         string
	UID         types.UID
	Terminating bool
	// Created and Finished as those of an Inspection.
	Created  time.Time
	Finished bool
	// Spec names what the Pod was made from.
	Spec string
	// Report is what it has done; nil before it ended well.
	Report *SalvageReport
	// Waiting is why it has not, in the words of Kubernetes or of the last attempt.
	Waiting string
}

// Switched tells that the latch is the new cluster's, whose bootstrap may have had to start again when it began empty.
func (r *Recovery) Switched(l *Latch) bool { return l != nil && Lineage(l.Token) == Lineage(r.To) }

// Underway is the recovery whose new cluster has not taken the lost one's place; nil when there is none.
func (c *Cluster) Underway() *Recovery {
	for _, r := range c.Recoveries {
		if c.Latch != nil && r.From == c.Latch.Token {
			return r
		}
	}
	return nil
}
