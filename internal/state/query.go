package state

import (
	"fmt"
	"slices"
)

// Voters are the voting members, listed or (while the list is not known) meant.
func (c *Cluster) Voters() []Member {
	return slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.Learner })
}

// Learner is the member that is listed as a learner; nil when there is none. etcd lists one at most (--max-learners).
func (c *Cluster) Learner() *Member {
	for i := range c.Members {
		if c.Members[i].Learner {
			return &c.Members[i]
		}
	}
	return nil
}

// DowngradeTarget is the minor to which a member that can be reached shows a downgrade enabled; empty when none does.
func (c *Cluster) DowngradeTarget() string {
	for _, m := range c.Members {
		if c.Answers(m) && m.Probe.DowngradeTarget != "" {
			return m.Probe.DowngradeTarget
		}
	}
	return ""
}

// MemberByID finds a member; nil when there is none.
func (c *Cluster) MemberByID(id uint64) *Member {
	for i := range c.Members {
		if c.Members[i].ID == id {
			return &c.Members[i]
		}
	}
	return nil
}

// Remembered tells that etcd lists a member of this ID, also one with another peer URL than it should have, or that
// there is a Pod of it, or a volume that is not retired.
func (c *Cluster) Remembered(id uint64) bool {
	return c.MemberByID(id) != nil ||
		slices.ContainsFunc(c.Etcd.Foreign, func(m ForeignMember) bool { return m.ID == id }) ||
		slices.ContainsFunc(c.Leftovers.Pods, func(p Pod) bool { return p.MemberID == id }) ||
		slices.ContainsFunc(c.Leftovers.Volumes, func(v Volume) bool { return v.MemberID == id && !v.Retired })
}

// LeaderName is the name of the member that leads; empty when there is none.
func (c *Cluster) LeaderName() string {
	if m := c.MemberByID(c.Etcd.Leader); m != nil && c.Etcd.Leader != 0 {
		return m.Name
	}
	return ""
}

// AllVotersHealthy tells whether every voter is proven healthy.
func (c *Cluster) AllVotersHealthy() bool {
	for _, m := range c.Members {
		if !m.Learner && m.Health != Healthy {
			return false
		}
	}
	return len(c.Members) > 0
}

// Held tells whether an object of this name exists that the cluster cannot use: another owner's, or one whose records
// cannot be read. It is not missing.
func (c *Cluster) Held(kind, name string) bool {
	return slices.ContainsFunc(c.Leftovers.Foreign, func(o ForeignObject) bool { return o.Kind == kind && o.Name == name })
}

// SlotHeld tells whether a Pod of another incarnation holds the slot's name.
func (c *Cluster) SlotHeld(slot int) bool {
	return slices.ContainsFunc(c.Leftovers.Pods, func(p Pod) bool { return p.Slot == slot })
}

// SlotOccupied tells whether a member, or a Pod of whatever incarnation or owner, holds the slot.
func (c *Cluster) SlotOccupied(slot int) bool {
	return c.SlotHeld(slot) || c.Held("Pod", fmt.Sprintf("%s-%d", c.Object.Name, slot)) ||
		slices.ContainsFunc(c.Members, func(m Member) bool { return m.Slot == slot })
}

// FreeSlot is the lowest slot that nothing holds, of those first whose member Service exists: clients know that name.
func (c *Cluster) FreeSlot() int {
	known := slices.Sorted(slices.Values(c.MemberServices))
	if i := slices.IndexFunc(known, func(slot int) bool { return !c.SlotOccupied(slot) }); i >= 0 {
		return known[i]
	}
	for slot := 0; ; slot++ {
		if !c.SlotOccupied(slot) {
			return slot
		}
	}
}
