package integration

import (
	"fmt"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// scale does what kubectl scale does: it reads and writes the scale subresource.
func scale(t *testing.T, object client.Object, replicas int32) error {
	t.Helper()
	cluster := &v1alpha1.EtcdCluster{}
	cluster.SetNamespace(object.GetNamespace())
	cluster.SetName(object.GetName())
	current := &autoscalingv1.Scale{}
	if err := server.Client.SubResource("scale").Get(t.Context(), cluster, current); err != nil {
		t.Fatalf("read the scale subresource: %v", err)
	}
	current.Spec.Replicas = replicas
	return server.Client.SubResource("scale").Update(t.Context(), cluster, client.WithSubResourceBody(current))
}

func TestRefusedScale(t *testing.T) {
	stored := createCluster(t, newNamespace(t), "demo", `{replicas: 3}`)
	for replicas, wanted := range map[int32]string{
		-1: "spec.replicas", 0: wantReplicas, 2: wantReplicas, 4: wantReplicas, 6: wantReplicas, 8: wantReplicas,
		9: wantReplicas, 1000: wantReplicas,
	} {
		t.Run(fmt.Sprintf("to %d members", replicas), func(t *testing.T) {
			refused(t, scale(t, stored, replicas), wanted)
			unchanged(t, stored)
		})
	}
}

func TestAcceptedScale(t *testing.T) {
	stored := createCluster(t, newNamespace(t), "demo", `{replicas: 3}`)
	for _, replicas := range []int32{1, 3, 5, 7} {
		t.Run(fmt.Sprintf("to %d members", replicas), func(t *testing.T) {
			if err := scale(t, stored, replicas); err != nil {
				t.Fatalf("refused: %v", err)
			}
			cluster := &v1alpha1.EtcdCluster{}
			if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), cluster); err != nil {
				t.Fatalf("read the cluster: %v", err)
			}
			if cluster.Spec.Replicas == nil || *cluster.Spec.Replicas != replicas {
				t.Errorf("spec.replicas is %v, want %d", cluster.Spec.Replicas, replicas)
			}
		})
	}
}

func TestScaleShowsTheStatus(t *testing.T) {
	cluster := createClusterWithStatus(t)
	shown := &autoscalingv1.Scale{}
	if err := server.Client.SubResource("scale").Get(t.Context(), cluster, shown); err != nil {
		t.Fatalf("read the scale subresource: %v", err)
	}
	want := autoscalingv1.ScaleStatus{Replicas: 3, Selector: "quorate.dev/cluster=demo"}
	if shown.Spec.Replicas != 3 || shown.Status != want {
		t.Errorf("got spec %+v and status %+v, want 3 replicas and %+v", shown.Spec, shown.Status, want)
	}
}
