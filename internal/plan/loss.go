package plan

import (
	"cmp"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// lost says why the member is lost; empty when it is not, or not surely, or not yet.
func lost(c *state.Cluster, m state.Member) string {
	l := lossOf(c, m)
	if l.why == "" || l.pending(c) || l.doubt(c, m) != "" {
		return ""
	}
	return l.why
}

// loss is why a member does not come back with its data.
type loss struct {
	// why is a sentence part; empty when there is no loss.
	why string
	// at is when it counts; zero at once.
	at time.Time
	// certain tells that it is a loss whether the member's process runs or not.
	certain bool
	// unseen tells that nobody who could know says that the process has ended.
	unseen bool
}

func (l loss) pending(c *state.Cluster) bool { return c.Now.Before(l.at) }

// doubt says why the loss is not sure enough to act on; empty when it is.
func (l loss) doubt(c *state.Cluster, m state.Member) string {
	switch {
	case l.certain:
		return ""
	case m.Peer == state.PeerActive:
		return "the leader still counts it as an active peer, so it runs"
	case l.unseen && m.Peer == state.PeerUnknown:
		return "its process may still run there, and the leader cannot be asked whether it is connected to it" +
			strings.TrimSuffix(": "+c.Etcd.PeersErr, ": ")
	default:
		return ""
	}
}

// lossOf tells whether and why a member is lost. A healthy one never is, nor one that only we cannot reach, unless its
// data is corrupt. One whose Pod can be created again on its volume is not either.
func lossOf(c *state.Cluster, m state.Member) loss {
	switch {
	case c.Held("Pod", m.Name) || c.Held("PersistentVolumeClaim", resources.VolumeName(c.Object.Name, m.Slot, m.ID)):
		return loss{}
	case corrupt(c, m):
		return loss{why: "its data is corrupt: it differs from the others', which agree", certain: true}
	case m.Health != state.Unhealthy:
		return loss{}
	case m.Wiped():
		return loss{why: "its data was wiped and it refuses to start empty", certain: true}
	}
	var l loss
	for _, find := range []func(*state.Cluster, state.Member) loss{dataGone, nodeGone, unreachable, crashing} {
		if l = find(c, m); l.why != "" {
			break
		}
	}
	if requested(c, m) {
		return onRequest(c, m, l)
	}
	return l
}

// requestPatience is how long a member that a person asked to have replaced may be not ready before it counts as lost:
// longer than a restart takes. One that comes back is moved instead, which takes nothing away meanwhile.
const requestPatience = time.Minute

// onRequest is the loss of an unhealthy member whose replacement a person asked for. It is certain: the person vouches.
func onRequest(c *state.Cluster, m state.Member, found loss) loss {
	l := loss{why: cmp.Or(found.why, "it is unhealthy") + "; a person asked for its replacement", certain: true}
	switch {
	case found.why != "" && !found.pending(c):
	case m.Pod == nil && m.Volume != nil && (m.Volume.Retired || m.Volume.Foreign()): // it can never be started
	case m.Pod == nil || m.Pod.Ready:
		return found // it is started first, or serves and is in a trouble that may pass
	default:
		since := m.Pod.NotReadySince
		if since.IsZero() {
			since = m.Pod.Created
		}
		l.at = since.Add(requestPatience)
		if found.why != "" && found.at.Before(l.at) {
			l.at = found.at
		}
	}
	return l
}

// dataGone tells that what held the data is gone, or goes with the last Pod that uses it.
func dataGone(c *state.Cluster, m state.Member) loss {
	switch {
	case c.Ephemeral() && m.Pod == nil && (m.Launched || m.Started):
		return loss{why: "its Pod is gone and its data with it", certain: true}
	case c.Ephemeral() && m.Pod != nil && m.Pod.Finished:
		return loss{why: "its Pod has ended and its data is gone with it", certain: true}
	case c.Ephemeral():
		return loss{}
	case m.Volume == nil && (m.Launched || m.Started):
		return held(c, m, loss{why: "its volume is gone", certain: true})
	case m.Volume == nil:
		return loss{}
	case m.Volume.Vanishing() != "":
		return held(c, m, loss{why: m.Volume.Vanishing(), certain: true})
	default:
		// A PersistentVolume that is being deleted stays until its claim goes: the Pod can be created again on it.
		return loss{}
	}
}

// held takes into account that a Pod on a node keeps its volume, whatever became of the claim (the finalizers
// kubernetes.io/pvc-protection and pv-protection): the member may recover and is moved then.
func held(c *state.Cluster, m state.Member, l loss) loss {
	p := m.Pod
	switch {
	case p == nil || p.Node == "" || p.Finished || gone(c, p.Node):
		return l
	case p.Terminating || p.NotReadySince.IsZero():
		return loss{}
	default:
		l.at = p.NotReadySince.Add(resources.RepairAfter(c.Object))
		return l
	}
}

// nodeGone tells that no node exists any more to which the volume could be attached.
func nodeGone(c *state.Cluster, m state.Member) loss {
	if m.Volume == nil || !m.Volume.Disk.Nowhere() {
		return loss{}
	}
	return loss{why: m.Volume.Endangered()}
}

// gone tells that no such node exists any more.
func gone(c *state.Cluster, node string) bool {
	_, exists := c.Nodes[node]
	return c.Nodes != nil && !exists
}

// place is the node of the member's process: of its Pod, or the one on which it ran last.
func place(m state.Member) string {
	switch {
	case m.Pod != nil && m.Pod.Node != "":
		return m.Pod.Node
	case m.Volume != nil:
		return m.Volume.Node
	default:
		return ""
	}
}

// unreachable tells that the member's node is not ready, and that its volume cannot be attached elsewhere: to no other
// node, or because nobody vouches, with the taint out-of-service, that the member does not run there any more.
func unreachable(c *state.Cluster, m state.Member) loss {
	name := place(m)
	n, exists := c.Nodes[name]
	if !exists || n.Ready || n.NotReadySince.IsZero() || m.Probe.Answered {
		return loss{}
	}
	l := loss{at: n.NotReadySince.Add(resources.RepairAfter(c.Object)), unseen: !n.OutOfService}
	switch {
	case c.Ephemeral():
		l.why = "its data is on node " + name + ", which is not ready"
	case !n.OutOfService:
		l.why = "its node " + name + " is not ready, and as long as nobody vouches that it is off (taint " +
			"node.kubernetes.io/out-of-service) its volume stays attached there"
	case c.Attachable(m.Volume, name):
		return loss{}
	default:
		l.why = "its node " + name + " is out of service, and its volume cannot be attached to another node that is ready"
	}
	return l
}
