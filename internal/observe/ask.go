package observe

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// answers of etcd.
type answers struct {
	probes map[types.UID]state.Probe
	list   []etcd.Member
	etcd   state.Etcd
	// hashes of the members' data, only while an alarm says that some is corrupt.
	hashes map[types.UID]state.Hash
}

// Target is how a member's process is reached: by the Pod's IP, so that the operator needs no DNS.
func Target(c *v1alpha1.EtcdCluster, p state.Pod) etcd.Target {
	return etcd.Target{
		Cluster:    c.Namespace + "/" + c.Name,
		TLS:        resources.SpeaksTLS(c),
		PodUID:     string(p.UID),
		Address:    net.JoinHostPort(p.IP, fmt.Sprint(resources.ClientPort)),
		ServerName: resources.PeerHost(c.Namespace, c.Name, p.Slot),
	}
}

// ask probes all members at once, each call with a deadline of its own, and asks one of them about the cluster. Nobody
// waits for the process of a member that etcd does not list: it is about to end, and slow to say so.
func (o *Observer) ask(ctx context.Context, c *state.Cluster, pods []state.Pod) answers {
	a := answers{probes: map[types.UID]state.Probe{}}
	if c.Latch != nil {
		a.etcd.ClusterID = c.Latch.ClusterID
	}
	clients := o.clients(c, pods)
	probing, stop := context.WithCancel(ctx)
	probes := probeAll(probing, clients)
	// No question goes on in the background: the next look asks again.
	defer func() { stop(); a.drain(probes, len(clients)) }()
	a.collect(probes, len(clients), func() bool { return a.leads(pods) })
	speaker := choose(pods, a)
	if speaker != "" {
		a.askCluster(ctx, clients[speaker])
	}
	a.collect(probes, len(clients), func() bool { return a.etcd.Listed && a.complete(pods, clients) })
	// The first that claimed to lead may have been cut off without noticing it yet.
	if better := choose(pods, a); !a.etcd.Listed && better != speaker {
		speaker = better
		a.askCluster(ctx, clients[speaker])
	}
	switch {
	case speaker == "":
		a.etcd.Err = "no voter answers"
	case !a.complaint():
		o.hashes.forget(clusterKey(c))
	default:
		a.askAlarms(ctx, clients[speaker])
		o.askHashes(clusterKey(c), &a, pods, clients)
		a.askHistory(ctx, c, clients[speaker], a.probes[speaker].Revision)
	}
	if a.etcd.Listed && a.minorsDiffer(c) {
		a.askVersions(ctx, pods, clients, speaker)
	}
	return a
}

// answer of one process.
type answer struct {
	pod   types.UID
	probe state.Probe
}

func probeAll(ctx context.Context, clients map[types.UID]etcd.Client) <-chan answer {
	results := make(chan answer, len(clients))
	for uid, client := range clients {
		go func() { results <- answer{uid, probe(ctx, client)} }()
	}
	return results
}

// collect takes results in until there are total of them, or enough.
func (a *answers) collect(results <-chan answer, total int, enough func() bool) {
	for len(a.probes) < total && !enough() {
		r := <-results
		a.probes[r.pod] = r.probe
	}
}

// drain waits for the end of the questions that were given up.
func (a *answers) drain(results <-chan answer, total int) {
	for n := len(a.probes); n < total; n++ {
		<-results
	}
}

// leads tells that a member answered that leads.
func (a *answers) leads(pods []state.Pod) bool {
	speaker := a.probes[choose(pods, *a)]
	return speaker.Answered && speaker.Leader == speaker.MemberID
}

// complete tells that every process of a listed member was heard, or failed to answer.
func (a *answers) complete(pods []state.Pod, clients map[types.UID]etcd.Client) bool {
	for _, p := range pods {
		_, asked := clients[p.UID]
		_, heard := a.probes[p.UID]
		listed := slices.ContainsFunc(a.list, func(m etcd.Member) bool { return m.ID == p.MemberID })
		if asked && listed && !heard {
			return false
		}
	}
	return true
}

// clients of the Pods that may run a member. Clients of Pods that are gone are closed.
func (o *Observer) clients(c *state.Cluster, pods []state.Pod) map[types.UID]etcd.Client {
	clients := map[types.UID]etcd.Client{}
	key := c.Object.Namespace + "/" + c.Object.Name
	var keep []string
	for _, p := range pods {
		keep = append(keep, string(p.UID))
		if p.IP == "" || !p.Running {
			continue
		}
		if client, err := o.Etcd.Client(Target(c.Object, p)); err == nil {
			clients[p.UID] = client
		}
	}
	o.Etcd.Retain(key, keep)
	return clients
}

func probe(ctx context.Context, client etcd.Client) state.Probe {
	s, err := client.Status(ctx)
	if err != nil {
		return state.Probe{Err: etcd.Reason(err), Forbidden: etcd.Forbidden(err)}
	}
	return state.Probe{
		Answered: true, ClusterID: s.ClusterID, MemberID: s.MemberID, Version: s.Version, Leader: s.Leader,
		Term: s.Term, Committed: s.Committed, Applied: s.Applied, Learner: s.Learner, Errors: s.Errors,
		Revision: s.Revision, DBSize: s.DBSize, DBSizeInUse: s.DBSizeInUse, Quota: s.DBSizeQuota,
		StorageVersion: s.StorageVersion, DowngradeTarget: s.DowngradeTarget,
	}
}

// choose picks the member to ask about the cluster: the leader if it answers, else any voter that knows one. A learner
// cannot list (etcd server/etcdserver/api/v3rpc/util.go, isRPCSupportedForLearner).
func choose(pods []state.Pod, a answers) types.UID {
	best, leader, term := types.UID(""), types.UID(""), uint64(0)
	for _, p := range pods {
		pr := a.probes[p.UID]
		ours := a.etcd.ClusterID == 0 || pr.ClusterID == a.etcd.ClusterID
		if !pr.Answered || pr.Learner || pr.Leader == 0 || !ours || pr.MemberID != p.MemberID {
			continue
		}
		// A leader that was cut off claims to lead until it notices; the real one has a higher term.
		if pr.Leader == pr.MemberID && pr.Term >= term {
			leader, term = p.UID, pr.Term
		}
		if best == "" {
			best = p.UID
		}
	}
	if leader != "" {
		return leader
	}
	return best
}

// askCluster reads linearizably: each success proves that a majority serves.
func (a *answers) askCluster(ctx context.Context, client etcd.Client) {
	e := state.Etcd{ClusterID: a.etcd.ClusterID}
	var list etcd.MemberList
	var listErr, readErr error
	var wg sync.WaitGroup
	wg.Go(func() { list, listErr = client.Members(ctx) })
	wg.Go(func() { readErr = client.Read(ctx) })
	wg.Wait()
	e.Serving = readErr == nil
	for _, err := range []error{listErr, readErr} {
		if err != nil {
			e.Err = strings.TrimPrefix(e.Err+"; "+etcd.Reason(err), "; ")
		}
	}
	switch {
	case listErr != nil:
	case e.ClusterID != 0 && list.ClusterID != e.ClusterID:
		e.Err = fmt.Sprintf("the list came from cluster %x", list.ClusterID)
	default:
		e.Listed, e.ClusterID, a.list = true, list.ClusterID, list.Members
	}
	a.etcd = e
}

// askAlarms reads the alarms. Those that cannot be read are not none: the members' own words are taken then.
func (a *answers) askAlarms(ctx context.Context, client etcd.Client) {
	found, err := client.Alarms(ctx)
	if err != nil {
		a.etcd.Err = strings.TrimPrefix(a.etcd.Err+"; "+etcd.Reason(err), "; ")
		a.etcd.Alarms = a.suspected()
	}
	for _, alarm := range found {
		a.etcd.Alarms = append(a.etcd.Alarms, state.Alarm{
			Type: string(alarm.Type), Member: nameOf(a.list, alarm.MemberID), ID: alarm.MemberID,
		})
	}
}

// complaint tells that a member reports an error: then alarms are asked for. Not otherwise: even a question for alarms
// is an entry of the raft log (etcd server/etcdserver/v3_server.go, Alarm).
func (a answers) complaint() bool {
	for _, p := range a.probes {
		if len(p.Errors) > 0 {
			return true
		}
	}
	return false
}

// suspected are the alarms that the members' errors speak of, for when they cannot be listed.
func (a answers) suspected() []state.Alarm {
	var list []state.Alarm
	for _, kind := range []etcd.AlarmType{etcd.AlarmNoSpace, etcd.AlarmCorrupt} {
		for _, p := range a.probes {
			if strings.Contains(strings.Join(p.Errors, " "), string(kind)) {
				list = append(list, state.Alarm{Type: string(kind), Member: nameOf(nil, 0)})
				break
			}
		}
	}
	return list
}

// nameOf a member, or its ID when it has no name or is none any more.
func nameOf(members []etcd.Member, id uint64) string {
	for _, m := range members {
		if m.ID == id && m.Name != "" {
			return m.Name
		}
	}
	if id == 0 {
		return "an unknown member"
	}
	return resources.FormatID(id)
}
