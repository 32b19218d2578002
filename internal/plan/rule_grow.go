package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// learnerPoll is how often a learner that catches up is looked at: no event tells that it is in sync.
const learnerPoll = 500 * time.Millisecond

// missingPod starts members that have no Pod, on their volumes; more than one at once, because they do not run.
func missingPod(w *walk) {
	c := w.c
	var launches []Launch
	var waiting []string
	for _, m := range c.Voters() {
		switch {
		case m.Pod != nil && m.Pod.Terminating:
			waiting = append(waiting, m.Name+": its Pod is being deleted"+onNode(c, m.Pod.Node))
		case m.Pod != nil && m.Health != state.Healthy:
			w.tidy(m, v1alpha1.ReasonStartingMember)
			waiting = append(waiting, m.Name+" "+m.Reason)
		case m.Pod != nil && !m.Pod.Ready:
			waiting = append(waiting, m.Name+", which is healthy, to become ready for clients")
		case m.Pod != nil, lost(c, m) != "" && (obstacle(c, m) != "" || w.removable(m)):
		case c.SlotHeld(m.Slot):
			waiting = append(waiting, m.Name+": another Pod holds its name")
		case obstacle(c, m) != "":
			waiting = append(waiting, m.Name+": "+obstacle(c, m))
		default:
			launches = append(launches, launch(c, m))
		}
	}
	if len(launches) > 0 {
		w.propose(revival, StartMembers{Members: launches}, v1alpha1.ReasonStartingMember,
			fmt.Sprintf("%d members have no Pod", len(launches)))
	}
	if len(waiting) > 0 {
		w.block(0, v1alpha1.ReasonStartingMember, "waiting for "+strings.Join(waiting, "; "))
	}
}

// removable tells that a lost member is about to be removed, so that it need not be started. Any other is: its Pod may
// wait for a node that is yet to come, which an autoscaler adds for a Pod that waits and for nothing else.
func (w *walk) removable(m state.Member) bool {
	return w.c.Etcd.Listed && replaceable(w.c, m) && w.project(quorum.Remove, m.ID).Allowed
}

func onNode(c *state.Cluster, node string) string {
	if n, known := c.Nodes[node]; known && !n.Ready {
		return " on node " + node + ", which is not ready: when it is off for good, taint it " +
			"node.kubernetes.io/out-of-service"
	}
	return ""
}

// learnerInFlight carries a learner to its promotion, or removes it when it is no longer wanted.
func learnerInFlight(w *walk) {
	c := w.c
	l := c.Learner()
	if l == nil || !c.Etcd.Listed {
		return
	}
	if why := unwanted(c, *l); why != "" {
		w.remove(*l, v1alpha1.ReasonScalingDown, why)
		w.block(membership, v1alpha1.ReasonScalingDown, "learner "+l.Name+" is removed: "+why)
		return
	}
	w.resumeUnwanted(0)
	w.promoting = promotable(c, l.Pod)
	switch {
	case l.Pod == nil:
		startLearner(w, *l)
	case w.tidy(*l, v1alpha1.ReasonScalingUp):
	case !l.Started && !l.Pod.Sealed && l.Pod.InitialCluster != currentList(c):
		w.propose(creation, UpdateStart{Member: l.Name, PodUID: l.Pod.UID, Start: start(c, *l)}, v1alpha1.ReasonScalingUp,
			"the member list has changed since its Pod was created")
	case l.Health == state.Healthy:
		promote(w, *l)
	}
	w.block(membership, v1alpha1.ReasonScalingUp, "waiting for learner "+l.Name+": "+learnerProgress(*l))
	if l.Probe.Answered {
		w.wakeAfter(learnerPoll)
	}
}

func learnerProgress(l state.Member) string {
	if l.Health == state.Healthy {
		return "it is in sync and about to be promoted"
	}
	return "it " + l.Reason + unbound(l.Volume)
}

// unwanted says why a learner is not wanted; empty when it is.
func unwanted(c *state.Cluster, l state.Member) string {
	if voters := len(c.Voters()); voters >= goal(c) && !awaited(c) {
		return fmt.Sprintf("%d voters are wanted and there are %d", c.Replicas(), voters)
	}
	if c.Hibernated() && l.Health != state.Healthy {
		return "the cluster is about to hibernate, and it is not in sync yet"
	}
	for _, m := range c.Voters() {
		// Else it stays: it does not stand in the way of the removal, and is promoted after it.
		if c.Hibernated() && lost(c, m) != "" {
			return "the cluster is about to hibernate, and " + m.Name + " is lost"
		}
	}
	if m := refusing(c); m != nil && l.Health != state.Healthy {
		return m.Name + " does not accept it before it restarts"
	}
	if why := cmp.Or(otherClass(c, l.Volume), marooned(c, l)); why != "" {
		return why
	}
	return lost(c, l)
}

// refusing is a voter because of which no new member can join: its process does not trust the CA of the peer
// certificate that is published, because the former one was lost or has expired, or that certificate has expired and is
// renewed by a CA that it does not trust yet; and it leads or can be restarted at
// once. Another may be restarted only after somebody has joined. Nil when there is none.
func refusing(c *state.Cluster) *state.Member {
	voters := c.Voters()
	healthy := 0
	for _, m := range voters {
		healthy += rank(m.Health == state.Healthy)
	}
	for _, m := range voters {
		dispensable := len(voters) == 1 || healthy-rank(m.Health == state.Healthy) >= quorum.Majority(len(voters))
		if refuses(c, m) && (m.ID == c.Etcd.Leader || dispensable) {
			return &m
		}
	}
	return nil
}

// refuses tells that the voter does not accept a peer certificate that is published before it has restarted.
func refuses(c *state.Cluster, m state.Member) bool {
	if c.TLS == nil || !c.TLS.Certificates[state.PeerCertificate].Accepted() || m.Pod == nil || !c.TLS.Knows(*m.Pod) {
		return false
	}
	return !accepts(c.TLS, *m.Pod, state.PeerCertificate) ||
		expiredForGood(c, state.PeerCertificate) && c.TLS.Outdated(*m.Pod)
}

func startLearner(w *walk, l state.Member) {
	c := w.c
	if c.SlotHeld(l.Slot) || obstacle(c, l) != "" {
		w.block(membership, v1alpha1.ReasonScalingUp, "learner "+l.Name+" cannot start: "+obstacle(c, l))
		return
	}
	w.propose(creation, StartMembers{Members: []Launch{launch(c, l)}}, v1alpha1.ReasonScalingUp,
		"learner "+l.Name+" is listed and has no Pod")
}

// promote makes a learner in sync a voter, after the budget counts it and protects the larger majority.
func promote(w *walk, l state.Member) {
	c := w.c
	verdict := w.project(quorum.Promote, l.ID)
	if !verdict.Allowed {
		w.block(membership, v1alpha1.ReasonScalingUp, "learner "+l.Name+" is not promoted: "+verdict.Reason)
		return
	}
	w.promoting = true
	if !l.Pod.Voter {
		w.ensure(MarkVoter{Member: l.Name, PodUID: l.Pod.UID})
		return
	}
	if !budgeted(c, spare(verdict.Voters)) || c.Disruption != nil && c.Disruption.Expected < verdict.Voters {
		w.block(membership, v1alpha1.ReasonScalingUp, fmt.Sprintf("learner %s: waiting until the disruption controller "+
			"observes it and minAvailable %d", l.Name, spare(verdict.Voters)))
		return
	}
	w.propose(membership, Promote{Name: l.Name, ID: l.ID}, v1alpha1.ReasonScalingUp, "it is in sync with the leader")
}

// scaleUp adds a learner for the lowest free slot, when all voters are healthy: because more voters are wanted, or
// because one has to be moved.
func scaleUp(w *walk) {
	c := w.c
	voters := len(c.Voters())
	if !c.Etcd.Listed || voters >= goal(c) || c.Learner() != nil {
		return
	}
	activity, want := v1alpha1.ReasonScalingUp, fmt.Sprintf("%d voters are wanted, %d are listed", c.Replicas(), voters)
	if voters >= c.Replicas() {
		if w.d.Step != nil {
			return
		}
		m := movers(c)[0]
		n := needOf(c, m)
		activity, want = n.activity, fmt.Sprintf("a member that takes the place of %s is added first (%s)", m.Name, n.why)
	}
	if !c.AllVotersHealthy() {
		w.block(membership, activity, want+": waiting until all voters are healthy: "+sick(c))
		return
	}
	if c.TLS != nil && !c.TLS.Usable() {
		w.block(0, activity, want+": waiting for its certificates")
		return
	}
	if m := refusing(c); m != nil {
		w.awaitAcceptance(*m, activity, want)
		return
	}
	if verdict := w.project(quorum.AddLearner, 0); !verdict.Allowed {
		w.block(membership, activity, want+", but "+verdict.Reason)
		return
	}
	slot := slotToFill(c)
	w.propose(membership, AddLearner{
		Slot: slot, Name: resources.MemberName(c.Object.Name, slot),
		PeerURL: resources.PeerURL(c.Object, slot),
	}, activity, want)
	if w.d.Step == nil && !hasReason(w.d.Blocked, activity) {
		w.block(0, activity, want+": waiting for the above")
	}
}

// awaitAcceptance tells what an addition waits for that a voter would not accept, and takes the leadership from one
// that cannot restart before the addition.
func (w *walk) awaitAcceptance(m state.Member, activity, want string) {
	c := w.c
	want += ", but " + m.Name + " does not accept a new member before it restarts"
	if c.Ephemeral() {
		want += ", which would cost its data: save it with etcdctl snapshot save, and restore it into a new cluster"
	}
	w.block(0, activity, want)
	accepts := func(other state.Member) bool { return other.Health == state.Healthy && !refuses(c, other) }
	if len(c.Voters()) == 2 && handsOver(c, m) && slices.ContainsFunc(c.Voters(), accepts) {
		w.handOver(m, activity, "restarted")
	}
}
