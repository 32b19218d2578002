package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// hibernate stops all members by the user's wish: followers first, and the leader, which holds every acknowledged
// write, when the others have ended. A majority is given up on purpose, so no projection is asked. Invariant: each
// member that is stopped has its data on a volume that is its own and stays, so that it can start again as the same
// member; no change of the membership is in flight. While it holds, nothing is repaired: quorum lost, replacement and
// missing Pods are rules that come later.
func hibernate(w *walk) {
	c := w.c
	switch {
	case !c.Hibernated():
		return
	case c.Etcd.Listed && c.Learner() != nil:
		// The rule about learners promotes or removes it, and forbids all other changes meanwhile.
		w.block(0, v1alpha1.ReasonHibernating, "waiting until learner "+c.Learner().Name+" is promoted or removed, before "+
			"the members are stopped")
		return
	case c.Etcd.Listed && len(c.Leftovers.Pods) > 0:
		// Its end is waited for by the rule about removals.
	case !c.Etcd.Listed && majorityReady(c):
		w.block(0, v1alpha1.ReasonHibernating, "a majority of the Pods is ready, but etcd's member list cannot be read ("+
			c.Etcd.Err+"): waiting for it, because a change of the membership may have to be finished before the members are "+
			"stopped")
	default:
		w.resumeUnwanted(0)
		w.stopAll()
	}
	w.end()
}

// majorityReady tells that the kubelets find what may be a majority ready, so that only we cannot reach it. While
// etcd's list cannot be read, one of an even number may be a learner.
func majorityReady(c *state.Cluster) bool {
	ready, voters := 0, len(c.Voters())
	if !c.Etcd.Listed && voters%2 == 0 {
		voters--
	}
	for _, m := range c.Voters() {
		if m.Pod != nil && m.Pod.Ready && !m.Pod.Terminating {
			ready++
		}
	}
	return ready > 0 && ready >= quorum.Majority(voters)
}

// stopAll stops one member after the other, and waits for the end of their Pods.
func (w *walk) stopAll() {
	c := w.c
	running, ending := w.toStop()
	if len(running) > 0 && (w.d.Step != nil || w.forbidden&creation != 0) {
		return // something else comes first, or what has been told above is in the way
	}
	var problems []string
	running = slices.DeleteFunc(running, func(m state.Member) bool {
		problem := unfitForSleep(c, m)
		if problem != "" {
			problems = append(problems, m.Name+": "+problem)
		}
		return problem != ""
	})
	if len(problems) > 0 {
		w.block(0, v1alpha1.ReasonHibernating, "not stopped: "+strings.Join(problems, "; "))
		if c.Etcd.Listed {
			return // a majority serves: it is not given up before all can sleep
		}
	}
	w.stopping = true
	switch {
	case len(running) > 1 || len(running) == 1 && len(ending) == 0:
		m := slices.MinFunc(running, w.stopsBefore)
		w.propose(creation, DeletePod{Name: m.Name, UID: m.Pod.UID, Why: "the cluster is hibernated"},
			v1alpha1.ReasonHibernating, "spec.hibernated is set; its volume is kept")
	case len(ending) > 0:
		w.block(0, v1alpha1.ReasonHibernating, "waiting until these Pods have ended: "+strings.Join(ending, "; "))
	case len(problems) == 0:
		w.asleep()
	}
}

// toStop are the members that run, and the names of the Pods that are about to end; among them, while etcd's list
// cannot be read any more, those of members whose removal was recorded.
func (w *walk) toStop() (running []state.Member, ending []string) {
	c := w.c
	for _, m := range c.Members {
		switch {
		case m.Pod == nil:
		case m.Pod.Terminating:
			ending = append(ending, m.Name+onNode(c, m.Pod.Node))
		default:
			running = append(running, m)
		}
	}
	for _, p := range c.Leftovers.Pods {
		// No claim that could ever be started names its member: it was retired, or is of a bootstrap that failed.
		if !p.Terminating {
			w.propose(creation, DeletePod{Name: p.Name, UID: p.UID, Why: "the cluster is hibernated"},
				v1alpha1.ReasonHibernating, "its member was removed")
		}
		ending = append(ending, p.Name+onNode(c, p.Node))
	}
	return running, ending
}

// stopsBefore orders the members: the leader last or, once there is none any more, the one that applied most; else from
// the highest slot down.
func (w *walk) stopsBefore(a, b state.Member) int {
	leader := w.c.Etcd.Leader
	order := cmp.Or(cmp.Compare(rank(a.ID == leader), rank(b.ID == leader)), cmp.Compare(b.Slot, a.Slot))
	if leader == 0 {
		return cmp.Or(cmp.Compare(a.Probe.Applied, b.Probe.Applied), order)
	}
	return order
}

// unfitForSleep says why the member's Pod must not be stopped now: its data would go, or it would not be known that it
// must never start empty. Empty when nothing is in the way.
func unfitForSleep(c *state.Cluster, m state.Member) string {
	switch v := m.Volume; {
	case v == nil:
		return "its volume claim cannot be found, so that its Pod could not be created again on it. Remove spec.hibernated " +
			"until it is mended"
	case v.Terminating:
		return fmt.Sprintf("its volume claim %s is being deleted, and goes with its last Pod. Remove spec.hibernated until "+
			"the member is replaced", v.Name)
	case v.Vanishing() != "":
		return v.Vanishing() + ", so that only its Pod holds the data. Remove spec.hibernated until the member is replaced"
	case v.Retired, v.Foreign():
		return fmt.Sprintf("its volume claim %s is not its own any more", v.Name)
	case c.Etcd.Listed && m.Pod.Running && !m.Sealed():
		return "it has just started: waiting until that is recorded, so that it never starts empty"
	default:
		return ""
	}
}

// asleep says that everything has ended, and what waits for the end of the sleep.
func (w *walk) asleep() {
	c := w.c
	w.d.Asleep = "hibernated: no Pod runs and the volumes are kept; remove spec.hibernated to wake the cluster"
	if voters := len(c.Voters()); voters != c.Replicas() {
		w.d.Asleep += fmt.Sprintf(". %d voters are wanted and there are %d: that changes once it is awake",
			c.Replicas(), voters)
	}
}
