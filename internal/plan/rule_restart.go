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

// loadTrust restarts the members whose process trusts something else than what is wanted now: etcd reads CA files only
// at its start. One at a time: those in trouble first, the leader last.
func loadTrust(w *walk) {
	c := w.c
	if c.TLS == nil || !c.Etcd.Listed {
		return
	}
	outdated := slices.DeleteFunc(w.outdated(), func(m state.Member) bool { return m.Learner || !m.Listed })
	if len(outdated) == 0 {
		return
	}
	var names []string
	for _, m := range outdated {
		names = append(names, m.Name)
	}
	m := slices.MinFunc(outdated, func(a, b state.Member) int {
		return cmp.Or(
			cmp.Compare(rank(a.Health == state.Healthy), rank(b.Health == state.Healthy)),
			cmp.Compare(rank(a.ID == c.Etcd.Leader), rank(b.ID == c.Etcd.Leader)),
			cmp.Compare(b.Slot, a.Slot),
		)
	})
	const why = "it has to load the certificate authorities that are trusted now"
	switch {
	case !c.Ephemeral():
		w.restart(m, v1alpha1.ReasonRotatingCA, why)
	case len(c.Voters()) > 1:
		// A restart would lose its data: it is replaced, and gets the data from the others.
		w.replaceHealthy(m, v1alpha1.ReasonRotatingCA, why)
	default:
		w.pend(v1alpha1.ReasonRotatingCA, "the single member keeps its data in its Pod, so it cannot load another CA: "+
			"scale to 3 for the rotation")
		return
	}
	w.block(0, v1alpha1.ReasonRotatingCA, "members restart one at a time to load the certificate authorities that are "+
		"trusted now; left: "+strings.Join(names, ", "))
}

// restart stops a voter, which is then started again on its volume by another rule. Invariant: a proven-healthy
// majority stays without it (of a single member nothing can); no other member is stopped or is about to be; the data is
// on the volume; the others will accept it.
func (w *walk) restart(m state.Member, activity, why string) {
	c := w.c
	if !w.mayStop(m, quorum.Stop, activity, why) {
		return
	}
	w.announce = true
	if voters := len(c.Voters()); voters > 1 && !budgeted(c, voters) {
		w.block(membership, activity, fmt.Sprintf("%s is to be restarted (%s): waiting until the disruption controller "+
			"observes minAvailable %d, so that no eviction comes in between", m.Name, why, voters))
		return
	}
	if c.Etcd.Leader == m.ID && len(c.Voters()) > 1 {
		w.handOver(m, activity, "restarted")
		return
	}
	w.propose(membership, DeletePod{Name: m.Name, UID: m.Pod.UID, Why: why}, activity,
		m.Name+" is restarted on its volume: "+why)
}

// replaceHealthy removes a member that serves; it is added anew by another rule.
func (w *walk) replaceHealthy(m state.Member, activity, why string) {
	if w.mayStop(m, quorum.Remove, activity, why) {
		w.remove(m, activity, why)
	}
}

// mayStop tells that a member may be stopped by our own wish: all others are healthy, ready and there to stay. What it
// waits for may be for a later rule to do, such as the addition or removal of another member, so it forbids nothing.
func (w *walk) mayStop(m state.Member, kind quorum.Kind, activity, why string) bool {
	c := w.c
	if m.Pod.Terminating || w.forbidden&membership != 0 {
		return false
	}
	wait := func(format string, args ...any) bool {
		w.block(0, activity, fmt.Sprintf("%s is to be restarted (%s), but ", m.Name, why)+fmt.Sprintf(format, args...))
		return false
	}
	if problem := obstacle(c, m); problem != "" {
		return wait("it could not start again: %s", problem)
	}
	if len(c.Voters()) < c.Replicas() {
		return wait("%d voters are wanted and there are %d", c.Replicas(), len(c.Voters()))
	}
	for _, other := range c.Voters() {
		p := other.Pod
		if other.ID != m.ID && (other.Health != state.Healthy || p == nil || !p.Ready || p.Terminating) {
			return wait("%s has to be healthy and ready first", other.Name)
		}
	}
	if verdict := w.project(kind, m.ID); !verdict.Allowed && len(c.Voters()) > 1 {
		return wait("%s", verdict.Reason)
	}
	if node, known := c.Nodes[m.Pod.Node]; known && !node.Ready && kind == quorum.Stop {
		return wait("its node %s is not ready, so that it would not come back", m.Pod.Node)
	}
	for _, other := range c.Members {
		if other.ID != m.ID && other.Pod != nil && !accepts(c.TLS, *other.Pod, state.PeerCertificate) {
			return wait("%s would not accept it, because it trusts only a CA of which there are no valid certificates any "+
				"more. Connections from before hold the members together; once no majority is left, all members are "+
				"restarted at once",
				other.Name)
		}
	}
	return true
}

// accepts tells that the Pod trusts the authority of a published certificate, or that nobody knows what it trusts, its
// ConfigMap being lost.
func accepts(t *state.TLS, p state.Pod, name state.CertificateName) bool {
	a := t.Authority(name.Side())
	if _, known := t.Trusts[p.Trust]; !known {
		return true
	}
	for _, ca := range []*state.CA{&a.Signer, a.Next, a.Previous} {
		if ca != nil && ca.ID == t.Certificates[name].Issuer {
			return t.PodTrusts(p, name.Side(), *ca)
		}
	}
	return false
}

// untrusting restarts members that trust nothing of what is published: only an authority that has expired, or whose key
// and certificates were lost. Invariant: their data is on their volumes, they can start again, and either no majority
// serves, so that stopping them takes nothing away, or only we cannot reach them, and all others are ready.
func untrusting(w *walk) {
	c := w.c
	if c.TLS == nil || c.Ephemeral() || !c.TLS.Usable() {
		return
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		a := c.TLS.Authority(side)
		if !a.Recorded || len(w.issuedByOthers(side, a)) > 0 {
			continue
		}
		for _, m := range c.Members {
			switch {
			case m.Pod == nil || m.Pod.Terminating || obstacle(c, m) != "" || c.TLS.PodTrusts(*m.Pod, side, a.Signer):
			case c.Etcd.Serving && (side == state.PeerSide || m.Health != state.Unknown || !othersReady(c, m)):
			default:
				w.propose(creation, DeletePod{Name: m.Name, UID: m.Pod.UID, Why: "it trusts nothing of what is published"},
					v1alpha1.ReasonRotatingCA, fmt.Sprintf("%s is restarted on its volume: it trusts only a %s CA of which there "+
						"are no valid certificates any more, so that nobody can connect to it", m.Name, side))
			}
		}
	}
}

// othersReady tells that Kubernetes finds all other members ready, which asks them without certificates.
func othersReady(c *state.Cluster, m state.Member) bool {
	return !slices.ContainsFunc(c.Members, func(other state.Member) bool {
		return other.ID != m.ID && !other.Learner && (other.Pod == nil || !other.Pod.Ready || other.Pod.Terminating)
	})
}
