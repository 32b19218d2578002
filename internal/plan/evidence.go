package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// judge compares what is left with the voters that the newest log names.
func (e *examination) judge(c *state.Cluster, left []state.Member, reports map[uint64]state.DataReport) {
	loss := state.QuorumLoss{ClusterID: c.Latch.ClusterID}
	voters, names, broken := slices.Clone(c.Latch.Launched), memberNames(c), []string{}
	useless := map[uint64]state.Missing{}
	newest := state.DataReport{}
	for _, m := range left {
		r := reports[m.ID]
		switch why := unfitData(*m.Volume, r); {
		case why != "":
			broken = append(broken, m.Name+": "+why)
			useless[m.ID] = state.Missing{Volume: m.Volume.Name, Why: why}
			continue
		case r.Empty:
			useless[m.ID] = state.Missing{Volume: m.Volume.Name, Why: "its volume " + m.Volume.Name + " holds no data"}
			continue
		case r.ClusterID != c.Latch.ClusterID || r.MemberID != m.ID:
			e.doubt("volume %s holds data of member %x of cluster %x", m.Volume.Name, r.MemberID, r.ClusterID)
			return
		}
		loss.Survivors = append(loss.Survivors, survivor(c, m, r))
		for id, name := range r.Names {
			names[id] = name
		}
		if newer(r, newest) || loss.Chosen != 0 && !newer(newest, r) && votes(r) && !votes(newest) {
			newest, voters, loss.Chosen = r, r.Voters, m.ID
		}
	}
	switch {
	case len(loss.Survivors) == 0 && len(broken) > 0:
		e.doubt("of what is left nothing can be used (%s): repair the volume, or delete its claim when it is of no use",
			strings.Join(broken, "; "))
		return
	case len(voters) == 0:
		e.doubt("the log of the newest survivor names no voter")
		return
	}
	loss.Missing = missing(c, loss, voters, names, useless)
	for i := range loss.Missing {
		if m := &loss.Missing[i]; reports[m.MemberID].Problem != "" {
			m.Fenced = false // its log may be the newest: the user has to give it up by name
		}
	}
	unplaced := slices.IndexFunc(loss.Missing, func(m state.Missing) bool { return m.NoNode })
	if len(loss.Survivors) == 0 && unplaced >= 0 {
		e.doubt("volume %s is there, but no node for it: bring one back, or delete the claim when it is of no use",
			loss.Missing[unplaced].Volume)
		return
	}
	if len(voters)-len(loss.Missing) >= quorum.Majority(len(voters)) {
		return // those that are left are a majority: they only have to run
	}
	loss.ID = resources.LossID(loss)
	e.loss = &loss
}

// unfitData says why the data on the volume is not what the cluster can go on with; empty when it is, or when there is
// none. What another tool has put there, most often from a backup, is not what the member had written.
func unfitData(v state.Volume, r state.DataReport) string {
	switch {
	case v.Foreign():
		return fmt.Sprintf("its claim is bound to %s, but its data was on %s: another tool re-created it", v.PersistentVolume,
			v.RecordedPersistentVolume)
	case r.Problem != "":
		return "its data cannot be read: " + shortened(r.Problem)
	default:
		return ""
	}
}

// newer is raft's own order of logs: the one that no other can outvote.
func newer(r, than state.DataReport) bool {
	return cmp.Or(cmp.Compare(r.LastTerm, than.LastTerm), cmp.Compare(r.LastIndex, than.LastIndex)) > 0
}

// votes tells that the member votes at the end of its own log: else it is a learner, or was removed.
func votes(r state.DataReport) bool { return slices.Contains(r.Voters, r.MemberID) }

func survivor(c *state.Cluster, m state.Member, r state.DataReport) state.Survivor {
	return state.Survivor{
		Name: m.Name, MemberID: m.ID, Volume: m.Volume.Name, VolumeUID: m.Volume.UID,
		PersistentVolume: m.Volume.PersistentVolume, Version: salvageVersion(c, m),
		LastTerm: r.LastTerm, LastIndex: r.LastIndex, Commit: r.Commit,
	}
}

// salvageVersion is the release that reads the member's data: the wanted one, unless the data is of another minor. Even
// an upgrade that was taken back is not: where etcd's cluster version is, nobody can tell any more.
func salvageVersion(c *state.Cluster, m state.Member) string {
	if recorded := m.Volume.Version; state.Minor(recorded) != state.Minor(c.Version()) {
		return recorded
	}
	return c.Version()
}

// missing are the voters that did not survive.
func missing(
	c *state.Cluster, loss state.QuorumLoss, voters []uint64, names map[uint64]string, useless map[uint64]state.Missing,
) []state.Missing {
	var list []state.Missing
	for _, id := range voters {
		if slices.ContainsFunc(loss.Survivors, func(s state.Survivor) bool { return s.MemberID == id }) {
			continue
		}
		entry := useless[id]
		entry.MemberID, entry.Name = id, cmp.Or(names[id], resources.FormatID(id))
		if m := c.MemberByID(id); m != nil {
			entry.Node = place(*m)
			entry.Why = cmp.Or(entry.Why, goneForGood(c, *m))
			entry.NoNode = noNodeForLong(c, *m) != ""
			if m.Volume != nil {
				entry.Volume = m.Volume.Name
			}
		}
		entry.Why = cmp.Or(entry.Why, withoutTrace(c))
		entry.Fenced = fenced(c, entry.Node)
		// The user vouches for names: one must not stand for another member too, not for one that is left.
		if slices.ContainsFunc(list, func(m state.Missing) bool { return m.Name == entry.Name }) ||
			slices.ContainsFunc(loss.Survivors, func(s state.Survivor) bool { return s.Name == entry.Name }) {
			entry.Name = resources.FormatID(id)
		}
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b state.Missing) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.MemberID, b.MemberID))
	})
	return list
}

// withoutTrace is why a member is missing of which nothing is left.
func withoutTrace(c *state.Cluster) string {
	if c.Ephemeral() {
		return "its Pod is gone and its data with it"
	}
	return "its volume is gone"
}

// fenced tells that nothing runs on the node any more: it does not exist, or an administrator vouches for it.
func fenced(c *state.Cluster, node string) bool {
	n, exists := c.Nodes[node]
	return node != "" && c.Nodes != nil && (!exists || n.OutOfService)
}

// memberNames are the names that are known without reading any volume.
func memberNames(c *state.Cluster) map[uint64]string {
	names := map[uint64]string{}
	for _, in := range resources.LatchMembers(c.Object, *c.Latch) {
		names[in.MemberID] = resources.MemberName(c.Object.Name, in.Slot)
	}
	for _, m := range c.Members {
		names[m.ID] = m.Name
	}
	return names
}

// shortened keeps a message from elsewhere at a length that a record and the status bear.
func shortened(s string) string {
	const limit = 400
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
