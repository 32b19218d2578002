package state

// Peer is what the leader's connections tell of a member (etcd's metric etcd_network_active_peers).
type Peer int

const (
	// PeerUnknown was not asked for, or the leader could not be asked.
	PeerUnknown Peer = iota
	// PeerInactive is a member from which the leader hears nothing.
	PeerInactive
	// PeerActive is a member that the leader is connected to: it runs.
	PeerActive
)

// Hash of a member's data. Two members agree when all of it is equal.
type Hash struct {
	// Value is the hash of the keys up to Revision, without those that were compacted away up to Compacted.
	Value     uint32
	Revision  int64
	Compacted int64
}

// Agreeing is the largest number of voters whose hashes are equal, without those that an alarm calls corrupt.
func (c *Cluster) Agreeing() int {
	votes, most := map[Hash]int{}, 0
	for _, m := range c.Voters() {
		if m.Hash == nil || c.CalledCorrupt(m.ID) {
			continue
		}
		votes[*m.Hash]++
		most = max(most, votes[*m.Hash])
	}
	return most
}

// CalledCorrupt tells that an alarm calls the member's data corrupt.
func (c *Cluster) CalledCorrupt(id uint64) bool {
	for _, a := range c.Etcd.Alarms {
		if a.Type == "CORRUPT" && a.ID == id && id != 0 {
			return true
		}
	}
	return false
}
