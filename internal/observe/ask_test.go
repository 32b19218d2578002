package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestChooseWhomToAskAboutTheCluster(t *testing.T) {
	tests := map[string]struct {
		cluster *statetest.Builder
		want    types.UID
	}{
		"the leader": {statetest.Formed(3).Leader(2), "uid-demo-2"},
		"a follower while the leader does not answer": {statetest.Formed(3).Crash(0), "uid-demo-1"},
		"nobody when nobody answers":                  {statetest.Formed(3).Crash(0, 1, 2), ""},
		"nobody that knows no leader":                 {statetest.Formed(3).Leader(0).Unlisted(), ""},
		"no learner, which cannot list": {
			statetest.Formed(1).Learner(1).Launch(1).Run(1).Crash(0), "",
		},
		"no member of another cluster": {
			statetest.Formed(1).Member(0, func(m *state.Member) { m.Probe.ClusterID = 0xbad }), "",
		},
		"no process that is another than its Pod was made for": {
			statetest.Formed(1).Member(0, func(m *state.Member) { m.Probe.MemberID, m.Probe.Leader = 0xbad, 0xbad }), "",
		},
		"of two that claim to lead the one with the higher term": {
			statetest.Formed(3).Member(2, func(m *state.Member) { m.Probe.Leader, m.Probe.Term = m.ID, 3 }), "uid-demo-2",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, o, a := read(test.cluster)
			if got := choose(o.pods, a); got != test.want {
				t.Errorf("asks %q, want %q", got, test.want)
			}
		})
	}
}

// speaker answers about the cluster as it is told to.
type speaker struct {
	etcd.Client
	status                       etcd.Status
	list                         etcd.MemberList
	alarms                       []etcd.Alarm
	listErr, readErr, alarmError error
}

func (s speaker) Status(context.Context) (etcd.Status, error)      { return s.status, nil }
func (s speaker) Members(context.Context) (etcd.MemberList, error) { return s.list, s.listErr }
func (s speaker) Read(context.Context) error                       { return s.readErr }
func (s speaker) HashKV(_ context.Context, revision int64) (etcd.Hash, error) {
	return etcd.Hash{Value: 1, Revision: revision}, nil
}
func (s speaker) Alarms(context.Context) ([]etcd.Alarm, error) { return s.alarms, s.alarmError }

func TestAskCluster(t *testing.T) {
	const id = 0xc1
	list := etcd.MemberList{ClusterID: id, Members: []etcd.Member{{ID: 1, Name: "demo-0"}, {ID: 2}}}
	lost := errors.New("lost")
	complaint := []string{"memberID:1 alarm:NOSPACE "}
	tests := map[string]struct {
		speaker    speaker
		complaints []string
		want       state.Etcd
		listed     int
	}{
		"lists and serves": {speaker{list: list}, nil, state.Etcd{ClusterID: id, Listed: true, Serving: true}, 2},
		"a list of another cluster is none": {
			speaker{list: etcd.MemberList{ClusterID: 0xbad}}, nil,
			state.Etcd{ClusterID: id, Serving: true, Err: "the list came from cluster bad"}, 0,
		},
		"a list without a read does not serve": {
			speaker{list: list, readErr: lost}, nil, state.Etcd{ClusterID: id, Listed: true, Err: etcd.Reason(lost)}, 2,
		},
		"a read without a list lists nothing": {
			speaker{listErr: lost}, nil, state.Etcd{ClusterID: id, Serving: true, Err: etcd.Reason(lost)}, 0,
		},
		"alarms are not asked for while no member complains: each question is an entry of the log": {
			speaker{list: list, alarms: []etcd.Alarm{{MemberID: 1, Type: etcd.AlarmNoSpace}}}, nil,
			state.Etcd{ClusterID: id, Listed: true, Serving: true}, 2,
		},
		"alarms name their members": {
			speaker{list: list, alarms: []etcd.Alarm{
				{MemberID: 1, Type: etcd.AlarmNoSpace}, {MemberID: 2, Type: etcd.AlarmCorrupt}, {Type: etcd.AlarmCorrupt},
			}}, complaint,
			state.Etcd{ClusterID: id, Listed: true, Serving: true, Alarms: []state.Alarm{
				{Type: "NOSPACE", Member: "demo-0", ID: 1}, {Type: "CORRUPT", Member: "2", ID: 2},
				{Type: "CORRUPT", Member: "an unknown member"},
			}, Hashing: true}, 2,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pods := []state.Pod{{UID: "a", MemberID: 1, IP: "192.0.2.1", Running: true}}
			test.speaker.status = etcd.Status{ClusterID: id, MemberID: 1, Leader: 1, Errors: test.complaints}
			got := observerOf(map[string]etcd.Client{"a": test.speaker}).ask(t.Context(), clusterOf(id), pods)
			if diff := cmp.Diff(test.want, got.etcd); diff != "" || len(got.list) != test.listed {
				t.Errorf("%d members listed, want %d (-want +got):\n%s", len(got.list), test.listed, diff)
			}
		})
	}
}

func TestAlarmsThatCannotBeReadAreNotNone(t *testing.T) {
	one := speaker{
		status: etcd.Status{ClusterID: 1, MemberID: 1, Leader: 1, Errors: []string{"memberID:1 alarm:NOSPACE "}},
		list:   etcd.MemberList{ClusterID: 1}, alarmError: errors.New("lost"),
	}
	pods := []state.Pod{{UID: "a", MemberID: 1, IP: "192.0.2.1", Running: true}}
	got := observerOf(map[string]etcd.Client{"a": one}).ask(t.Context(), clusterOf(1), pods).etcd
	if got.Listed && len(got.Alarms) == 0 {
		t.Errorf("a member tells of an alarm, it cannot be read, and changes of the membership go on: %+v", got)
	}
}

// clientsByPod hands out the clients that a test made.
type clientsByPod map[string]etcd.Client

func (d clientsByPod) Client(t etcd.Target) (etcd.Client, error) { return d[t.PodUID], nil }
func (d clientsByPod) Retain(string, []string)                   {}

func observerOf(clients map[string]etcd.Client) *Observer {
	return &Observer{
		Etcd: clientsByPod(clients), Now: time.Now, Operations: &etcd.Operations{Now: time.Now, Go: func(func()) {}},
	}
}

func clusterOf(id uint64) *state.Cluster {
	return &state.Cluster{Object: &v1alpha1.EtcdCluster{}, Latch: &state.Latch{ClusterID: id}}
}

// hanging never says anything about itself.
type hanging struct{ etcd.Client }

func (hanging) Status(ctx context.Context) (etcd.Status, error) {
	<-ctx.Done()
	return etcd.Status{}, ctx.Err()
}

func TestAskWaitsForListedMembersOnly(t *testing.T) {
	leader := speaker{
		status: etcd.Status{ClusterID: 1, MemberID: 1, Leader: 1},
		list:   etcd.MemberList{ClusterID: 1, Members: []etcd.Member{{ID: 1}, {ID: 2}}},
	}
	follower := speaker{status: etcd.Status{ClusterID: 1, MemberID: 2, Leader: 1}}
	pods := []state.Pod{
		{UID: "leader", MemberID: 1, IP: "192.0.2.1", Running: true},
		{UID: "follower", MemberID: 2, IP: "192.0.2.2", Running: true},
		{UID: "removed", MemberID: 3, IP: "192.0.2.3", Running: true},
	}
	o := observerOf(map[string]etcd.Client{"leader": leader, "follower": follower, "removed": hanging{}})
	got := o.ask(t.Context(), clusterOf(1), pods)
	if !got.etcd.Listed || !got.probes["follower"].Answered {
		t.Errorf("a listed member that answers was not waited for: %+v", got)
	}
	if p, heard := got.probes["removed"]; heard {
		t.Errorf("the process of a removed member, which hangs, was waited for: %+v", p)
	}
}

func TestAskTurnsToTheRealLeaderWhenAFormerOneStillClaimsToLead(t *testing.T) {
	former := speaker{
		status:  etcd.Status{ClusterID: 1, MemberID: 1, Leader: 1, Term: 2},
		listErr: errors.New("no majority"), readErr: errors.New("no majority"),
	}
	elected := speaker{
		status: etcd.Status{ClusterID: 1, MemberID: 2, Leader: 2, Term: 3},
		list:   etcd.MemberList{ClusterID: 1, Members: []etcd.Member{{ID: 1}, {ID: 2}, {ID: 3}}},
	}
	pods := []state.Pod{
		{UID: "former", MemberID: 1, IP: "192.0.2.1", Running: true},
		{UID: "real", MemberID: 2, IP: "192.0.2.2", Running: true},
	}
	for range 20 { // whichever answers first
		got := observerOf(map[string]etcd.Client{"former": former, "real": elected}).ask(t.Context(), clusterOf(1), pods)
		if want := (state.Etcd{ClusterID: 1, Listed: true, Serving: true}); cmp.Diff(want, got.etcd) != "" {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got.etcd))
		}
	}
}

// nodes is a reader of nodes.
type nodes struct {
	client.Reader
	byName map[string]corev1.Node
	err    error
}

func (n nodes) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	node, found := n.byName[key.Name]
	switch {
	case n.err != nil:
		return n.err
	case !found:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, key.Name)
	}
	node.DeepCopyInto(into.(*corev1.Node)) //nolint:forcetypeassert // the test reads nothing else
	return nil
}

func TestReadNodes(t *testing.T) {
	node := func(ready corev1.ConditionStatus, taints ...string) corev1.Node {
		n := corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: ready},
		}}}
		for _, key := range taints {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key})
		}
		return n
	}
	cordoned := node(corev1.ConditionTrue, corev1.TaintNodeUnschedulable)
	cordoned.Spec.Unschedulable = true
	reader := nodes{byName: map[string]corev1.Node{
		"node-0": node(corev1.ConditionTrue),
		"node-1": node(corev1.ConditionUnknown, corev1.TaintNodeUnreachable),
		"node-2": node(corev1.ConditionUnknown, corev1.TaintNodeUnreachable, corev1.TaintNodeOutOfService),
		"node-3": cordoned,
		"node-5": node(corev1.ConditionFalse),
		"other":  node(corev1.ConditionTrue),
	}}
	c := statetest.Formed(5).NoPod(1).LeftoverPod(5).With(func(c *state.Cluster) { c.Leftovers.Pods[0].Node = "node-5" }).
		Build()
	if err := (&Observer{}).readNodes(t.Context(), reader, c); err != nil {
		t.Fatal(err)
	}
	want := map[string]state.Node{
		"node-0": {Ready: true}, "node-1": {}, "node-2": {OutOfService: true}, "node-3": {Ready: true, Unschedulable: true},
		"node-5": {},
	}
	if diff := cmp.Diff(want, c.Nodes); diff != "" {
		t.Errorf("nodes of members, of volumes without a Pod and of leftovers; one that is gone left out (-want +got):\n%s",
			diff)
	}
	reader.err = errors.New("forbidden")
	if err := (&Observer{}).readNodes(t.Context(), reader, c); !errors.Is(err, reader.err) {
		t.Errorf("error %v, want %v: a node that cannot be read must not pass for one that is gone", err, reader.err)
	}
}
