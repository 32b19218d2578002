package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// operator is a whole operator whose words are kept: logs at every level, events, decisions and errors.
type operator struct {
	t          *testing.T
	api        *kubetest.API
	reconciler *EtcdClusterReconciler
	words      strings.Builder
	// keys are all private keys that were ever in a Secret.
	keys map[string]string
}

// Eventf keeps an event.
func (o *operator) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	fmt.Fprintf(&o.words, "event about %T: %s %s %s: %s\n", regarding, kind, reason, action, fmt.Sprintf(note, args...))
}

// noMembers answers for no member.
type noMembers struct{}

func (noMembers) Client(etcd.Target) (etcd.Client, error) { return nil, errors.New("no member runs") }
func (noMembers) Retain(string, []string)                 {}

func newOperator(t *testing.T, objects ...client.Object) *operator {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	o := &operator{t: t, api: kubetest.New(t, append(objects, namespace)...), keys: map[string]string{}}
	clock := func() time.Time { return statetest.Now }
	expect := act.NewExpectations(o.api, o.api, clock)
	observer := &observe.Observer{
		Etcd: noMembers{}, Now: clock, DefaultVersion: statetest.Version, Live: o.api, Credentials: &etcd.Credentials{},
	}
	o.reconciler = &EtcdClusterReconciler{
		Client: o.api, Etcd: noMembers{}, Observer: observer, Expect: expect, Events: o,
		Metrics: NewMetrics(prometheus.NewRegistry()),
		Executor: &act.Executor{
			Client: o.api, Live: o.api, Etcd: noMembers{}, Observer: observer, Expect: expect,
			NewToken: func() string { return "token" },
		},
	}
	return o
}

// reconcile reconciles a few times, and keeps what was said meanwhile, also what is only ever said in a debugger.
func (o *operator) reconcile(times int) {
	o.t.Helper()
	log := funcr.New(func(prefix, args string) { fmt.Fprintln(&o.words, "log", prefix, args) }, funcr.Options{Verbosity: 99})
	ctx := logr.NewContext(o.t.Context(), log)
	key := client.ObjectKey{Namespace: "shop", Name: "demo"}
	for range times {
		o.rememberKeys(ctx)
		o.think(ctx, key)
		if _, err := o.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: key}); err != nil {
			fmt.Fprintf(&o.words, "error %+v\n", err)
		}
	}
	o.rememberKeys(ctx)
}

// think says what the operator has in mind: the observation, the decision, and the steps, in every notation.
func (o *operator) think(ctx context.Context, key client.ObjectKey) {
	o.t.Helper()
	var obj v1alpha1.EtcdCluster
	if err := o.api.Get(ctx, key, &obj); err != nil {
		o.t.Fatal(err)
	}
	c, err := o.reconciler.Observer.Observe(ctx, o.api, &obj)
	if err != nil {
		fmt.Fprintf(&o.words, "error %+v\n", err)
		return
	}
	d := plan.Next(c)
	asJSON, err := json.Marshal([]any{c, d})
	if err != nil {
		o.t.Fatal(err)
	}
	fmt.Fprintf(&o.words, "%+v %#v %+v %#v %+v %#v %s\n", c, c, c.TLS, c.TLS, d, d, asJSON)
}

func (o *operator) rememberKeys(ctx context.Context) {
	o.t.Helper()
	var list corev1.SecretList
	if err := o.api.List(ctx, &list); err != nil {
		o.t.Fatal(err)
	}
	for _, s := range list.Items {
		for _, key := range []string{corev1.TLSPrivateKeyKey, "next.key"} {
			if strings.HasPrefix(string(s.Data[key]), "-----BEGIN PRIVATE KEY-----") {
				o.keys[string(s.Data[key])] = key + " of Secret " + s.Name
			}
		}
	}
}

// public is everything that is stored outside of Secrets.
func (o *operator) public() string {
	o.t.Helper()
	var all strings.Builder
	for _, list := range []client.ObjectList{
		&v1alpha1.EtcdClusterList{}, &corev1.PodList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{},
		&corev1.PersistentVolumeClaimList{},
	} {
		if err := o.api.List(o.t.Context(), list); err != nil {
			o.t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			o.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// requireSecrecy fails when a private key was said or stored where others may read it.
func (o *operator) requireSecrecy() {
	o.t.Helper()
	if len(o.keys) == 0 {
		o.t.Fatal("there was no private key: nothing was tested")
	}
	for key, whose := range o.keys {
		if how := pkitest.Leak(o.words.String(), []byte(key)); how != "" {
			o.t.Errorf("%s was said (%s)", whose, how)
		}
		if how := pkitest.Leak(o.public(), []byte(key)); how != "" {
			o.t.Errorf("%s is stored outside of Secrets (%s)", whose, how)
		}
	}
}

func (o *operator) requireSaid(parts ...string) {
	o.t.Helper()
	for _, part := range parts {
		if !strings.Contains(o.words.String()+o.public(), part) {
			o.t.Errorf("nobody was told %q", part)
		}
	}
}

func TestANewClusterGetsItsCertificatesBeforeItsMembers(t *testing.T) {
	o := newOperator(t, kubetest.Cluster(v1alpha1.TLSManaged))
	o.reconcile(15)
	position := func(write string) int {
		for i, w := range o.api.Writes {
			if strings.HasPrefix(w, write) {
				return i
			}
		}
		t.Fatalf("the operator did not %s: %q", write, o.api.Writes)
		return 0
	}
	first := position("create Pod demo-0")
	for _, name := range state.CertificateNames() {
		if at := position("create Secret " + resources.CertificateSecretName("demo", name)); at > first {
			t.Errorf("the %s certificate came after the first Pod", name)
		}
	}
	if position("create ConfigMap demo-trust-") > first || position("create Secret demo-peer-ca") > first {
		t.Error("what members trust came after the first Pod")
	}
	before := len(o.api.Writes)
	o.reconcile(3)
	if more := o.api.Writes[before:]; len(more) > 0 {
		t.Errorf("with nothing to do it wrote %q", more)
	}
	o.requireSecrecy()
}

// Whatever goes wrong, and however it is told: nothing shows a private key.
func TestNoPrivateKeyIsEverShown(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("no right"))
	for name, tc := range map[string]struct {
		mode   v1alpha1.TLSMode
		change []func(client.Object) client.Object
		before func(context.Context, client.WithWatch, string, client.Object) error
		said   []string
	}{
		"all is well":    {mode: v1alpha1.TLSManaged, said: []string{"all certificates are valid"}},
		"the CA is lost": {mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{kubetest.Without("demo-peer-ca")}},
		"the key of a CA is one of another": {
			mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{kubetest.Changing("demo-peer-ca", exchangedKey(t))},
			said: []string{"the private key does not belong to the certificate"},
		},
		"a certificate has the key of another": {
			mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{kubetest.Changing("demo-server-tls", exchangedKey(t))},
			said: []string{"the private key does not belong to the certificate"},
		},
		"keys are where certificates should be": {
			mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{
				kubetest.Changing("demo-server-tls", func(s *corev1.Secret) { s.Data["tls.crt"] = s.Data["tls.key"] }),
				kubetest.Changing("demo-client-ca", func(s *corev1.Secret) { s.Data["ca.crt"] = s.Data["tls.key"] }),
				kubetest.Changing("demo-peer-ca", func(s *corev1.Secret) { s.Data["tls.crt"] = s.Data["tls.key"] }),
			},
			said: []string{"is a PRIVATE KEY, not a certificate"},
		},
		"a Secret belongs to something else": {
			mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{
				kubetest.Changing("demo-server-tls", func(s *corev1.Secret) { s.OwnerReferences[0].UID = "x" }),
				kubetest.Changing("demo-peer-ca", func(s *corev1.Secret) { s.OwnerReferences[0].UID = "x" }),
			},
			said: []string{"demo-peer-ca belongs to something else: delete or rename it", "Secret demo-server-tls belongs to something else"},
		},
		"no Secret may be written": {
			mode: v1alpha1.TLSManaged, change: []func(client.Object) client.Object{kubetest.Without("demo-peer-ca", "demo-server-tls")},
			before: func(_ context.Context, _ client.WithWatch, _ string, obj client.Object) error {
				if _, secret := obj.(*corev1.Secret); secret {
					return forbidden
				}
				return nil
			}, said: []string{"no right"},
		},
		"a source is damaged": {
			mode: v1alpha1.TLSSecrets, change: []func(client.Object) client.Object{
				kubetest.Changing("my-peer", exchangedKey(t)),
				kubetest.Changing("my-server", func(s *corev1.Secret) { s.Data["ca.crt"] = s.Data["tls.key"] }),
			},
			said: []string{"Secret my-peer: key tls.crt or tls.key: the private key does not belong", "Secret my-server: key ca.crt"},
		},
		"cert-manager's are taken": {mode: v1alpha1.TLSCertManager, said: []string{"all certificates are valid"}},
	} {
		t.Run(name, func(t *testing.T) {
			kept := kubetest.NewTLS(t, kubetest.Cluster(tc.mode), statetest.Now)
			o := newOperator(t, kept.Objects(tc.change...)...)
			o.api.Before = tc.before
			o.reconcile(8)
			o.requireSaid(tc.said...)
			o.requireSecrecy()
			if leak := kept.LeakOf(o.words.String() + o.public()); leak != "" {
				t.Errorf("shown: %s", leak)
			}
		})
	}
}

// exchangedKey is a key that belongs to nothing.
func exchangedKey(t *testing.T) func(*corev1.Secret) {
	t.Helper()
	other := pkitest.CA(t, "other", statetest.Now)
	return func(s *corev1.Secret) { s.Data["tls.key"] = other.Key }
}
