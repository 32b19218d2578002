package integration

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// createClusterWithStatus makes a cluster of three members whose status says that all is well.
func createClusterWithStatus(t *testing.T) *v1alpha1.EtcdCluster {
	t.Helper()
	object := createCluster(t, newNamespace(t), "demo", `{replicas: 3}`)
	cluster := &v1alpha1.EtcdCluster{}
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(object), cluster); err != nil {
		t.Fatalf("read the cluster: %v", err)
	}
	cluster.Status = quorateStatus(cluster.Generation)
	if err := server.Client.Status().Update(t.Context(), cluster); err != nil {
		t.Fatalf("write the status: %v", err)
	}
	return cluster
}

func quorateStatus(generation int64) v1alpha1.EtcdClusterStatus {
	status := v1alpha1.EtcdClusterStatus{
		ObservedGeneration: &generation,
		Replicas:           ptr.To[int32](3),
		ReadyReplicas:      ptr.To[int32](2),
		Selector:           ptr.To("quorate.dev/cluster=demo"),
		ClusterID:          ptr.To("cdf818194e3a8c32"),
		Version:            ptr.To("3.6.16"),
		Leader:             ptr.To("demo-1"),
		Endpoints:          []string{"http://demo-0.demo-members:2379"},
		Quorum: &v1alpha1.QuorumStatus{
			Voters: ptr.To[int32](3), Healthy: ptr.To[int32](2), Required: ptr.To[int32](2),
			FailureTolerance: ptr.To[int32](0), Summary: "2/3",
		},
		Members: []v1alpha1.MemberStatus{{
			Name: "demo-0", ID: ptr.To("8e9e05c52164694d"), Role: v1alpha1.RoleVoter, Health: v1alpha1.HealthHealthy,
		}},
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonMemberUnhealthy,
		Message: "demo-2 is not healthy", ObservedGeneration: generation,
	})
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonWaiting,
		Message: "Waits for demo-2", ObservedGeneration: generation,
	})
	return status
}

// table asks for the columns that kubectl get prints.
func table(t *testing.T, cluster *v1alpha1.EtcdCluster) *metav1.Table {
	t.Helper()
	config := rest.CopyConfig(server.Config)
	config.APIPath = "/apis"
	config.GroupVersion = &v1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(server.Client.Scheme()).WithoutConversion()
	restClient, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatalf("create a client: %v", err)
	}
	body, err := restClient.Get().Namespace(cluster.Namespace).Resource("etcdclusters").Name(cluster.Name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatalf("read the table: %v", err)
	}
	printed := &metav1.Table{}
	if err := json.Unmarshal(body, printed); err != nil {
		t.Fatalf("parse the table: %v\n%s", err, body)
	}
	return printed
}

func TestPrintColumns(t *testing.T) {
	printed := table(t, createClusterWithStatus(t))
	if len(printed.Rows) != 1 {
		t.Fatalf("got %d rows, want 1", len(printed.Rows))
	}
	got := map[string]any{}
	var order []string
	for i, column := range printed.ColumnDefinitions {
		got[column.Name] = printed.Rows[0].Cells[i]
		if column.Priority == 0 {
			order = append(order, column.Name)
		}
	}
	wantOrder := []string{"Name", "Ready", "Replicas", "Quorum", "Leader", "Version", "Age"}
	if diff := cmp.Diff(wantOrder, order); diff != "" {
		t.Errorf("columns without -o wide (-want +got):\n%s", diff)
	}
	if age, _ := got["Age"].(string); age == "" {
		t.Errorf("the column Age is empty")
	}
	delete(got, "Age")
	want := map[string]any{
		"Name": "demo", "Ready": "False", "Replicas": float64(3), "Quorum": "2/3", "Leader": "demo-1",
		"Version": "3.6.16", "Status": "Waits for demo-2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestTheStatusIsKeptAsItWasWritten(t *testing.T) {
	cluster := createClusterWithStatus(t)
	stored := &v1alpha1.EtcdCluster{}
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(cluster), stored); err != nil {
		t.Fatalf("read the cluster: %v", err)
	}
	if diff := cmp.Diff(cluster.Status, stored.Status); diff != "" {
		t.Errorf("status (-written +stored):\n%s", diff)
	}
}

func TestAStatusWriteLeavesTheSpecAlone(t *testing.T) {
	cluster := createClusterWithStatus(t)
	changed := cluster.DeepCopy()
	changed.Spec.Replicas = ptr.To[int32](5)
	changed.Status.Leader = ptr.To("demo-2")
	if err := server.Client.Status().Update(t.Context(), changed); err != nil {
		t.Fatalf("write the status: %v", err)
	}
	if *changed.Spec.Replicas != 3 || changed.Generation != cluster.Generation {
		t.Errorf("replicas %d and generation %d, want 3 and %d",
			*changed.Spec.Replicas, changed.Generation, cluster.Generation)
	}
}

func TestASpecWriteLeavesTheStatusAlone(t *testing.T) {
	cluster := createClusterWithStatus(t)
	changed := cluster.DeepCopy()
	changed.Status.Leader = ptr.To("demo-2")
	if err := server.Client.Update(t.Context(), changed); err != nil {
		t.Fatalf("write the spec: %v", err)
	}
	if leader := *changed.Status.Leader; leader != "demo-1" {
		t.Errorf("the leader in the status is %q, want it still %q", leader, "demo-1")
	}
}

func TestDefaultsThatAreStored(t *testing.T) {
	namespace := newNamespace(t)
	for name, c := range map[string]struct{ spec, stored string }{
		"empty":           {`{}`, `{replicas: 3, storage: {}}`},
		"replicas":        {`{replicas: 3}`, `{replicas: 3, storage: {}}`},
		"storage-is-null": {`{replicas: 1, storage: null}`, `{replicas: 1, storage: {}}`},
		"ephemeral":       {`{storage: {ephemeral: {}}}`, `{replicas: 3, storage: {ephemeral: {}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			object := createCluster(t, namespace, name, c.spec)
			spec, _, err := unstructured.NestedMap(object.Object, "spec")
			if err != nil {
				t.Fatalf("read the spec: %v", err)
			}
			// Only constants are stored: computed defaults would hide what the person wanted.
			want, got := toJSON(t, parseSpec(t, c.stored)), toJSON(t, spec)
			if want != got {
				t.Errorf("stored %s, want %s", got, want)
			}
		})
	}
}

func toJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("write JSON: %v", err)
	}
	return string(text)
}
