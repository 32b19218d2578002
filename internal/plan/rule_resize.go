package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// resize brings cpu and memory of running Pods up to date: the container runs on. One at a time, and only while all
// others are healthy, because a limit that is too low ends etcd.
func resize(w *walk) {
	c := w.c
	if !c.Etcd.Listed {
		return
	}
	var wanting []state.Member
	for _, m := range c.Members {
		if wantsResize(c, m) {
			wanting = append(wanting, m)
		}
	}
	if w.tellHomeless() {
		return
	}
	resizing := slices.IndexFunc(c.Members, func(m state.Member) bool {
		return m.Pod != nil && m.Pod.Resize.Pending != "" && !m.Pod.Resize.Infeasible
	})
	if resizing >= 0 {
		m := c.Members[resizing]
		w.block(0, v1alpha1.ReasonResizing, fmt.Sprintf("waiting until the node of %s has changed its cpu and memory (%s)",
			m.Name, m.Pod.Resize.Pending))
		wanting = slices.DeleteFunc(wanting, func(other state.Member) bool { return other.ID != m.ID })
	}
	if len(wanting) == 0 {
		return
	}
	m := slices.MinFunc(wanting, func(a, b state.Member) int { return turn(c, a, b) })
	for _, other := range c.Voters() {
		if other.ID != m.ID && (other.Health != state.Healthy || !other.Pod.Ready) {
			w.block(0, v1alpha1.ReasonResizing, fmt.Sprintf("%s is to get another amount of cpu and memory, but %s has to be "+
				"healthy and ready first", m.Name, other.Name))
			return
		}
	}
	w.propose(membership, ResizePod{
		Member: m.Name, PodUID: m.Pod.UID, Template: resources.TemplateHash(resources.Applied(c.Object, m.Pod.Version)),
	}, v1alpha1.ReasonResizing, "its cpu and memory changed")
}

func wantsResize(c *state.Cluster, m state.Member) bool {
	if m.Pod == nil || m.Pod.Terminating || !m.Pod.Running {
		return false
	}
	d := resources.Compare(m.Pod.Applied, resources.Applied(c.Object, m.Pod.Version))
	return d.Resources && len(d.Recreate) == 0 && !unresizable(c, m, d)
}

// homeless tells that no node is known that could give the member the cpu and memory that is wanted: a new Pod would
// not run anywhere, and the others are not to ask for as much.
func homeless(c *state.Cluster, m state.Member) bool {
	if m.Pod == nil || m.Pod.Terminating || m.Pod.Resize.Room {
		return false
	}
	d := resources.Compare(m.Pod.Applied, resources.Applied(c.Object, m.Pod.Version))
	if len(d.Recreate) > 0 {
		return d.More && c.Nodes != nil && !slices.Contains(d.Recreate, "restartedAt")
	}
	return unresizable(c, m, d) && nodeTooSmall(m, d)
}

func whyNot(m state.Member) string {
	if m.Pod.Resize.TooLarge {
		return "refused"
	}
	return "which takes a new Pod"
}

// tellHomeless tells of a member that can neither be resized nor be created anew with what the spec asks for.
func (w *walk) tellHomeless() bool {
	for _, m := range w.c.Voters() {
		if !homeless(w.c, m) {
			continue
		}
		w.block(0, v1alpha1.ReasonResizing, fmt.Sprintf("%s runs on with the cpu and memory that it has: its node cannot "+
			"give it what the spec asks for (%s), and no node is known that has so much. Lower the requests of "+
			"podTemplate.spec.resources, or add such a node; another spec.restartedAt has Pods created anew all the same",
			m.Name, cmp.Or(m.Pod.Resize.Pending, whyNot(m))))
		return true
	}
	return false
}
