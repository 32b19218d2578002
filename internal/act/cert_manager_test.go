package act

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// request is the Certificate of cert-manager.
func (w *world) request(name string) *unstructured.Unstructured {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kubetest.CertManagerCertificate)
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, u); err != nil {
		w.t.Fatalf("read Certificate %s: %v", name, err)
	}
	return u
}

func (w *world) updateRequest(name string, change func(*unstructured.Unstructured)) {
	w.t.Helper()
	u := w.request(name)
	change(u)
	if err := w.api.Update(w.t.Context(), u); err != nil {
		w.t.Fatalf("update Certificate %s: %v", name, err)
	}
	w.api.Writes = nil
}

func setField(t *testing.T, value any, path ...string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
			t.Fatal(err)
		}
	}
}

// asked is a world in which cert-manager was asked for everything.
func asked(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSCertManager), now))
	if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "create Certificate demo-peer", "create Certificate demo-server",
		"create Certificate demo-client", "create Certificate demo-operator")
	w.api.Writes = nil
	return w
}

func TestCertManagerIsAskedOnce(t *testing.T) {
	w := asked(t)
	for _, name := range state.CertificateNames() {
		got := w.request("demo-" + string(name))
		if !metav1.IsControlledBy(got, w.kept.Cluster) {
			t.Errorf("the owners of %s are %v", got.GetName(), got.GetOwnerReferences())
		}
		want := resources.CertManagerCertificate(w.kept.Cluster, name, resources.CertificateRequest(w.kept.Cluster, name, nil, 0))
		if diff := cmp.Diff(want.Object["spec"], got.Object["spec"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", got.GetName(), diff)
		}
	}
	if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api)
}

func TestWhatIsAskedOfCertManagerIsKept(t *testing.T) {
	const server = "demo-server"
	for name, tc := range map[string]struct {
		changed func(*testing.T) func(*unstructured.Unstructured)
		mended  bool
	}{
		"somebody took the names away": {func(t *testing.T) func(*unstructured.Unstructured) {
			return setField(t, []any{"localhost"}, "spec", "dnsNames")
		}, true},
		"somebody added a name": {func(*testing.T) func(*unstructured.Unstructured) {
			return func(u *unstructured.Unstructured) {
				names, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "dnsNames")
				_ = unstructured.SetNestedStringSlice(u.Object, append(names, "more.example"), "spec", "dnsNames")
			}
		}, true},
		"somebody chose another issuer": {func(t *testing.T) func(*unstructured.Unstructured) {
			return setField(t, "theirs", "spec", "issuerRef", "name")
		}, true},
		"somebody made it a CA's": {func(t *testing.T) func(*unstructured.Unstructured) {
			return setField(t, []any{"cert sign"}, "spec", "usages")
		}, true},
		"cert-manager filled in a default": {func(t *testing.T) func(*unstructured.Unstructured) {
			return setField(t, int64(1), "spec", "revisionHistoryLimit")
		}, false},
		"cert-manager reported": {func(t *testing.T) func(*unstructured.Unstructured) {
			return setField(t, "2026-11-21T12:00:00Z", "status", "notAfter")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := asked(t)
			want := w.request(server).Object["spec"]
			w.updateRequest(server, tc.changed(t))
			if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
				t.Fatal(err)
			}
			if !tc.mended {
				requireWrites(t, w.api)
				return
			}
			requireWrites(t, w.api, "patch Certificate "+server)
			if diff := cmp.Diff(want, w.request(server).Object["spec"]); diff != "" {
				t.Errorf("it was mended to (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheClientsCertificateGetsNoNames(t *testing.T) {
	w := asked(t)
	w.updateRequest("demo-client", setField(t, []any{"demo-0.shop.svc"}, "spec", "dnsNames"))
	if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "patch Certificate demo-client")
	if names, found, _ := unstructured.NestedFieldNoCopy(w.request("demo-client").Object, "spec", "dnsNames"); found {
		t.Errorf("it is asked for the names %v", names)
	}
}

func TestAChangeOfTheSpecIsAsked(t *testing.T) {
	w := asked(t)
	w.kept.Cluster.Spec.TLS.ExtraSANs = []string{"etcd.example.com"}
	w.kept.Cluster.Spec.TLS.CertManager.PeerIssuer.Name = "others"
	if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "patch Certificate demo-peer", "patch Certificate demo-server")
}

func TestSomebodyElsesRequestIsLeftAlone(t *testing.T) {
	for name, theirs := range map[string]func(*unstructured.Unstructured){
		"of another controller": func(u *unstructured.Unstructured) {
			refs := u.GetOwnerReferences()
			refs[0].UID = "uid-somebody"
			u.SetOwnerReferences(refs)
		},
		"that somebody wrote by hand": func(u *unstructured.Unstructured) {
			u.SetOwnerReferences(nil)
			u.SetLabels(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := asked(t)
			w.updateRequest("demo-peer", theirs)
			w.updateRequest("demo-peer", setField(t, "theirs", "spec", "commonName"))
			err := w.do(w.observe(), plan.RequestCertificates{})
			w.unchanged(err, conflict)
			if err != nil && !strings.Contains(err.Error(), "Certificate demo-peer belongs to something else: delete or rename it") {
				t.Errorf("the error does not name it: %v", err)
			}
		})
	}
}

func TestARequestThatAPredecessorLeftIsTakenOver(t *testing.T) {
	w := asked(t)
	w.updateRequest("demo-peer", func(u *unstructured.Unstructured) { u.SetOwnerReferences(nil) })
	if err := w.do(w.observe(), plan.RequestCertificates{}); err != nil {
		t.Fatal(err)
	}
	if got := w.request("demo-peer"); !metav1.IsControlledBy(got, w.kept.Cluster) {
		t.Errorf("it stays when the cluster is deleted: its owners are %v", got.GetOwnerReferences())
	}
}

func TestAConcurrentChangeOfARequestWins(t *testing.T) {
	w := asked(t)
	w.updateRequest("demo-peer", setField(t, "theirs", "spec", "commonName"))
	w.meanwhile(func(ctx context.Context, behind client.WithWatch) error {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(kubetest.CertManagerCertificate)
		if err := behind.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "demo-peer"}, u); err != nil {
			return err
		}
		u.SetAnnotations(map[string]string{"touched": "yes"})
		return behind.Update(ctx, u)
	})
	w.unchanged(w.do(w.observe(), plan.RequestCertificates{}), observeAgain)
}

// withoutCertManager is an API server that does not know the kinds of cert-manager.
type withoutCertManager struct{ client.Reader }

func (r withoutCertManager) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if u, ok := into.(*unstructured.Unstructured); ok {
		gvk := u.GroupVersionKind()
		return fmt.Errorf("find the kind: %w", &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}})
	}
	return r.Reader.Get(ctx, key, into, opts...)
}

func TestAMissingCertManagerIsTold(t *testing.T) {
	w := newWorld(t, kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSCertManager), now))
	c, e := w.observe(), w.operator
	e.Live = withoutCertManager{w.api}
	err := e.Do(t.Context(), c, plan.RequestCertificates{})
	w.unchanged(err, conflict)
	if err != nil && !strings.Contains(err.Error(), "cert-manager is not installed: install it, or choose another tls.mode") {
		t.Errorf("the error does not tell what to do: %v", err)
	}
}

// The client remembers the kinds that there were when it first asked.
func TestCertManagerThatIsUninstalledIsTold(t *testing.T) {
	w := newWorld(t, kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSCertManager), now))
	w.api.Before = func(_ context.Context, _ client.WithWatch, verb string, obj client.Object) error {
		if _, certificate := obj.(*unstructured.Unstructured); !certificate {
			return nil
		}
		return apierrors.NewGenericServerResponse(http.StatusNotFound, verb,
			schema.GroupResource{Group: "cert-manager.io", Resource: "certificates"}, obj.GetName(), "404 page not found", 0, true)
	}
	conflict.check(t, w.do(w.observe(), plan.RequestCertificates{}))
}
