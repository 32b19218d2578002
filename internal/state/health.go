package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxLag is the number of committed entries that a healthy member may have to apply still. etcd itself refuses
// requests at 5000 (server/etcdserver/v3_server.go, maxGapBetweenApplyAndCommitIndex).
const maxLag = 1000

// wipedMarks are what etcd logs when a sealed member finds no write-ahead log: it asks the peers in its list for the
// membership, and the list holds nobody but itself (server/etcdserver/bootstrap.go, bootstrapExistingClusterNoWAL).
var wipedMarks = []string{"cannot fetch cluster info from peer urls"}

// DiffersFromPeers is why etcd refuses to start when any peer has other data at the same revision, whoever of them is
// right (server/etcdserver/corrupt.go, InitialCheck).
const DiffersFromPeers = "found data inconsistency with peers"

// wipedExit is longer than a sealed member takes to find out that its volume is empty.
const wipedExit = 10 * time.Second

// Assess fills in the health of every member and the agreed leader, from what the members answered.
func (c *Cluster) Assess() {
	c.Etcd.Leader = c.agreedLeader()
	committed := c.highestCommitted()
	for i := range c.Members {
		m := &c.Members[i]
		m.Health, m.Reason = c.judge(m, committed)
	}
}

func (c *Cluster) judge(m *Member, committed uint64) (Health, string) {
	switch p := m.Probe; {
	case m.Pod == nil:
		return Unhealthy, "has no Pod"
	case m.Pod.Terminating:
		return Unhealthy, "its Pod is being deleted"
	case !p.Answered:
		return m.judgeSilence()
	case m.Outlived():
		return Unhealthy, "is about to be restarted with etcd " + m.Pod.Version
	case m.Pod.PatchedContainer != "" && release(p.Version) != m.Pod.Version, c.strays(p.Version, m.Pod.Version):
		return Unhealthy, fmt.Sprintf("runs etcd %s although its image is to be that of %s: spec.image must be of "+
			"spec.version", p.Version, m.Pod.Version)
	case p.ClusterID != c.Etcd.ClusterID && c.Etcd.ClusterID != 0:
		return Unhealthy, fmt.Sprintf("answers for another cluster (%x)", p.ClusterID)
	case p.MemberID != m.ID:
		return Unhealthy, fmt.Sprintf("answers as another member (%x)", p.MemberID)
	case p.Leader == 0 || p.Leader != c.Etcd.Leader:
		return Unhealthy, "does not follow the leader"
	case len(serious(p.Errors, m.ID)) > 0:
		return Unhealthy, strings.Join(serious(p.Errors, m.ID), "; ")
	case p.Applied+maxLag < committed:
		return Unhealthy, "is behind the log of the others"
	case !m.Sealed():
		return Unhealthy, "is not sealed yet"
	default:
		return Healthy, ""
	}
}

// strays tells that a member runs another minor than its Pod was made for, and than the members work together at: an
// image that hides its version must not reach a second one. Where all have got there, nothing is gained by refusing it.
func (c *Cluster) strays(runs, wanted string) bool {
	known := c.Etcd.ClusterVersion
	return Minor(runs) != Minor(wanted) && known != "" && known != Minor(runs)
}

// judgeSilence is the verdict on a member that does not answer.
func (m *Member) judgeSilence() (Health, string) {
	switch {
	case m.Defragmentation.Running:
		return Unknown, "is being defragmented and does not answer meanwhile"
	case m.Pod.Ready:
		return Unknown, "cannot be reached although its Pod is ready: " + m.Probe.Err
	case m.Peer == PeerActive && m.Pod.Running:
		return Unknown, "cannot be reached, but the leader is connected to it: " + m.Probe.Err
	default:
		return Unhealthy, m.notRunning()
	}
}

// Outlived tells that the container still runs whose image was changed: what it answers proves nothing for the new one.
func (m *Member) Outlived() bool {
	return m.Pod != nil && m.Pod.PatchedContainer != "" && m.Pod.ContainerID == m.Pod.PatchedContainer
}

// release is a version without what a build adds to it.
func release(version string) string {
	number, _, _ := strings.Cut(version, "+")
	number, _, _ = strings.Cut(number, "-")
	return number
}

// notRunning says why a member does not answer, as far as Kubernetes knows.
func (m *Member) notRunning() string {
	switch {
	case m.Wiped():
		return "refuses to start: its volume " + m.volumeName() + " was wiped"
	case !m.Pod.Running && m.Pod.LastExit != nil && strings.Contains(m.Pod.LastExit.Message, DiffersFromPeers):
		return "refuses to start, because its data differs from a peer's: find out with etcdctl endpoint hashkv whose data " +
			"is right, and have the wrong one replaced"
	case m.Pod.Waiting != "":
		return "is not running: " + m.Pod.Waiting
	case !m.Pod.Running:
		return "is not running yet"
	case m.Pod.LastExit != nil && m.Pod.Restarts > 0:
		return fmt.Sprintf("does not serve (it was restarted, last exit code %d)", m.Pod.LastExit.Code)
	default:
		return "does not serve yet"
	}
}

func (m *Member) volumeName() string {
	if m.Volume == nil {
		return ""
	}
	return m.Volume.Name
}

// Wiped tells that the member was sealed, found its volume empty and refused to start.
func (m *Member) Wiped() bool {
	if m.Pod == nil || !m.Pod.Sealed || m.Pod.LastExit == nil || m.Probe.Answered {
		return false
	}
	// A container that goes on running found its data; and before it was sealed, a joiner may have exited with the same
	// words because no peer answered.
	exits := m.Pod.Restarts
	if !m.Pod.Running {
		exits++
	}
	if m.Pod.Ready || m.Pod.Running && m.Pod.RunningFor > wipedExit || exits <= m.Pod.SealedAfter {
		return false
	}
	for _, mark := range wipedMarks {
		if strings.Contains(m.Pod.LastExit.Message, mark) {
			return true
		}
	}
	return false
}

// serious drops the errors that do not stop a member from serving: a raised alarm appears on every member, and one
// about corrupt data is the concern of the member that it names.
func serious(errs []string, id uint64) []string {
	var list []string
	for _, e := range errs {
		if !strings.Contains(e, "NOSPACE") && !corruptionOfAnother(e, id) {
			list = append(list, e)
		}
	}
	return list
}

// corruptionOfAnother tells that the error is an alarm about the data of another member, which it names by its ID in
// decimal (etcd api/etcdserverpb, AlarmMember.String; server/etcdserver/api/v3rpc/maintenance.go, Status).
func corruptionOfAnother(problem string, id uint64) bool {
	if !strings.Contains(problem, "alarm:CORRUPT") {
		return false
	}
	_, rest, named := strings.Cut(problem, "memberID:")
	digits, _, _ := strings.Cut(rest, " ")
	other, err := strconv.ParseUint(digits, 10, 64)
	return named && err == nil && other != 0 && other != id
}

// agreedLeader is the leader that most voters name, if they are a majority of the voters.
func (c *Cluster) agreedLeader() uint64 {
	votes, best, leader := map[uint64]int{}, 0, uint64(0)
	for _, m := range c.Members {
		if !c.Answers(m) || m.Learner || m.Probe.Leader == 0 {
			continue
		}
		votes[m.Probe.Leader]++
		if n := votes[m.Probe.Leader]; n > best {
			best, leader = n, m.Probe.Leader
		}
	}
	if 2*best <= len(c.Voters()) {
		return 0
	}
	return leader
}

// Answers tells that the answer is of this member of this cluster.
func (c *Cluster) Answers(m Member) bool {
	p := m.Probe
	return p.Answered && p.MemberID == m.ID && (c.Etcd.ClusterID == 0 || p.ClusterID == c.Etcd.ClusterID)
}

func (c *Cluster) highestCommitted() uint64 {
	highest := uint64(0)
	for _, m := range c.Members {
		if c.Answers(m) {
			highest = max(highest, m.Probe.Committed)
		}
	}
	return highest
}
