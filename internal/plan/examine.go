package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// settleTime is how long a member's etcd may be starting, and run without serving, before its volume is read: a cluster
// that merely starts again serves by then (or its next restart shows a reason).
const settleTime = 30 * time.Second

// helperRetry is how long after its creation a Pod is replaced that has failed and is not started again by its kubelet.
const helperRetry = time.Minute

// examination is what is known of a quorum that may be lost for ever.
type examination struct {
	// loss is proven; nil otherwise.
	loss *state.QuorumLoss
	// unknown tells what has to be known before it can be.
	unknown []string
	// inspect are volumes to be read, stale the Pods of inspections whose report does not count any more.
	inspect []InspectVolume
	stale   []string
	wake    time.Duration
}

func (e *examination) doubt(format string, args ...any) {
	e.unknown = append(e.unknown, fmt.Sprintf(format, args...))
}

// examine finds out whether so many voters have lost their data that the rest is no majority. How many voters there
// are is taken from the log of the newest survivor; the latch, which records every member that ever had a volume, only
// tells when to look.
func examine(c *state.Cluster) examination {
	var e examination
	left, suspected := remains(c)
	if !suspected {
		return e
	}
	if len(c.Leftovers.Foreign) > 0 {
		return e // one of them may hold data; the rule about ownership names them
	}
	reports := map[uint64]state.DataReport{}
	for _, m := range left {
		if r, found := e.reportOf(c, m); found {
			reports[m.ID] = r
		}
	}
	e.stillHeld(c)
	if len(e.unknown) == 0 {
		e.judge(c, left, reports)
	}
	return e
}

// stillHeld finds Pods that hold data whose claim is gone, because somebody took its finalizers off.
func (e *examination) stillHeld(c *state.Cluster) {
	for _, p := range c.Leftovers.Pods {
		if p.Volume != "" && p.Node != "" && !p.Terminating && !p.Finished && !fenced(c, p.Node) &&
			slices.Contains(c.Latch.Launched, p.MemberID) {
			e.doubt("Pod %s still holds the data of its volume, whose claim is gone: save it with etcdctl snapshot save, or "+
				"bind a claim of the name %s to the volume again; when it is of no use, delete the Pod", p.Name, p.Volume)
		}
	}
}

// remains are the members whose data is there, and whether they may be too few for ever.
func remains(c *state.Cluster) (left []state.Member, suspected bool) {
	if !c.Formed() || c.Hibernated() || c.Etcd.Serving || c.Etcd.Listed || len(c.Latch.Launched) == 0 {
		return nil, false
	}
	for _, m := range c.Members {
		if m.Health == state.Unknown {
			return nil, false // it may well serve: the operator itself may be cut off
		}
		if goneForGood(c, m) == "" {
			left = append(left, m)
		}
	}
	return left, mayBeTooFew(c, left)
}

// mayBeTooFew tells that those that are left may be no majority. Until the logs were read, one of them may be a
// learner: then it is one less, of one voter less. The Pod of an ephemeral member is never made anew, so that its label
// tells.
func mayBeTooFew(c *state.Cluster, left []state.Member) bool {
	launched := len(c.Latch.Launched)
	if !c.Ephemeral() {
		return len(left) < launched && len(left) <= quorum.Majority(launched-1)
	}
	learners := 0
	for _, m := range left {
		if m.Pod != nil && !m.Pod.Voter {
			learners++
		}
	}
	return len(left)-learners < quorum.Majority(launched-learners)
}

// goneForGood says why the member's data cannot come back by itself. A claim that is being deleted keeps it as long as
// a Pod is on a node with it. What repair takes for lost after a while is not: a node that is not ready may come back.
func goneForGood(c *state.Cluster, m state.Member) string {
	if c.Held("Pod", m.Name) || c.Held("PersistentVolumeClaim", resources.VolumeName(c.Object.Name, m.Slot, m.ID)) {
		return ""
	}
	if m.Wiped() {
		return "its data was wiped and it refuses to start empty"
	}
	if l := dataGone(c, m); l.why != "" && l.at.IsZero() {
		return l.why
	}
	return noNodeForLong(c, m)
}

// noNodeForLong tells that the member's Pod has waited in vain for a node to which its volume can be attached: so long
// that an autoscaler would have added one.
func noNodeForLong(c *state.Cluster, m state.Member) string {
	p := m.Pod
	if p == nil || p.Node != "" || c.Now.Sub(p.Created) < resources.RepairAfter(c.Object) {
		return ""
	}
	return nodeGone(c, m).why
}

// reportOf is what the inspection of the member's volume told. Without one that counts, it asks for it.
func (e *examination) reportOf(c *state.Cluster, m state.Member) (state.DataReport, bool) {
	if c.Ephemeral() {
		e.doubt("the data of %s is in its Pod: save it with etcdctl snapshot save, or bring the others back; when it is of "+
			"no use, delete the Pod", m.Name)
		return state.DataReport{}, false
	}
	name := resources.InspectionName(m.Volume.Name)
	at := slices.IndexFunc(c.Inspections, func(i state.Inspection) bool { return i.Pod == name })
	if at >= 0 && c.Inspections[at].VolumeUID == m.Volume.UID && !outrun(m, c.Inspections[at]) &&
		!mended(c, m, c.Inspections[at]) && !e.failed(c, c.Inspections[at]) {
		if i := c.Inspections[at]; i.Report == nil || i.Terminating {
			e.doubt("its volume %s is being read: %s", m.Volume.Name, cmp.Or(i.Waiting, "Pod "+i.Pod+" runs"))
			return state.DataReport{}, false
		}
		return *c.Inspections[at].Report, true
	}
	switch p := m.Pod; {
	case at >= 0:
		e.stale = append(e.stale, name)
		e.doubt("volume %s is to be read again", m.Volume.Name)
	case c.OperatorImage == "":
		e.doubt("volume %s cannot be read, because the operator does not know its own image: set its flag --image",
			m.Volume.Name)
	case p == nil && obstacle(c, m) == "":
		e.doubt("%s is started first", m.Name)
	case p != nil && p.Terminating:
		e.doubt("the Pod of %s is being deleted", m.Name)
	case p != nil && e.settling(c, m):
	default:
		e.inspect = append(e.inspect, InspectVolume{
			Volume: m.Volume.Name, VolumeUID: m.Volume.UID, Node: inspectionNode(c, m),
		})
		e.doubt("volume %s is read", m.Volume.Name)
	}
	return state.DataReport{}, false
}

// settling tells that the member was started, or its Pod created, so shortly ago that it may serve soon.
func (e *examination) settling(c *state.Cluster, m state.Member) bool {
	p, left := m.Pod, time.Duration(0)
	switch {
	case p.Running:
		left = settleTime - p.RunningFor
	case p.LastExit == nil:
		left = settleTime - c.Now.Sub(p.Created)
	}
	if left > 0 {
		e.wake = max(left, e.wake)
		e.doubt("%s was started %s ago at most", m.Name, settleTime)
	}
	return left > 0
}

// outrun tells that the member's etcd was started after the inspection, and has run long enough to have done something.
func outrun(m state.Member, i state.Inspection) bool {
	p := m.Pod
	return p != nil && p.Running && p.RunningFor >= settleTime && !i.At.IsZero() && p.RunningSince.After(i.At)
}

// mended tells that an inspection that tells nothing was made with another image, or for another place, than is wanted.
func mended(c *state.Cluster, m state.Member, i state.Inspection) bool {
	wanted := resources.InspectionPod(c.Object, c.OperatorImage, m.Volume.Name, m.Volume.UID, inspectionNode(c, m))
	return i.Report == nil && i.Spec != resources.HelperSpec(wanted)
}

// failed tells that the Pod of an inspection ended without a report, for example because its node evicted it, and that
// it is time for another one.
func (e *examination) failed(c *state.Cluster, i state.Inspection) bool {
	if i.Report != nil || !i.Finished {
		return false
	}
	wait := i.Created.Add(helperRetry).Sub(c.Now)
	e.wake = max(wait, e.wake)
	return wait <= 0
}

// inspectionNode is where the volume is in use, or may be: a volume is attached to one node at a time.
func inspectionNode(c *state.Cluster, m state.Member) string {
	if m.Pod != nil && m.Pod.Node != "" {
		return m.Pod.Node
	}
	return pin(c, m)
}
