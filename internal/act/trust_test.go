package act

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// trustMap is the ConfigMap of the name; nil when there is none.
func (w *world) trustMap(name string) *corev1.ConfigMap {
	w.t.Helper()
	var cm corev1.ConfigMap
	err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &cm)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatalf("read ConfigMap %s: %v", name, err)
	}
	return &cm
}

func TestWhatMembersTrustIsPublished(t *testing.T) {
	kept := managed(t)
	want := kept.Trust()
	w := newWorld(t, kept, kubetest.Without(want.Name))
	if err := w.do(w.observe(), plan.PublishTrust{Name: want.Name}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "create ConfigMap "+want.Name)
	got := w.trustMap(want.Name)
	if diff := cmp.Diff(want.Data, got.Data); diff != "" {
		t.Errorf("its content (-want +got):\n%s", diff)
	}
	if !metav1.IsControlledBy(got, kept.Cluster) || got.Immutable == nil || !*got.Immutable {
		t.Errorf("its owners are %v, immutable: %v", got.OwnerReferences, got.Immutable)
	}
	if leak, err := w.api.LeakOf(t.Context(), strings.Join([]string{got.Data["peer-ca.crt"], got.Data["client-ca.crt"]}, "")); leak != "" || err != nil {
		t.Errorf("everybody who may read ConfigMaps sees %s (%v)", leak, err)
	}
}

// What a Pod demands of its peers is part of what it trusts: after mode Secrets nothing, as long as theirs is published.
func TestWhatIsTrustedWhileTheModeChangesDemandsNoCommonName(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
	before := kept.Trust()
	kept.Cluster.Spec.TLS = kubetest.Cluster(v1alpha1.TLSManaged).Spec.TLS
	w := newWorld(t, kept, kubetest.Without(kept.Trust().Name))
	c := w.observe()
	if !c.TLS.AnyPeerName || c.TLS.Trust != before.Name {
		t.Fatalf("any name %t; what is to be trusted is %s, want %s as before", c.TLS.AnyPeerName, c.TLS.Trust, before.Name)
	}
	if err := w.do(c, plan.PublishTrust{Name: before.Name}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "create ConfigMap "+before.Name)
	if diff := cmp.Diff(before.Data, w.trustMap(before.Name).Data); diff != "" {
		t.Errorf("its content (-want +got):\n%s", diff)
	}
}

func TestAnotherTrustThanIsWantedByNowIsNotPublished(t *testing.T) {
	for name, since := range map[string]func(*world) error{
		"a rotation began meanwhile": func(w *world) error {
			a := w.kept.Authorities[state.PeerSide]
			a.Next = pkitest.CA(w.t, "next", now)
			w.kept.Authorities[state.PeerSide] = a
			return w.api.Update(w.t.Context(), w.kept.Authority(state.PeerSide))
		},
		"the authority was lost": func(w *world) error {
			return w.api.Delete(w.t.Context(), w.secret(peerCA))
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			wanted := kept.Trust().Name
			w := newWorld(t, kept, kubetest.Without(wanted))
			c := w.observe()
			if err := since(w); err != nil {
				t.Fatal(err)
			}
			w.api.Writes = nil
			w.unchanged(w.do(c, plan.PublishTrust{Name: wanted}), observeAgain)
		})
	}
}

func TestATrustOfTheNameExistsAlready(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.ConfigMap)
		// failure that is wanted; without one it makes room, and is published at the next attempt.
		failure failure
	}{
		"published by another operator since it was observed": {func(*corev1.ConfigMap) {}, observeAgain},
		"somebody's who has nothing to do with us":            {func(cm *corev1.ConfigMap) { cm.Labels = nil }, conflict},
		"of another controller": {
			func(cm *corev1.ConfigMap) { cm.OwnerReferences[0].UID = "uid-somebody" }, conflict,
		},
		"with a content that is not what the name says": {
			func(cm *corev1.ConfigMap) { cm.Data["peer-ca.crt"] = cm.Data["client-ca.crt"] }, "",
		},
		"without the label by which it is found": {
			func(cm *corev1.ConfigMap) { delete(cm.Labels, resources.ComponentLabel) }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			wanted := kept.Trust()
			c := newWorld(t, kept, kubetest.Without(wanted.Name)).observe()
			exists := kept.Trust()
			tc.change(exists)
			w := newWorld(t, kept, kubetest.Without(wanted.Name)).create(exists)
			err := w.do(c, plan.PublishTrust{Name: wanted.Name})
			if tc.failure != "" {
				w.unchanged(err, tc.failure)
				return
			}
			if err != nil {
				t.Fatalf("it does not make room: %v", err)
			}
			if err := w.do(c, plan.PublishTrust{Name: wanted.Name}); err != nil {
				t.Fatal(err)
			}
			requireWrites(t, w.api, "delete ConfigMap "+wanted.Name, "create ConfigMap "+wanted.Name)
			if diff := cmp.Diff(wanted.Data, w.trustMap(wanted.Name).Data); diff != "" {
				t.Errorf("its content (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrustsThatNobodyNeedsAreDeleted(t *testing.T) {
	kept := managed(t)
	other := managed(t)
	unused := other.Trust()
	w := newWorld(t, kept).create(unused)
	if err := w.do(w.observe(), plan.PruneTrust{Names: []string{unused.Name}}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "delete ConfigMap "+unused.Name)
	if w.trustMap(kept.Trust().Name) == nil {
		t.Error("what members trust was deleted as well")
	}
}

// A damaged one that no Pod names: it would never be looked at again.
func TestADamagedTrustIsDeleted(t *testing.T) {
	damaged := managed(t).Trust()
	damaged.Data = nil
	w := newWorld(t, managed(t)).create(damaged)
	if err := w.do(w.observe(), plan.PruneTrust{Names: []string{damaged.Name}}); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "delete ConfigMap "+damaged.Name)
}

func TestATrustThatChangedSinceItWasObservedStays(t *testing.T) {
	for name, tc := range map[string]struct {
		since func(*world, *corev1.ConfigMap) error
		stays bool
	}{
		"it was touched": {func(w *world, cm *corev1.ConfigMap) error {
			cm = w.trustMap(cm.Name)
			metav1.SetMetaDataAnnotation(&cm.ObjectMeta, "touched", "yes")
			return w.api.Update(w.t.Context(), cm)
		}, true},
		"it was made anew": {func(w *world, cm *corev1.ConfigMap) error {
			if err := w.api.Delete(w.t.Context(), w.trustMap(cm.Name)); err != nil {
				return err
			}
			again := cm.DeepCopy()
			again.ResourceVersion, again.UID = "", "uid-again"
			metav1.SetMetaDataAnnotation(&again.ObjectMeta, "again", "yes")
			if err := w.api.Create(w.t.Context(), again); err != nil {
				return err
			}
			return w.api.Update(w.t.Context(), again)
		}, true},
		"it is gone": {func(w *world, cm *corev1.ConfigMap) error {
			return w.api.Delete(w.t.Context(), w.trustMap(cm.Name))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			unused := managed(t).Trust()
			w := newWorld(t, managed(t)).create(unused)
			c := w.observe()
			if err := tc.since(w, unused); err != nil {
				t.Fatal(err)
			}
			w.api.Writes = nil
			w.unchanged(w.do(c, plan.PruneTrust{Names: []string{unused.Name}}), observeAgain)
			if stays := w.trustMap(unused.Name) != nil; stays != tc.stays {
				t.Errorf("it is there: %t", stays)
			}
		})
	}
}
