package act

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// healthyPeer is the only member of its cluster, and healthy.
type healthyPeer struct {
	etcd.Client // what is not implemented must not be asked
	member      state.Incarnation
}

// onlyPeer leads to it.
type onlyPeer struct{ healthyPeer }

func (p onlyPeer) Client(etcd.Target) (etcd.Client, error) { return p.healthyPeer, nil }
func (onlyPeer) Retain(string, []string)                   {}

func (healthyPeer) Read(context.Context) error { return nil }

func (p healthyPeer) Status(context.Context) (etcd.Status, error) {
	return etcd.Status{
		ClusterID: p.member.ClusterID, MemberID: p.member.MemberID, Version: statetest.Version, Leader: p.member.MemberID,
		Term: 2, Committed: 9, Applied: 9, StorageVersion: "3.6.0",
	}, nil
}

func (p healthyPeer) Members(context.Context) (etcd.MemberList, error) {
	return etcd.MemberList{ClusterID: p.member.ClusterID, Members: []etcd.Member{{
		ID: p.member.MemberID, Name: "demo-0", PeerURLs: []string{p.member.PeerURL}, ClientURLs: []string{"http://demo-0:2379"},
	}}}, nil
}

// editedWorld holds a cluster of one healthy member, whose Pod template has been edited since.
func editedWorld(t *testing.T) *world {
	t.Helper()
	kept := &kubetest.TLS{Cluster: kubetest.Cluster(v1alpha1.TLSDisabled)}
	c := kept.Cluster
	c.Spec.Replicas = new(int32(1))
	latch := resources.NewLatch(c, 1, "token-1", 1, statetest.Version)
	member := resources.LatchMembers(c, latch)[0]
	latch.Formed, latch.Launched = true, []uint64{member.MemberID}
	claim, pod := resources.Volume(c, member), resources.Pod(c, member, state.Start{Voter: true})
	claim.UID, claim.Spec.VolumeName, claim.Status.Phase = "uid-claim", "pv-0", corev1.ClaimBound
	resources.RecordStarted(claim, member.ClusterID)
	resources.RecordPlacement(claim, "pv-0", "node-0")
	resources.Seal(pod, member, 0)
	pod.UID, pod.Status = "uid-demo-0", corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.0.0.1",
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: resources.EtcdContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, Ready: true,
		}},
	}
	edit(c, corev1.TaintEffectNoSchedule)
	w := &world{t: t, kept: kept, api: kubetest.New(t, c.DeepCopy(), claim, pod, resources.Latch(c, latch),
		resources.PeerService(c), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-0"}})}
	clock := func() time.Time { return now }
	peer := onlyPeer{healthyPeer{member: member}}
	observer := &observe.Observer{
		Etcd: peer, Now: clock, DefaultVersion: statetest.Version, Live: w.api, Credentials: &etcd.Credentials{},
	}
	w.operator = &Executor{
		Client: w.api, Live: w.api, Etcd: peer, Observer: observer, Expect: NewExpectations(w.api, w.api, clock),
	}
	return w
}

func edit(c *v1alpha1.EtcdCluster, effect corev1.TaintEffect) {
	c.Spec.PodTemplate = &v1alpha1.PodTemplate{Spec: &v1alpha1.PodSpec{Tolerations: []corev1.Toleration{{
		Key: "team", Operator: corev1.TolerationOpExists, Effect: effect,
	}}}}
}

// restart is the step that is planned, which must be the restart of demo-0.
func (w *world) restart() (*state.Cluster, plan.Step) {
	w.t.Helper()
	c := w.observe()
	d := plan.Next(c)
	if s, ok := d.Step.(plan.DeletePod); !ok || s.UID != "uid-demo-0" {
		w.t.Fatalf("planned is %v, want a restart of demo-0; blocked by %v", d.Step, d.Blocked)
	}
	return c, d.Step
}

// answering gives the answer to each dry run, and keeps what was tried.
func (w *world) answering(answer error) (tried *[]*corev1.Pod) {
	tried = new([]*corev1.Pod)
	w.api.Before = func(_ context.Context, _ client.WithWatch, verb string, obj client.Object) error {
		if pod, isPod := obj.(*corev1.Pod); isPod && verb == "try to create" {
			*tried = append(*tried, pod.DeepCopy())
			return answer
		}
		return nil
	}
	return tried
}

func TestAHealthyMemberIsNotStoppedForAPodThatKubernetesRefuses(t *testing.T) {
	const deleted, kept = true, false
	pods, kind := schema.GroupResource{Resource: "pods"}, schema.GroupKind{Kind: "Pod"}
	forbiddenFor := func(why string) error { return apierrors.NewForbidden(pods, "demo-0", errors.New(why)) }
	requests := field.NewPath("spec", "containers").Index(0).Child("resources", "requests")
	terminating := apierrors.NewForbidden(pods, "demo-0", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		answer  error
		deleted bool
		says    []string // to the user
		fails   failure  // instead of telling the user what to do
	}{
		"it would accept the Pod, were its name free": {answer: nil, deleted: deleted},
		"a field has a value that does not exist": {
			answer: apierrors.NewInvalid(kind, "demo-0", field.ErrorList{
				field.NotSupported(field.NewPath("spec", "tolerations").Index(0).Child("effect"), "NoExec", []string{"NoExecute"}),
			}), deleted: kept,
			says: []string{`demo-0 would be restarted: Pod "demo-0" is invalid: spec.tolerations[0].effect: Unsupported value: ` +
				`"NoExec": supported values: "NoExecute". Nothing is stopped`, "change the spec"},
		},
		"several fields are wrong, which it tells in any order": {
			answer: apierrors.NewInvalid(kind, "demo-0", field.ErrorList{
				field.Invalid(requests.Key("memroy"), "memroy", "no resource"), field.Invalid(requests.Key("cup"), "cup", "no resource"),
			}), deleted: kept, says: []string{`is invalid: spec.containers[0].resources.requests[cup]: Invalid value: "cup": ` +
				`no resource, spec.containers[0].resources.requests[memroy]`},
		},
		"it cannot read the Pod": {
			answer: apierrors.NewBadRequest("unable to parse"), deleted: kept, says: []string{"unable to parse"},
		},
		"its priority class does not exist": {
			answer: forbiddenFor("no PriorityClass with name fast was found"), deleted: kept,
			says: []string{"no PriorityClass with name fast was found", "what refuses the Pod"},
		},
		"a policy of the namespace forbids it": {
			answer: forbiddenFor(`violates PodSecurity "restricted:latest"`), deleted: kept, says: []string{"violates PodSecurity"},
		},
		"a webhook denies it": {
			answer: &apierrors.StatusError{ErrStatus: metav1.Status{
				Code: http.StatusForbidden, Message: `admission webhook "policy" denied the request: no`,
			}}, deleted: kept, says: []string{`admission webhook "policy" denied the request: no`},
		},
		"a webhook denies it with a code of its own": {
			answer: apierrors.NewInternalError(errors.New(`admission webhook "policy" denied the request: no`)), deleted: kept,
			says: []string{`admission webhook "policy" denied the request: no`},
		},
		"a policy finds it too large": {
			answer: apierrors.NewRequestEntityTooLargeError("ValidatingAdmissionPolicy 'p' denied request: no"), deleted: kept,
			says: []string{"denied request: no"},
		},
		"the quota is exceeded while the Pod that runs is counted": {
			answer: forbiddenFor("exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"), deleted: deleted,
		},
		"a webhook cannot be asked in a dry run": {
			answer:  apierrors.NewBadRequest(`admission webhook "injector" does not support dry run`),
			deleted: deleted,
		},
		"it has no time":   {answer: apierrors.NewTimeoutError("try again", 1), deleted: deleted},
		"it has a failure": {answer: apierrors.NewInternalError(errors.New("leader changed")), deleted: deleted},
		"a webhook cannot be reached, without which nothing is created": {
			answer:  apierrors.NewInternalError(errors.New(`failed calling webhook "policy": connection refused`)),
			deleted: kept, fails: failed,
		},
		"it cannot be reached": {
			answer: errors.New("connection refused"), deleted: kept, fails: failed,
		},
		"the namespace is being deleted": {answer: terminating, deleted: kept, fails: observeAgain},
	} {
		t.Run(name, func(t *testing.T) {
			w := editedWorld(t)
			c, step := w.restart()
			tried := w.answering(tc.answer)
			err := w.do(c, step)
			if len(*tried) != 1 {
				t.Errorf("%d dry runs, want 1", len(*tried))
			}
			var refused *RefusedError
			switch told := errors.As(err, &refused); {
			case tc.fails != "":
				tc.fails.check(t, err)
			case told != !tc.deleted || err != nil && !told:
				t.Errorf("it ended with %v", err)
			case told && refused.Blocked[0].Reason != v1alpha1.ReasonInvalidSpec:
				t.Errorf("the reason is %s, want %s", refused.Blocked[0].Reason, v1alpha1.ReasonInvalidSpec)
			}
			for _, part := range tc.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("it lacks %q: %v", part, err)
				}
			}
			if tc.deleted {
				requireWrites(t, w.api, "delete Pod demo-0")
			} else {
				requireWrites(t, w.api)
			}
		})
	}
}

// What is tried would prove nothing if another Pod were created afterwards.
func TestThePodThatIsTriedIsTheOneThatIsCreated(t *testing.T) {
	w := editedWorld(t)
	tried := w.answering(nil)
	if err := w.do(w.restart()); err != nil {
		t.Fatal(err)
	}
	c := w.observe()
	d := plan.Next(c)
	if _, starts := d.Step.(plan.StartMembers); !starts {
		t.Fatalf("planned is %v, want that demo-0 is started; blocked by %v", d.Step, d.Blocked)
	}
	if err := w.do(c, d.Step); err != nil {
		t.Fatal(err)
	}
	created := w.pod()
	if len(*tried) != 1 || len(created.Spec.Tolerations) != 1 {
		t.Fatalf("%d dry runs, tolerations %v", len(*tried), created.Spec.Tolerations)
	}
	stored := cmp.Options{
		cmpopts.IgnoreFields(metav1.ObjectMeta{}, "UID", "ResourceVersion"), cmpopts.IgnoreFields(corev1.Pod{}, "TypeMeta"),
	}
	if diff := cmp.Diff((*tried)[0], created, stored); diff != "" {
		t.Errorf("another Pod was created (-tried +created):\n%s", diff)
	}
}

func TestAnEditSinceThePodWasTriedIsTriedFirst(t *testing.T) {
	w := editedWorld(t)
	c, step := w.restart()
	w.meanwhile(func(ctx context.Context, behind client.WithWatch) error {
		var obj v1alpha1.EtcdCluster
		if err := behind.Get(ctx, client.ObjectKeyFromObject(c.Object), &obj); err != nil {
			return err
		}
		edit(&obj, "NoExec")
		return behind.Update(ctx, &obj)
	})
	observeAgain.check(t, w.do(c, step))
	requireWrites(t, w.api)
}

func TestAPodThatDoesNotRunIsReplacedWithoutATrial(t *testing.T) {
	w := editedWorld(t)
	pod := w.pod()
	pod.Status.Conditions = nil
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"},
	}
	if err := w.api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.operator.Observer.Etcd = noPeers{}
	tried := w.answering(errors.New("must not be asked"))
	w.api.Writes = nil
	if err := w.do(w.restart()); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "delete Pod demo-0")
	if len(*tried) > 0 {
		t.Errorf("%s was tried", (*tried)[0].Name)
	}
}
