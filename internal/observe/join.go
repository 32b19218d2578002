package observe

import (
	"cmp"
	"errors"
	"slices"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// join makes members of what was read and answered. Where etcd's list is known it is the truth; before the first
// quorum the latch is; else the volumes that are not retired (or, with ephemeral storage, the Pods) are.
func join(c *state.Cluster, o objects, a answers) {
	c.Etcd = a.etcd
	o = recovered(c, o)
	o = ofLineage(c, o)
	switch {
	case c.Latch == nil:
		// Without the latch nothing tells which cluster's list this is.
		c.Etcd.Listed = false
		membersOfData(c, o, newestGeneration(o))
	case !c.Latch.Formed:
		membersOfLatch(c, a.list)
	case c.Etcd.Listed:
		membersOfList(c, a.list)
	default:
		membersOfData(c, o, c.Latch.Generation)
	}
	attach(c, o)
	for i := range c.Members {
		m := &c.Members[i]
		m.Launched = c.Latch != nil && slices.Contains(c.Latch.Launched, m.ID)
		if m.Pod == nil {
			continue
		}
		m.Probe = a.probes[m.Pod.UID]
		if h, known := a.hashes[m.Pod.UID]; known && m.Probe.MemberID == m.ID {
			m.Hash = &h
		}
		judgeAnswer(c, m)
	}
	slices.SortFunc(c.Members, func(a, b state.Member) int { return cmp.Compare(a.Slot, b.Slot) })
	slices.SortFunc(c.Leftovers.Foreign, func(a, b state.ForeignObject) int {
		return cmp.Compare(a.String(), b.String())
	})
}

// judgeAnswer drops what somebody else answers: the address of a Pod whose node is gone may have been given to another
// Pod, of this cluster or of another one.
func judgeAnswer(c *state.Cluster, m *state.Member) {
	foreign := c.Etcd.ClusterID != 0 && m.Probe.ClusterID != c.Etcd.ClusterID
	switch certain := m.Pod.Ready && !m.Pod.Terminating; {
	case !m.Probe.Answered:
	case foreign && certain:
		c.Etcd.WrongClusterID = append(c.Etcd.WrongClusterID, m.Name)
	case foreign:
		m.Probe = state.Probe{Err: "another cluster answers at its address"}
	case m.Probe.MemberID != m.ID && !certain:
		m.Probe = state.Probe{Err: "another member answers at its address"}
	}
}

// membersOfLatch takes the members that the bootstrap starts; the list, when there is one, tells which have started.
func membersOfLatch(c *state.Cluster, list []etcd.Member) {
	for _, in := range resources.LatchMembers(c.Object, *c.Latch) {
		m := state.Member{Slot: in.Slot, Name: resources.MemberName(c.Object.Name, in.Slot), ID: in.MemberID}
		for _, l := range list {
			if l.ID == m.ID {
				m.Listed, m.Started, m.Learner = true, l.Started(), l.Learner
			}
		}
		c.Members = append(c.Members, m)
	}
}

// membersOfList takes the members that etcd lists, by their peer URLs. A name proves nothing.
func membersOfList(c *state.Cluster, list []etcd.Member) {
	for _, l := range list {
		slot, ok := -1, false
		if len(l.PeerURLs) == 1 {
			slot, ok = resources.ParsePeerURL(c.Object, l.PeerURLs[0])
		}
		if !ok {
			c.Etcd.Foreign = append(c.Etcd.Foreign, state.ForeignMember{ID: l.ID, PeerURLs: l.PeerURLs, Learner: l.Learner})
			continue
		}
		c.Members = append(c.Members, state.Member{
			Slot: slot, Name: resources.MemberName(c.Object.Name, slot), ID: l.ID,
			Listed: true, Learner: l.Learner, Started: l.Started(),
		})
	}
}

// membersOfData takes the incarnations of the generation whose data is there and is not retired.
func membersOfData(c *state.Cluster, o objects, generation int64) {
	seen := map[uint64]bool{}
	add := func(slot int, id uint64) {
		if !seen[id] {
			seen[id] = true
			c.Members = append(c.Members, state.Member{Slot: slot, Name: resources.MemberName(c.Object.Name, slot), ID: id})
		}
	}
	for _, v := range o.volumes {
		if !v.Retired && v.Generation == generation {
			add(v.Slot, v.MemberID)
		}
	}
	for _, p := range o.pods {
		if p.Volume == "" && p.Generation == generation {
			add(p.Slot, p.MemberID)
		}
	}
}

func newestGeneration(o objects) int64 {
	newest := int64(0)
	for _, v := range o.volumes {
		if !v.Retired {
			newest = max(newest, v.Generation)
		}
	}
	for _, p := range o.pods {
		if p.Volume == "" {
			newest = max(newest, p.Generation)
		}
	}
	return newest
}

// ofLineage leaves out what another cluster of the same name left: restored or copied objects, whose members no list of
// this cluster can speak of. They are reported, and left alone.
func ofLineage(c *state.Cluster, o objects) objects {
	if c.Latch == nil {
		return o
	}
	var own objects
	for _, v := range o.volumes {
		switch {
		case state.Lineage(v.Token) == state.Lineage(c.Latch.Token):
			own.volumes = append(own.volumes, v)
		case !v.Retired:
			foreign(c, "PersistentVolumeClaim", v.Name, errOtherLineage)
		}
	}
	for _, p := range o.pods {
		if state.Lineage(p.Token) == state.Lineage(c.Latch.Token) {
			own.pods = append(own.pods, p)
		} else {
			foreign(c, "Pod", p.Name, errOtherLineage)
		}
	}
	return own
}

// errOtherLineage is the problem of data that a restore or a copy brought.
var errOtherLineage = errors.New("it holds data of another bootstrap than the ConfigMap of the latch records: it is " +
	"left alone; delete it, or delete the EtcdCluster and the ConfigMap to resume it instead")

// attach gives every Pod and volume to the member of its incarnation; what is left over belongs to none.
func attach(c *state.Cluster, o objects) {
	for _, v := range o.volumes {
		if m := c.MemberByID(v.MemberID); m != nil && m.Slot == v.Slot {
			m.Volume = &v
		} else if !listedElsewhere(c, v.MemberID) {
			c.Leftovers.Volumes = append(c.Leftovers.Volumes, v)
		}
	}
	for _, p := range o.pods {
		if m := c.MemberByID(p.MemberID); m != nil && m.Slot == p.Slot {
			m.Pod = &p
		} else if !listedElsewhere(c, p.MemberID) {
			c.Leftovers.Pods = append(c.Leftovers.Pods, p)
		}
	}
}

// listedElsewhere tells that etcd lists the ID at a peer URL that is not the slot's: somebody moved it. What it runs on
// is no leftover.
func listedElsewhere(c *state.Cluster, id uint64) bool {
	elsewhere := func(f state.ForeignMember) bool { return f.ID == id }
	return c.MemberByID(id) != nil || slices.ContainsFunc(c.Etcd.Foreign, elsewhere)
}
