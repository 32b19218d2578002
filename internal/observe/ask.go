package observe

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// answers of etcd.
type answers struct {
	probes map[types.UID]state.Probe
	list   []etcd.Member
	etcd   state.Etcd
}

// Target is how a member's process is reached: by the Pod's IP, so that the operator needs no DNS.
func Target(namespace, cluster string, p state.Pod) etcd.Target {
	return etcd.Target{
		Cluster:    namespace + "/" + cluster,
		PodUID:     string(p.UID),
		Address:    net.JoinHostPort(p.IP, fmt.Sprint(resources.ClientPort)),
		ServerName: resources.PeerHost(namespace, cluster, p.Slot),
	}
}

// ask probes all members at once, each call with a deadline of its own, then asks one of them about the cluster.
func (o *Observer) ask(ctx context.Context, c *state.Cluster, pods []state.Pod) answers {
	a := answers{probes: map[types.UID]state.Probe{}}
	if c.Latch != nil {
		a.etcd.ClusterID = c.Latch.ClusterID
	}
	clients := o.clients(c, pods)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for uid, client := range clients {
		wg.Go(func() {
			p := probe(ctx, client)
			mu.Lock()
			defer mu.Unlock()
			a.probes[uid] = p
		})
	}
	wg.Wait()
	if speaker := choose(pods, a); speaker != "" {
		a.list, a.etcd = askCluster(ctx, clients[speaker], a)
	} else {
		a.etcd.Err = "no voter answers"
	}
	return a
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
		if client, err := o.Etcd.Client(Target(c.Object.Namespace, c.Object.Name, p)); err == nil {
			clients[p.UID] = client
		}
	}
	o.Etcd.Retain(key, keep)
	return clients
}

func probe(ctx context.Context, client etcd.Client) state.Probe {
	s, err := client.Status(ctx)
	if err != nil {
		return state.Probe{Err: etcd.Reason(err)}
	}
	return state.Probe{
		Answered: true, ClusterID: s.ClusterID, MemberID: s.MemberID, Version: s.Version, Leader: s.Leader,
		Term: s.Term, Committed: s.Committed, Applied: s.Applied, Learner: s.Learner, Errors: s.Errors,
		DBSize: s.DBSize, DBSizeInUse: s.DBSizeInUse,
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
func askCluster(ctx context.Context, client etcd.Client, a answers) ([]etcd.Member, state.Etcd) {
	e := a.etcd
	var list etcd.MemberList
	var found []etcd.Alarm
	var listErr, readErr, alarmErr error
	var wg sync.WaitGroup
	wg.Go(func() { list, listErr = client.Members(ctx) })
	wg.Go(func() { readErr = client.Read(ctx) })
	if a.complaint() {
		wg.Go(func() { found, alarmErr = client.Alarms(ctx) })
	}
	wg.Wait()
	e.Serving = readErr == nil
	for _, err := range []error{listErr, readErr, alarmErr} {
		if err != nil {
			e.Err = strings.TrimPrefix(e.Err+"; "+etcd.Reason(err), "; ")
		}
	}
	if listErr != nil {
		return nil, e
	}
	if e.ClusterID != 0 && list.ClusterID != e.ClusterID {
		e.Err = fmt.Sprintf("the list came from cluster %x", list.ClusterID)
		return nil, e
	}
	e.Listed, e.ClusterID = true, list.ClusterID
	if alarmErr != nil {
		e.Alarms = a.suspected()
	}
	for _, alarm := range found {
		e.Alarms = append(e.Alarms, state.Alarm{Type: string(alarm.Type), Member: nameOf(list.Members, alarm.MemberID)})
	}
	return list.Members, e
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
