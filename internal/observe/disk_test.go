package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// disk is the PersistentVolume of a built member, on nodes of this zone.
func disk(b *statetest.Builder, slot int, zone string) *corev1.PersistentVolume {
	v := b.Build().Members[slot].Volume
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: v.PersistentVolume},
		Spec:       corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Name: v.Name, UID: v.UID}},
	}
	if zone != "" {
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}},
			}}},
		}}
	}
	return pv
}

func nodeIn(name, zone string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": zone}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
	}
}

func TestReadDisks(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	crashed := func() *statetest.Builder { return three().Crash(1) }
	nodes := []client.Object{
		nodeIn("node-1", "a", corev1.ConditionTrue), nodeIn("node-0", "a", corev1.ConditionFalse),
		nodeIn("node-2", "b", corev1.ConditionTrue),
	}
	change := func(pv *corev1.PersistentVolume, f func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
		f(pv)
		return pv
	}
	terminating := func(pv *corev1.PersistentVolume) {
		pv.DeletionTimestamp, pv.Finalizers = &metav1.Time{Time: statetest.Now}, []string{"kubernetes.io/pv-protection"}
	}
	anothers := func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.UID = "uid-other" }
	tests := map[string]struct {
		cluster *statetest.Builder
		disk    *corev1.PersistentVolume // of demo-1
		want    *state.Disk
	}{
		"of a healthy member the nodes are not looked for": {three(), disk(three(), 1, "a"), &state.Disk{}},
		"of a healthy member whose node is gone they are": {
			three().With(func(c *state.Cluster) { delete(c.Nodes, "node-1") }), disk(three(), 1, "b"),
			&state.Disk{Searched: true, Hosts: []string{"node-2"}},
		},
		"one in a zone goes to the nodes of that zone, ready or not": {
			crashed(), disk(three(), 1, "a"), &state.Disk{Searched: true, Hosts: []string{"node-0", "node-1"}},
		},
		"one without an affinity goes to any node": {
			crashed(), disk(three(), 1, ""), &state.Disk{Searched: true, Hosts: []string{"node-0", "node-1", "node-2"}},
		},
		"one of a zone without nodes goes nowhere": {crashed(), disk(three(), 1, "c"), &state.Disk{Searched: true}},
		"one that is gone":                         {crashed(), nil, &state.Disk{Gone: true}},
		"one that another claim is bound to": {
			crashed(), change(disk(three(), 1, "a"), anothers), &state.Disk{Gone: true},
		},
		"one that is being deleted": {three(), change(disk(three(), 1, "a"), terminating), &state.Disk{Terminating: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := append([]client.Object{disk(three(), 0, "a"), disk(three(), 2, "b")}, nodes...)
			if test.disk != nil {
				objects = append(objects, test.disk)
			}
			c := test.cluster.Build()
			api := kubetest.New(t, objects...)
			if err := (&Observer{Live: api}).readDisks(t.Context(), api, c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Members[1].Volume.Disk); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, host := range c.Members[1].Volume.Disk.Hosts {
				if _, known := c.Nodes[host]; !known {
					t.Errorf("nothing is told of %s, to which the volume can be attached", host)
				}
			}
		})
	}
}

func TestADiskThatCannotBeReadDoesNotPassForGone(t *testing.T) {
	refused := errors.New("forbidden")
	c := statetest.Formed(3).Build()
	api := nodesUnreadable{err: refused}
	if err := (&Observer{Live: api}).readDisks(t.Context(), api, c); !errors.Is(err, refused) {
		t.Errorf("error %v, want %v", err, refused)
	}
}

type nodesUnreadable struct {
	client.Reader
	err error
}

func (n nodesUnreadable) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return n.err
}

func TestReadMemberServices(t *testing.T) {
	c := statetest.Formed(3).Build()
	other := resources.MemberService(c.Object, 7)
	other.Labels[resources.LabelCluster] = "other"
	api := kubetest.New(t, resources.MemberService(c.Object, 4), resources.MemberService(c.Object, 0),
		resources.ClientService(c.Object), resources.PeerService(c.Object), other)
	if err := readMemberServices(t.Context(), api, c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 4}, c.MemberServices); diff != "" {
		t.Errorf("slots with a Service (-want +got):\n%s", diff)
	}
}

func TestTheLeaderIsAskedForAMemberThatDoesNotAnswer(t *testing.T) {
	id := func(slot int) uint64 { return statetest.Formed(3).ID(slot) }
	lost := errors.New("connection refused")
	tests := map[string]struct {
		cluster *statetest.Builder
		active  map[uint64]bool
		err     error
		asked   bool
		want    state.Peer // of demo-1
		health  state.Health
	}{
		"nobody is asked while all members answer": {
			cluster: statetest.Formed(3), active: map[uint64]bool{id(1): true}, health: state.Healthy,
		},
		"nobody is asked before the cluster has formed": {
			cluster: statetest.Formed(3).Crash(1).With(func(c *state.Cluster) { c.Latch.Formed = false }),
		},
		"nobody is asked when there is no leader": {cluster: statetest.Formed(3).Crash(1).Unlisted()},
		"a member that the leader hears from is not blamed": {
			cluster: statetest.Formed(3).Unreachable(1).Member(1, func(m *state.Member) { m.Pod.Ready = false }),
			active:  map[uint64]bool{id(1): true, id(2): true}, asked: true, want: state.PeerActive, health: state.Unknown,
		},
		"one that it does not hear from is": {
			cluster: statetest.Formed(3).Crash(1), active: map[uint64]bool{id(2): true}, asked: true, want: state.PeerInactive,
		},
		"when the leader cannot be asked nothing is known": {
			cluster: statetest.Formed(3).Crash(1), err: lost, asked: true, want: state.PeerUnknown,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			asked := ""
			clock := func() time.Time { return statetest.Now }
			o := &Observer{Now: clock, ReadPeers: func(_ context.Context, address string, member uint64) (etcd.PeerReading, error) {
				if asked = address; member != id(0) {
					t.Errorf("asked for the metrics of member %x, want %x", member, id(0))
				}
				return etcd.PeerReading{Active: test.active}, test.err
			}}
			c := test.cluster.Build()
			o.readPeers(t.Context(), c)
			if want := map[bool]string{true: "10.0.0.0:2381"}[test.asked]; asked != want {
				t.Errorf("asked at %q, want %q", asked, want)
			}
			if m := c.Members[1]; m.Peer != test.want || m.Health != test.health {
				t.Errorf("demo-1 is peer %d and %s, want %d and %s", m.Peer, m.Health, test.want, test.health)
			}
			if (c.Etcd.PeersErr != "") != (test.err != nil) {
				t.Errorf("the reason is %q", c.Etcd.PeersErr)
			}
		})
	}
}
