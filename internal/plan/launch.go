package plan

import (
	"fmt"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// incarnation describes the member as its volume and Pod record it.
func incarnation(c *state.Cluster, m state.Member) state.Incarnation {
	in := state.Incarnation{
		Slot:      m.Slot,
		MemberID:  m.ID,
		ClusterID: c.Etcd.ClusterID,
		PeerURL:   resources.PeerURL(c.Object, m.Slot),
		Version:   versionFor(c, m),
		Surge:     m.Surge() || dataMissing(c, m) && m.Learner && m.Slot >= c.Replicas(),
	}
	setSizes(c, m, &in)
	if given := quotaToGive(c); given != wantedQuota(c) {
		in.Quota = given
	}
	if c.Latch != nil {
		in.Generation, in.Token, in.Size = c.Latch.Generation, c.Latch.Token, c.Latch.Size
		if bootstrapped(c, m) {
			in.BootstrapList = c.Latch.InitialCluster
		}
	}
	return in
}

// bootstrapped tells that the member is one of those that the bootstrap started, not one that joined later.
func bootstrapped(c *state.Cluster, m state.Member) bool {
	return c.Latch.Token != "" &&
		state.BootstrapMemberID(resources.PeerURL(c.Object, m.Slot), c.Latch.Token) == m.ID
}

// start tells how the member's etcd starts: sealed once it ran; else as a member of the bootstrap, whose list never
// changes; else as a joiner, with the list as it is now.
func start(c *state.Cluster, m state.Member) state.Start {
	s := state.Start{Voter: !m.Learner || m.Pod != nil && m.Pod.Voter, Node: pin(c, m)}
	s.IPv6 = c.PeerService != nil && c.PeerService.IPv6
	if c.TLS != nil {
		s.Trust, s.Certificates, s.AnyPeerName = c.TLS.Trust, c.TLS.Revision(), c.TLS.AnyPeerName
	}
	switch {
	case m.Started || m.RecordedStarted():
		s.Existing, s.Sealed = true, true
		s.InitialCluster = state.InitialCluster([]state.InitialMember{initialMember(c, m)})
	case bootstrapped(c, m):
		s.InitialCluster = c.Latch.InitialCluster
	default:
		s.Existing = true
		s.InitialCluster = currentList(c)
	}
	return s
}

func initialMember(c *state.Cluster, m state.Member) state.InitialMember {
	return state.InitialMember{
		Name:    m.Name,
		PeerURL: resources.PeerURL(c.Object, m.Slot),
	}
}

// currentList is the member list as a joiner needs it: all listed members, itself included, no more and no fewer
// (etcd server/etcdserver/api/membership, ValidateClusterAndAssignIDs).
func currentList(c *state.Cluster) string {
	list := make([]state.InitialMember, 0, len(c.Members))
	for _, m := range c.Members {
		list = append(list, initialMember(c, m))
	}
	return state.InitialCluster(list)
}

// pin names the node that a Pod must go back to: its predecessor may still run there when the node is not ready and
// nobody vouches, by the out-of-service taint, that it is off.
func pin(c *state.Cluster, m state.Member) string {
	if m.Volume == nil || m.Volume.Node == "" {
		return ""
	}
	if n, known := c.Nodes[m.Volume.Node]; known && !n.Ready && !n.OutOfService {
		return m.Volume.Node
	}
	return ""
}

// launch prepares the start of a member that has no Pod.
func launch(c *state.Cluster, m state.Member) Launch {
	l := Launch{Incarnation: incarnation(c, m), Start: start(c, m), First: dataMissing(c, m)}
	if !c.Ephemeral() {
		l.Volume = resources.VolumeName(c.Object.Name, m.Slot, m.ID)
	}
	if m.Volume != nil {
		l.VolumeUID = m.Volume.UID
		l.Unused = !c.Formed() && neverRan(c, m)
	}
	return l
}

// Restarted is how the member will be started again whose Pod the step deletes; false when the step stops nothing that
// is to come back: a Pod that does not run, or whose member was removed, hibernates or belongs to a lost cluster.
func Restarted(c *state.Cluster, s DeletePod) (Launch, bool) {
	if c.Ephemeral() || c.Hibernated() || c.Underway() != nil {
		return Launch{}, false
	}
	for _, m := range c.Members {
		if p := m.Pod; p == nil || p.UID != s.UID || p.Terminating || !p.Running && !m.Probe.Answered {
			continue
		}
		m.Pod = nil
		if m.Volume != nil && s.Volume != "" {
			recorded := *m.Volume
			recorded.Version = s.Version
			m.Volume = &recorded
		}
		return launch(c, m), true
	}
	return Launch{}, false
}

// dataMissing tells that what holds the incarnation's data does not exist: it never did, or the data is lost.
func dataMissing(c *state.Cluster, m state.Member) bool {
	if c.Ephemeral() {
		return m.Pod == nil
	}
	return m.Volume == nil
}

// obstacle says why the member's Pod cannot be created on its volume now; empty when it can.
func obstacle(c *state.Cluster, m state.Member) string {
	switch v := m.Volume; {
	case c.PeerService == nil:
		return "Kubernetes does not have the Service of the peers yet"
	case c.TLS != nil && !c.TLS.Usable():
		return "its certificates are not there yet"
	case dataMissing(c, m) && (m.Launched || m.Started):
		return "its data is gone, and it must not start empty"
	case c.Held("Pod", m.Name), c.Held("PersistentVolumeClaim", resources.VolumeName(c.Object.Name, m.Slot, m.ID)):
		return "an object that it needs belongs to something else or cannot be read"
	case v == nil:
		return ""
	case v.Vanishing() != "":
		return v.Vanishing()
	case v.Retired:
		return fmt.Sprintf("its volume %s is retired", v.Name)
	case v.Foreign():
		return fmt.Sprintf("its volume claim %s is bound to %s, but its data was on %s: another tool re-created it",
			v.Name, v.PersistentVolume, v.RecordedPersistentVolume)
	default:
		return ""
	}
}

// tidy proposes to delete a Pod of the member that does not run and never will as it is: its containers ended, or it
// was made from an older template. It tells whether it did.
func (w *walk) tidy(m state.Member, activity string) bool {
	p := m.Pod
	if p == nil || p.Terminating {
		return false
	}
	if w.c.Ephemeral() && mayHoldData(w.c, m) {
		// Its data would go with it: such a member is removed first, never just deleted.
		return w.mend(m, activity)
	}
	if !w.c.Ephemeral() && (m.Volume == nil || m.Volume.Vanishing() != "") {
		// The Pod is all that still keeps the data: a claim that is being deleted goes when its last Pod does.
		return false
	}
	why := hopelessPod(w.c, m)
	if why == "" {
		return false
	}
	kind := creation
	if p.Finished || p.Node == "" { // nothing that was made from the former spec has run, or will
		kind = revival
	}
	w.propose(kind, DeletePod{Name: p.Name, UID: p.UID, Why: why}, activity,
		fmt.Sprintf("%s is created again on its volume: %s", p.Name, why))
	return true
}

// hopelessPod says why the Pod never will run as it is; empty when it may.
func hopelessPod(c *state.Cluster, m state.Member) string {
	p := m.Pod
	stopped := !p.Running && !m.Probe.Answered
	switch {
	case p.Node == "" && p.Pinned != pin(c, m):
		return "it is bound to a node that it need not, or must, wait for"
	case p.Finished:
		return "its containers ended for good"
	case stopped && outdated(c, m):
		return "it does not run, and the spec has changed since it was created"
	case c.TLS.Outdated(*p) && obstacle(c, m) == "" && (!c.Formed() || stopped):
		return "it trusts other certificate authorities than those that are trusted now"
	case stopped && c.TLS.Remade(*p) && p.LastExit != nil && obstacle(c, m) == "":
		return "it does not run, and what it trusts was published again since it was created"
	default:
		return ""
	}
}

// mayHoldData tells that an ephemeral member ran, or that it may have: somebody may have stopped its container before
// it was seen to serve, and without a majority nobody can tell that the others do without it.
func mayHoldData(c *state.Cluster, m state.Member) bool {
	ran := m.Pod.Running || m.Pod.LastExit != nil || m.Pod.Restarts > 0
	return m.Started || m.RecordedStarted() || c.Formed() && !c.Etcd.Listed && ran
}

// outdated tells that the Pod was made from another template than it would be now, its labels aside.
func outdated(c *state.Cluster, m state.Member) bool {
	d := resources.Compare(m.Pod.Applied, desiredTemplate(c, m))
	d.Metadata = false
	return !d.None()
}
