package controllers

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestInANamespaceThatIsBeingDeletedNothingIsCreated(t *testing.T) {
	obj := statetest.Fresh().Build().Object.DeepCopy()
	obj.Namespace, obj.Name = "shop", "demo"
	for name, deleting := range map[string]bool{"it stays": false, "it is being deleted": true} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, obj.DeepCopy())
			var ns corev1.Namespace
			key := client.ObjectKey{Name: "shop"}
			if err := o.api.Get(t.Context(), key, &ns); err != nil {
				t.Fatal(err)
			}
			if deleting {
				ns.Finalizers = []string{"kubernetes"}
				if err := o.api.Update(t.Context(), &ns); err != nil {
					t.Fatal(err)
				}
				if err := o.api.Delete(t.Context(), &ns); err != nil {
					t.Fatal(err)
				}
			}
			o.api.Writes = nil
			o.reconcile(3)
			created := 0
			for _, w := range o.api.Writes {
				if strings.HasPrefix(w, "create ") || strings.HasPrefix(w, "apply ") {
					created++
				}
			}
			events := strings.Count(o.words.String(), "event about")
			if deleting && (created > 0 || events > 0) {
				t.Errorf("%d events and the writes %v, want none that creates something", events, o.api.Writes)
			}
			if !deleting && (created == 0 || events == 0) {
				t.Errorf("%d events and the writes %v, want some: the test would find nothing otherwise", events, o.api.Writes)
			}
			var now v1alpha1.EtcdCluster
			if err := o.api.Get(t.Context(), client.ObjectKeyFromObject(obj), &now); err != nil {
				t.Fatal(err)
			}
			reason := ""
			for _, cond := range now.Status.Conditions {
				if cond.Type == v1alpha1.ConditionReady && cond.Status == metav1.ConditionFalse {
					reason = cond.Reason
				}
			}
			if got := reason == v1alpha1.ReasonDeleting; got != deleting {
				t.Errorf("the condition Ready is False because of %q", reason)
			}
		})
	}
}
