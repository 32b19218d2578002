package observe

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestRoomIsLookedForWhereANodeIsTooSmall(t *testing.T) {
	node := func(name, zone, cpu string, change ...func(*corev1.Node)) *corev1.Node {
		n := nodeIn(name, zone, corev1.ConditionTrue)
		n.Status.Allocatable = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("4Gi"),
		}
		for _, f := range change {
			f(n)
		}
		return n
	}
	asks := func(s *v1alpha1.EtcdClusterSpec) {
		s.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("1Gi"),
			},
		}}}
	}
	selects := func(s *v1alpha1.EtcdClusterSpec) { s.PodTemplate.Spec.NodeSelector = map[string]string{"zone": "b"} }
	infeasible := func() *statetest.Builder {
		return statetest.Formed(3).Spec(asks).Member(1, func(m *state.Member) { m.Pod.Resize.Infeasible = true })
	}
	refused := func() *statetest.Builder {
		return statetest.Formed(3).Spec(asks).Member(1, func(m *state.Member) { m.Pod.Resize.TooLarge = true })
	}
	ephemeral := func() *statetest.Builder {
		return statetest.Ephemeral(3).Spec(asks).Member(1, func(m *state.Member) { m.Pod.Resize.TooLarge = true })
	}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	down := func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }
	tainted := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{
			{Key: "node.kubernetes.io/unschedulable", Effect: corev1.TaintEffectNoSchedule}, // of a moment ago
			{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule},
		}
	}
	tolerates := func(s *v1alpha1.EtcdClusterSpec) {
		s.PodTemplate.Spec.Tolerations = []corev1.Toleration{{
			Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists,
		}}
	}
	admitted := func(m *state.Member) {
		m.Pod.Tolerations = []corev1.Toleration{{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists}}
	}
	limits := func(s *v1alpha1.EtcdClusterSpec) {
		asks(s)
		r := s.PodTemplate.Spec.Resources
		r.Limits, r.Requests = r.Requests, nil
	}
	unbound := func(m *state.Member) { m.Volume.PersistentVolume = "" }
	small := node("node-1", "a", "2")
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		zone    string // of the volume of demo-1
		nodes   []client.Object
		want    bool
	}{
		"no node has so much":                                        {infeasible(), "", []client.Object{small, node("node-2", "a", "7900m")}, false},
		"another one has":                                            {infeasible(), "", []client.Object{small, node("node-2", "a", "8")}, true},
		"also when the API server refused it":                        {refused(), "", []client.Object{small, node("node-2", "a", "8")}, true},
		"its own has, and cannot do it for other reasons":            {infeasible(), "", []client.Object{node("node-1", "a", "8")}, true},
		"another one has, where its volume cannot be":                {infeasible(), "a", []client.Object{small, node("node-2", "b", "8")}, false},
		"another one has, where its volume can be":                   {infeasible(), "b", []client.Object{small, node("node-2", "b", "8")}, true},
		"another one has, that is cordoned":                          {infeasible(), "", []client.Object{small, node("node-2", "a", "8", cordoned)}, false},
		"another one has, that is not ready":                         {infeasible(), "", []client.Object{small, node("node-2", "a", "8", down)}, false},
		"another one has, that the spec does not admit":              {infeasible().Spec(selects), "", []client.Object{small, node("node-2", "a", "8")}, false},
		"another one has, that the spec admits":                      {infeasible().Spec(selects), "", []client.Object{small, node("node-2", "b", "8")}, true},
		"another one has, with a taint that members do not tolerate": {infeasible(), "", []client.Object{small, node("node-2", "a", "8", tainted)}, false},
		"another one has, with a taint that members tolerate":        {infeasible().Spec(tolerates), "", []client.Object{small, node("node-2", "a", "8", tainted)}, true},
		"another one has, with a taint that admission lets members tolerate": {
			infeasible().Member(0, admitted), "", []client.Object{small, node("node-2", "a", "8", tainted)}, true,
		},
		"a limit alone is asked for as well": {
			statetest.Formed(3).Spec(limits), "", []client.Object{small, node("node-2", "a", "7900m")}, false,
		},
		"a claim that is not bound yet is bound to no node": {
			infeasible().Member(1, unbound), "a", []client.Object{small, node("node-2", "b", "8")}, true,
		},
		"data in a Pod binds it to no node": {ephemeral(), "", []client.Object{small, node("node-2", "b", "8")}, true},
		"one that is to have more is asked for before it is tried": {
			statetest.Formed(3).Spec(asks), "", []client.Object{small, node("node-2", "a", "8")}, true,
		},
		"one that is to have no more needs no other node": {
			statetest.Formed(3), "", []client.Object{small, node("node-2", "a", "8")}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects := row.nodes
			c := row.cluster.Build()
			if !c.Ephemeral() {
				objects = append(objects, disk(row.cluster, 1, row.zone))
			}
			api := kubetest.New(t, objects...)
			if err := (&Observer{Live: api}).readRoom(t.Context(), api, c); err != nil {
				t.Fatal(err)
			}
			if got := c.Members[1].Pod.Resize.Room; got != row.want {
				t.Errorf("room is known: %t, want %t", got, row.want)
			}
		})
	}
}
