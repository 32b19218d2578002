package act

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// now is the time of the tests.
var now = statetest.Now

// world is an API server with an operator.
type world struct {
	t    *testing.T
	api  *kubetest.API
	kept *kubetest.TLS
	// operator lives as long as the world, with what it remembers.
	operator *Executor
}

// newWorld holds a cluster that speaks TLS, its objects changed by the functions.
func newWorld(t *testing.T, kept *kubetest.TLS, change ...func(client.Object) client.Object) *world {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kept.Cluster.Namespace}}
	w := &world{t: t, api: kubetest.New(t, append(kept.Objects(change...), namespace)...), kept: kept}
	observer := &observe.Observer{
		Etcd: noPeers{}, Now: func() time.Time { return now }, DefaultVersion: statetest.Version, Live: w.api,
		Credentials: &etcd.Credentials{},
	}
	w.operator = &Executor{
		Client: w.api, Live: w.api, Etcd: noPeers{}, Observer: observer,
		Expect: NewExpectations(w.api, w.api, func() time.Time { return now }), NewToken: func() string { return "token" },
	}
	return w
}

func managed(t *testing.T) *kubetest.TLS {
	t.Helper()
	return kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), now)
}

// noPeers answers for no member.
type noPeers struct{}

func (noPeers) Client(etcd.Target) (etcd.Client, error) { return nil, errors.New("no member runs") }
func (noPeers) Retain(string, []string)                 {}

// observe is the cluster as it is now.
func (w *world) observe() *state.Cluster {
	w.t.Helper()
	c, err := w.operator.Observer.Observe(w.t.Context(), w.api, w.kept.Cluster.DeepCopy())
	if err != nil {
		w.t.Fatalf("observe: %v", err)
	}
	return c
}

// do executes a step on the cluster as it was observed, without the confirmation of what is irreversible.
func (w *world) do(c *state.Cluster, step plan.Step) error {
	w.t.Helper()
	e := w.operator
	writer := &writer{Client: e.Client, live: e.Live, expect: e.Expect, observer: e.Observer, cluster: c.Object}
	if s, ok := step.(plan.SetAuthority); ok {
		return setAuthority(w.t.Context(), writer, c, s)
	}
	return e.Do(w.t.Context(), c, step)
}

func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	var s corev1.Secret
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &s); err != nil {
		w.t.Fatalf("read Secret %s: %v", name, err)
	}
	return &s
}

func (w *world) authority(side state.Side) resources.Authority {
	w.t.Helper()
	a, err := resources.ReadAuthority(w.secret(resources.AuthorityName("demo", side)))
	if err != nil {
		w.t.Fatalf("the %s CA that was written: %v", side, err)
	}
	return a
}

// unchanged fails when the step wrote anything, or when its error is not of the kind.
func (w *world) unchanged(err error, want failure) {
	w.t.Helper()
	want.check(w.t, err)
	if len(w.api.Writes) > 0 {
		w.t.Errorf("it wrote: %v", w.api.Writes)
	}
	w.requireNoLeak(err)
}

func (w *world) requireNoLeak(err error) {
	w.t.Helper()
	if err == nil {
		return
	}
	if leak := w.kept.LeakOf(err.Error()); leak != "" {
		w.t.Errorf("the error shows %s: %v", leak, err)
	}
	if leak, leakErr := w.api.LeakOf(w.t.Context(), err.Error()); leakErr != nil || leak != "" {
		w.t.Errorf("the error shows %s (%v): %v", leak, leakErr, err)
	}
}

// failure is how a step fails.
type failure string

const (
	// observeAgain: the world is no longer as it was observed.
	observeAgain failure = "observe again"
	// conflict: a person has to make room.
	conflict failure = "conflict of owners"
	// failed: it is tried again, and told.
	failed failure = "failed"
)

func (f failure) check(t *testing.T, err error) {
	t.Helper()
	_, later := Later(err)
	got := failed
	switch {
	case err == nil:
		t.Errorf("no error, want %q", f)
		return
	case errors.Is(err, ErrConflict):
		got = conflict
	case later:
		got = observeAgain
	}
	if got != f {
		t.Errorf("%q, want %q: %v", got, f, err)
	}
}

// podOf is a member's Pod that trusts the ConfigMap.
func podOf(c *v1alpha1.EtcdCluster, slot int, trust string) *corev1.Pod {
	i := resources.LatchMembers(c, resources.NewLatch(c, 1, "token-1", 3, statetest.Version))[slot]
	pod := resources.Pod(c, i, state.Start{InitialCluster: i.BootstrapList, Voter: true, Trust: trust})
	pod.UID = types.UID("uid-" + pod.Name)
	return pod
}

func (w *world) create(objects ...client.Object) *world {
	w.t.Helper()
	for _, obj := range objects {
		if err := w.api.Create(w.t.Context(), obj); err != nil {
			w.t.Fatalf("create %s: %v", obj.GetName(), err)
		}
	}
	w.api.Writes = nil
	return w
}

// meanwhile does something behind the operator's back, just before its next write.
func (w *world) meanwhile(do func(context.Context, client.WithWatch) error) {
	w.api.Before = func(ctx context.Context, behind client.WithWatch, _ string, _ client.Object) error {
		w.api.Before = nil
		if err := do(ctx, behind); err != nil {
			w.t.Errorf("the other one: %v", err)
		}
		return nil
	}
}

// touch is a change by somebody else.
func touch(name string) func(context.Context, client.WithWatch) error {
	return func(ctx context.Context, behind client.WithWatch) error {
		var s corev1.Secret
		if err := behind.Get(ctx, client.ObjectKey{Namespace: "shop", Name: name}, &s); err != nil {
			return err
		}
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, "touched", "yes")
		return behind.Update(ctx, &s)
	}
}

func somebodyElses(s *corev1.Secret) { s.OwnerReferences[0].UID = "uid-somebody" }

func unlabelled(s *corev1.Secret) { s.Labels = nil }

func beingDeleted(s *corev1.Secret) {
	s.Finalizers, s.DeletionTimestamp = []string{"example.com/hold"}, &metav1.Time{Time: now}
}

func garbage(key string) func(*corev1.Secret) {
	return func(s *corev1.Secret) { s.Data[key] = []byte("garbage") }
}

func requireBundle(t *testing.T, what string, got pki.Bundle, want ...pki.Pair) {
	t.Helper()
	if wanted := pkitest.Bundle(t, want...); got.Hash() != wanted.Hash() {
		t.Errorf("%s: got %s, want %s", what, got, wanted)
	}
}

func requireWrites(t *testing.T, api *kubetest.API, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, slices.Clone(api.Writes)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
