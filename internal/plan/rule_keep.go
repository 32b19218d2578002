package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// keep adds the ensures: Services, ownership, the records of placement, and the seals.
func keep(w *walk) {
	c := w.c
	if c.Latch != nil || len(c.Members) == 0 {
		w.ensure(ApplyServices{Clients: c.Formed(), Slots: serviceSlots(c), Prune: settledSlots(c)})
	}
	w.ensure(ApplyNetworkPolicy{Wanted: c.Object.Spec.NetworkPolicy != nil})
	if ownersDiffer(c) && owned(c) {
		w.ensure(ApplyOwners{Owned: true})
	}
	w.releaseData()
	for _, m := range c.Members {
		if m.Volume != nil && m.Pod != nil && placementDiffers(m) {
			w.ensure(RecordPlacement{
				Volume: m.Volume.Name, PersistentVolume: m.Volume.PersistentVolume, Node: m.Pod.Node,
			})
		}
		if m.Pod != nil && m.Pod.Owner == "" && !m.Pod.Terminating {
			w.ensure(Adopt{Member: m.Name, PodUID: m.Pod.UID})
		}
		if m.Listed && !m.Learner && m.Sealed() && !m.Pod.Voter {
			w.ensure(MarkVoter{Member: m.Name, PodUID: m.Pod.UID})
		}
		if mayBeSealed(c, m) && !m.Sealed() {
			w.ensure(Seal{
				Member: m.Name, Incarnation: incarnation(c, m), PodUID: m.Pod.UID, Volume: volumeName(m),
				Restarts: m.Pod.Restarts,
			})
		}
	}
}

// settledSlots tells that no member is about to be replaced or moved: its Service, whose address clients know, stays
// meanwhile.
func settledSlots(c *state.Cluster) bool {
	moving := slices.ContainsFunc(c.Members, func(m state.Member) bool { return surging(c, m) })
	return c.Formed() && c.Etcd.Listed && len(c.Voters()) >= c.Replicas() && !moving
}

// serviceSlots are the slots that clients reach by a name of their own: those of the voters.
func serviceSlots(c *state.Cluster) []int {
	if !c.Formed() {
		return nil
	}
	var slots []int
	for _, m := range c.Voters() {
		slots = append(slots, m.Slot)
	}
	slices.Sort(slots)
	return slots
}

// mayBeSealed tells that the member is proven to run with its data: etcd lists its client URLs and it answers as
// itself. A member that never ran must not be sealed: it would never start.
func mayBeSealed(c *state.Cluster, m state.Member) bool {
	return m.Listed && m.Started && m.Pod != nil && !m.Pod.Terminating && c.Answers(m)
}

func placementDiffers(m state.Member) bool {
	v := m.Volume
	if m.Pod.Node == "" || v.PersistentVolume == "" || v.Foreign() {
		return false
	}
	return v.RecordedPersistentVolume == "" || v.Node != m.Pod.Node
}

// releaseData unties the volumes and the latch from the object where the spec says Retain. It is harmless at any time,
// and must not be missed: until it is done, a deletion of the object takes the data along.
func (w *walk) releaseData() {
	if owned(w.c) || !ownersDiffer(w.c) {
		return
	}
	w.ensure(ApplyOwners{Owned: false})
	w.block(0, v1alpha1.ReasonWaiting, "reclaimPolicy Retain is not in force yet: deleting the EtcdCluster now would "+
		"delete its volumes; waiting until they are untied from it")
}

// volumeNames are the claims that carry the cluster's name and are not retired.
func volumeNames(c *state.Cluster) []string {
	var names []string
	for _, m := range c.Members {
		if m.Volume != nil {
			names = append(names, m.Volume.Name)
		}
	}
	for _, v := range unretired(c.Leftovers.Volumes) {
		names = append(names, v.Name)
	}
	return names
}

func owned(c *state.Cluster) bool { return c.ReclaimPolicy() == "Delete" }

func ownersDiffer(c *state.Cluster) bool {
	want := types.UID("")
	if owned(c) {
		want = c.Object.UID
	}
	if c.Latch != nil && c.Latch.Owner != want {
		return true
	}
	for _, m := range c.Members {
		if m.Volume != nil && m.Volume.Owner != want {
			return true
		}
	}
	return slices.ContainsFunc(c.Leftovers.Volumes, func(v state.Volume) bool { return v.Owner != want })
}

func volumeName(m state.Member) string {
	if m.Volume == nil {
		return ""
	}
	return m.Volume.Name
}

// budget keeps the PodDisruptionBudget at what the voters can spare, and above it around a change of our own.
func (w *walk) budget() {
	c := w.c
	if !c.Object.DeletionTimestamp.IsZero() || c.Latch == nil || w.forbidden == everything && w.ended {
		return
	}
	if !c.Formed() {
		w.ensure(ApplyDisruptionBudget{MinAvailable: spare(c.Latch.Size)})
		return
	}
	switch {
	case w.stopping:
		w.ensure(ApplyDisruptionBudget{})
	case c.Etcd.Listed:
		w.ensure(ApplyDisruptionBudget{MinAvailable: w.minAvailable()})
	case c.Disruption == nil && len(c.Members) > 0:
		// It wakes, or somebody deleted the budget: until etcd lists the voters, all that were ever launched may be some.
		w.ensure(ApplyDisruptionBudget{MinAvailable: spare(max(len(c.Voters()), len(c.Latch.Launched)))})
	}
}

// minAvailable is the majority of the voters; of one more while a learner is about to be promoted; and all of them
// while a voter is about to be removed or restarted, until its Pod, which the budget may still count, is gone.
func (w *walk) minAvailable() int {
	voters := len(w.c.Voters())
	for _, f := range w.c.Etcd.Foreign {
		if !f.Learner {
			voters++
		}
	}
	leaving := 0
	for _, p := range w.c.Leftovers.Pods {
		if p.Voter {
			leaving++
		}
	}
	switch {
	case leaving > 0:
		return voters + leaving
	case w.announce, ending(w.c) && w.c.Disruption != nil && w.c.Disruption.MinAvailable == voters:
		return voters
	case w.promoting:
		return spare(voters + 1)
	case teaching(w.c):
		return 1
	default:
		return spare(voters)
	}
}

// spare is the majority that a budget protects; a single member gets no budget, which would block drains for ever.
func spare(voters int) int {
	if voters <= 1 {
		return 0
	}
	return quorum.Majority(voters)
}

// budgeted tells that the disruption controller has seen the budget with this minimum and that no eviction it
// granted is still pending.
func budgeted(c *state.Cluster, minAvailable int) bool {
	if minAvailable == 0 {
		return true
	}
	d := c.Disruption
	return d != nil && d.Observed && d.MinAvailable == minAvailable
}
