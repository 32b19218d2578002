package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/observe"
)

func TestTheCacheKeepsOfANodeWhatIsObserved(t *testing.T) {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker-1", Labels: map[string]string{corev1.LabelTopologyZone: "a"}},
		Spec: corev1.NodeSpec{
			Unschedulable: true, Taints: []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}},
		},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(time.Unix(1e9, 0))},
			},
			Images: []corev1.ContainerImage{{Names: []string{"a", "b"}}},
		},
	}
	obj, err := stripNode(node)
	if err != nil {
		t.Fatal(err)
	}
	slim, ok := obj.(*corev1.Node)
	if !ok {
		t.Fatalf("it keeps a %T", obj)
	}
	if diff := cmp.Diff(observe.NodeState(node), observe.NodeState(slim)); diff != "" {
		t.Errorf("the node's state (-full +cached):\n%s", diff)
	}
	if diff := cmp.Diff(node.Status.Allocatable, slim.Status.Allocatable); diff != "" {
		t.Errorf("where there is room for a larger Pod (-full +cached):\n%s", diff)
	}
	if diff := cmp.Diff(node.Labels, slim.Labels); diff != "" {
		t.Errorf("the labels that volumes and specs select (-full +cached):\n%s", diff)
	}
	if slim.Status.Images != nil {
		t.Errorf("it keeps the images %v", slim.Status.Images)
	}
}
