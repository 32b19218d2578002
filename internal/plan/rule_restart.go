package plan

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// restart stops a voter, which is then started again on its volume by another rule. Invariant: a proven-healthy
// majority stays without it (of a single member nothing can); no other member is stopped or is about to be; the data is
// on the volume; the others will accept it.
func (w *walk) restart(m state.Member, activity, why string) {
	if !w.mayInterrupt(m, activity, why) {
		return
	}
	step := DeletePod{Name: m.Name, UID: m.Pod.UID, Why: why}
	if version, _ := target(w.c, m); m.Volume != nil && m.Volume.Version != version {
		step.Volume, step.Version = m.Volume.Name, version
	}
	w.propose(membership, step, activity, m.Name+" is restarted on its volume: "+why)
}

// mayInterrupt tells that a voter may be stopped now to start again: it is permitted, announced to Kubernetes, and the
// member does not lead. What is missing is proposed or waited for.
func (w *walk) mayInterrupt(m state.Member, activity, why string) bool {
	c := w.c
	if !w.mayStop(m, quorum.Stop, activity, why) {
		return false
	}
	w.announce = true
	if voters := len(c.Voters()); voters > 1 && !budgeted(c, voters) {
		w.block(membership, activity, fmt.Sprintf("%s is to be restarted (%s): waiting until the disruption controller "+
			"observes minAvailable %d, so that no eviction comes in between", m.Name, why, voters))
		return false
	}
	if handsOver(c, m) {
		w.handOver(m, activity, "restarted")
		return false
	}
	return true
}

// fates are what becomes of a member that may be stopped, by the kind of the change.
var fates = map[quorum.Kind]string{quorum.Stop: "restarted", quorum.Remove: "replaced"}

// mayStop tells that a member may be stopped by our own wish: all others are healthy, ready and there to stay. What it
// waits for may be for a later rule to do, such as the addition or removal of another member, so it forbids nothing.
func (w *walk) mayStop(m state.Member, kind quorum.Kind, activity, why string) bool {
	c := w.c
	if m.Pod != nil && m.Pod.Terminating || w.forbidden&membership != 0 {
		return false
	}
	wait := func(format string, args ...any) bool {
		w.block(0, activity, fmt.Sprintf("%s is to be %s (%s), but ", m.Name, fates[kind], why)+fmt.Sprintf(format, args...))
		return false
	}
	if kind == quorum.Stop {
		if problem := returnProblem(c, m); problem != "" {
			return wait("%s", problem)
		}
	}
	if len(c.Voters()) < c.Replicas() && !quotaReached(c) && !refuses(c, m) {
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
	if name := rejecting(c, m); name != "" {
		return wait("%s would not accept it, because it trusts only a CA of which there are no valid certificates any "+
			"more. Connections from before hold the members together; once no majority is left, all members are restarted "+
			"at once", name)
	}
	return true
}

// rejecting names another member that would not accept this one once it has started again.
func rejecting(c *state.Cluster, m state.Member) string {
	for _, other := range c.Members {
		if other.ID != m.ID && other.Pod != nil && !admits(c, *other.Pod) {
			return other.Name
		}
	}
	return ""
}

// admits tells that the process in the Pod accepts the peer certificate of a member that starts now.
func admits(c *state.Cluster, p state.Pod) bool {
	return c.TLS == nil || accepts(c.TLS, p, state.PeerCertificate) && !expiredForGood(c, state.PeerCertificate)
}

// returnProblem says why a member that is stopped would not come back; empty when it would.
func returnProblem(c *state.Cluster, m state.Member) string {
	if problem := obstacle(c, m); problem != "" {
		problem = "it could not start again: " + problem
		if hopeless(c, m) {
			problem += ". To have it replaced instead, run " + askCommand(c, m)
		}
		return problem
	}
	switch node, known := c.Nodes[m.Pod.Node]; {
	case m.Volume != nil && m.Volume.Disk != nil && m.Volume.Disk.Unfit:
		return "its volume cannot be attached to any node that spec.podTemplate admits, so that it would not come back"
	case homeless(c, m):
		return "no node is known that has as much cpu and memory as the spec asks for, so that it would not come back"
	case known && !node.Ready:
		return "its node " + m.Pod.Node + " is not ready, so that it would not come back"
	case m.Pod.Node != "" && gone(c, m.Pod.Node):
		return "its node " + m.Pod.Node + " does not exist any more, so that it might not come back"
	default:
		return ""
	}
}

// accepts tells that the Pod trusts the authority of a published certificate, or that nobody knows what it trusts, its
// ConfigMap being lost.
func accepts(t *state.TLS, p state.Pod, name state.CertificateName) bool {
	if t == nil {
		return true // plain text asks for nothing
	}
	a := t.Authority(name.Side())
	if !t.Knows(p) {
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
// serves, so that stopping them takes nothing away, or only we cannot reach them, and all others are ready. We may only
// seem to be locked out while renewed certificates are on their way: that is waited for.
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
			case c.Etcd.Serving && !c.TLS.Knows(*m.Pod):
			case (c.Etcd.Serving || majorityReady(c) && renewing(c)) &&
				(side == state.PeerSide || m.Health != state.Unknown || !othersReady(c, m)):
			default:
				w.propose(creation, DeletePod{Name: m.Name, UID: m.Pod.UID, Why: "it trusts nothing of what is published"},
					v1alpha1.ReasonRotatingCA, fmt.Sprintf("%s is restarted on its volume: it trusts only a %s CA of which there "+
						"are no valid certificates any more, so that nobody can connect to it", m.Name, side))
			}
		}
	}
}

// renewing tells that a member that is ready serves another certificate than the one that is published. The kubelet
// brings that, within two minutes at the latest.
func renewing(c *state.Cluster) bool {
	return slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return m.Pod != nil && m.Pod.Ready && !m.Pod.Terminating && !c.TLS.Served(m)
	})
}

// othersReady tells that Kubernetes finds all other members ready, which asks them without certificates.
func othersReady(c *state.Cluster, m state.Member) bool {
	return !slices.ContainsFunc(c.Members, func(other state.Member) bool {
		return other.ID != m.ID && !other.Learner && (other.Pod == nil || !other.Pod.Ready || other.Pod.Terminating)
	})
}
