package plan

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// requested tells that a person asked for the replacement of this very incarnation: the new one has another ID, so that
// it happens once.
func requested(c *state.Cluster, m state.Member) bool {
	id, err := resources.ParseID(c.Object.Annotations[v1alpha1.AnnotationReplaceMember])
	return err == nil && id != 0 && id == m.ID
}

// requests answers to what a person asked for and cannot have.
func requests(w *walk) {
	c := w.c
	asked := c.Object.Annotations[v1alpha1.AnnotationReplaceMember]
	if asked == "" || !c.Etcd.Listed {
		return
	}
	id, err := resources.ParseID(asked)
	switch m := c.MemberByID(id); {
	case err != nil:
		w.block(0, v1alpha1.ReasonInvalidSpec, fmt.Sprintf("the annotation %s is refused: %q is no member ID. Set it to one "+
			"of %s, or remove it", v1alpha1.AnnotationReplaceMember, asked, memberIDs(c)))
	case m == nil:
		w.pend(v1alpha1.ReasonAsSpecified, fmt.Sprintf("the annotation %s names %s, which is no member, or none any more: "+
			"remove it, or set it to one of %s", v1alpha1.AnnotationReplaceMember, asked, memberIDs(c)))
	case hopeless(c, *m): // it is replaced once all others are healthy
	case m.Health == state.Unknown:
		w.block(0, v1alpha1.ReasonMovingMember, fmt.Sprintf("%s is to be replaced, as a person asked, but it %s: waiting "+
			"until it can be told whether it is healthy", m.Name, m.Reason))
	case m.Health == state.Unhealthy && lossOf(c, *m).why == "":
		// What runs and may be needed is not removed for trouble that may pass.
		w.block(0, v1alpha1.ReasonMovingMember, fmt.Sprintf("%s is to be replaced, as a person asked, but it %s: waiting "+
			"until it is healthy, or not ready for %s", m.Name, m.Reason, requestPatience))
	}
}

// memberIDs lists the members with their IDs.
func memberIDs(c *state.Cluster) string {
	var list []string
	for _, m := range c.Members {
		list = append(list, fmt.Sprintf("%s (%s)", resources.FormatID(m.ID), m.Name))
	}
	return strings.Join(list, ", ")
}

// preferredLeader hands the leadership to the member that a person prefers, when there is nothing else to do.
func preferredLeader(w *walk) {
	c := w.c
	name := c.Object.Annotations[v1alpha1.AnnotationPreferredLeader]
	if name == "" || !c.Etcd.Listed || c.Etcd.Leader == 0 || c.LeaderName() == name {
		return
	}
	var to *state.Member
	var names []string
	for _, m := range c.Voters() {
		names = append(names, m.Name)
		if m.Name == name {
			to = &m
		}
	}
	if to == nil {
		w.pend(v1alpha1.ReasonAsSpecified, fmt.Sprintf("the annotation %s names %q, which is no voter: set it to one of %s, "+
			"or remove it", v1alpha1.AnnotationPreferredLeader, name, strings.Join(names, ", ")))
		return
	}
	if w.d.Step != nil || len(w.d.Blocked) > 0 || !c.AllVotersHealthy() {
		return
	}
	if to.Pod.Terminating || !to.Pod.Ready || to.Retiring() || leaving(c, to.Pod.Node) {
		w.pend(v1alpha1.ReasonMovingLeader, name+" does not lead as a person asked: it, or its node, is about to stop")
		return
	}
	w.propose(membership, MoveLeader{From: c.LeaderName(), To: name, FromID: c.Etcd.Leader, ToID: to.ID},
		v1alpha1.ReasonMovingLeader, "a person prefers it")
}

// leaving tells that the node is about to be drained, or not to be relied on.
func leaving(c *state.Cluster, node string) bool {
	n, exists := c.Nodes[node]
	return exists && (n.Unschedulable || n.OutOfService || !n.Ready)
}
