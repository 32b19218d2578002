package plan

import (
	"cmp"
	"fmt"
	"slices"
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
	if requested(c, m) && (m.Pod == nil || !m.Pod.Ready) {
		return loss{why: cmp.Or(l.why, "it is unhealthy") + "; a person asked for its replacement", certain: true}
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

// enoughRestarts of a container make a crash loop.
const enoughRestarts = 3

// crashing tells that the member crashes on its own data: again and again, while another member runs in the same way.
// Its kubelet says so, who is to be trusted.
func crashing(c *state.Cluster, m state.Member) loss {
	p := m.Pod
	if p == nil || p.Terminating || p.Running || p.Ready || p.Restarts < enoughRestarts || p.LastExit == nil ||
		p.NotReadySince.IsZero() || !blamesData(*p.LastExit) || !sameRuns(c, m) {
		return loss{}
	}
	if n, exists := c.Nodes[p.Node]; exists && !n.Ready {
		return loss{}
	}
	return loss{
		why: fmt.Sprintf("it crashes on its own data (it was restarted several times, last exit code %d)", p.LastExit.Code),
		at:  p.NotReadySince.Add(resources.RepairAfter(c.Object)),
	}
}

// elsewhere are words by which etcd, the Go runtime or the operating system blame something other than the member's own
// data. A difference from a peer's data is not the member's own fault: etcd refuses to start when a single peer has
// other data, so that one corrupt member would have all good ones crash that are restarted beside it.
var elsewhere = []string{
	state.DiffersFromPeers,
	"no space left on device", "disk quota exceeded", "permission denied", "address already in use", "x509:", "tls:",
	"certificate", "flag provided but not defined", "error verifying flags", "out of memory", "too many open files",
	"cannot allocate memory", "failed to create new os thread", "resource temporarily unavailable", "file already locked",
	"read-only file system", "operation not permitted", "cannot assign requested address", "no such host",
}

// blamesData tells that etcd itself gave up (exit code 1 of its logger, 2 of a panic), and not for something around it.
// One whose words are not known is not judged.
func blamesData(e state.Exit) bool {
	if e.Code != 1 && e.Code != 2 || e.Message == "" {
		return false
	}
	message := strings.ToLower(e.Message)
	return !slices.ContainsFunc(elsewhere, func(words string) bool { return strings.Contains(message, words) })
}

// sameRuns tells that another member is healthy with the same template and trust: neither is what the crash comes from.
// What it trusts stops no member that ran before, only one that has to ask the others for the cluster: during a rotation
// the others wait for a crashing one before they load what is trusted by now.
func sameRuns(c *state.Cluster, m state.Member) bool {
	return slices.ContainsFunc(c.Voters(), func(other state.Member) bool {
		return other.ID != m.ID && other.Health == state.Healthy && other.Pod != nil &&
			other.Pod.Applied == m.Pod.Applied && (other.Pod.Trust == m.Pod.Trust || m.RecordedStarted())
	})
}
