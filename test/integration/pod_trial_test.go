package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// The operator tries a member's next Pod while the former one has its name: that is told only of a Pod that Kubernetes
// would accept.
func TestADryRunOfAPodThatExistsTellsWhetherKubernetesWouldAcceptIt(t *testing.T) {
	namespace := newNamespace(t)
	cluster := &v1alpha1.EtcdCluster{}
	cluster.Namespace, cluster.Name, cluster.UID = namespace, "demo", "uid-demo"
	for _, object := range []client.Object{memberPod(cluster), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "small"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer,
			Max:  corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		}}},
	}} {
		if err := server.Client.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T: %v", object, err)
		}
	}
	for name, tc := range map[string]struct {
		spec   string
		answer func(error) bool
		says   string
	}{
		"as it is": {`{}`, apierrors.IsAlreadyExists, "already exists"},
		"a resource that does not exist": {
			`{resources: {requests: {memroy: 1Gi}, limits: {memory: 1Gi}}}`, apierrors.IsInvalid, "memroy",
		},
		"an effect that does not exist": {
			`{tolerations: [{key: team, operator: Exists, effect: NoExec}]}`, apierrors.IsInvalid, "NoExecute",
		},
		"an operator that does not exist": {
			`{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: ` +
				`[{matchExpressions: [{key: zone, operator: in, values: [a]}]}]}}}}`, apierrors.IsInvalid, "operator",
		},
		"a user that cannot be": {`{securityContext: {runAsUser: -5}}`, apierrors.IsInvalid, "runAsUser"},
		"two equal spread constraints": {
			`{topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}, ` +
				`{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}`, apierrors.IsInvalid, "Duplicate value",
		},
		"a priority class that does not exist": {
			`{priorityClassName: fast}`, apierrors.IsForbidden, "no PriorityClass with name fast was found",
		},
		"more than the LimitRange permits": {
			`{resources: {requests: {memory: 2Gi}, limits: {memory: 2Gi}}}`, apierrors.IsForbidden, "maximum memory usage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			edited := cluster.DeepCopy()
			edited.Spec.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{}}
			if err := yaml.UnmarshalStrict([]byte(tc.spec), edited.Spec.PodTemplate.Spec); err != nil {
				t.Fatalf("the test's spec: %v", err)
			}
			err := server.Client.Create(t.Context(), memberPod(edited), client.DryRunAll)
			if !tc.answer(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("it answers with reason %q: %v, want one that says %q", apierrors.ReasonForError(err), err, tc.says)
			}
		})
	}
}

// memberPod is the Pod of the first member.
func memberPod(c *v1alpha1.EtcdCluster) *corev1.Pod {
	member := resources.LatchMembers(c, resources.NewLatch(c, 1, "token-1", 1, statetest.Version))[0]
	return resources.Pod(c, member, state.Start{Voter: true})
}
