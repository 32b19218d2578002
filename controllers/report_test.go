package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// eventKeys counts events by what the recorder tells them apart by, beside the object: type, action and reason.
type eventKeys map[string]int

func (k eventKeys) Eventf(_, _ runtime.Object, kind, reason, action, _ string, _ ...any) {
	k[kind+" "+action+" "+reason]++
}

func TestEventsOfOneLookAreToldApart(t *testing.T) {
	keys := eventKeys{}
	r := &EtcdClusterReconciler{Events: keys}
	c := statetest.Formed(3).TLS().Build()
	for _, condition := range []string{v1alpha1.ConditionAvailable, v1alpha1.ConditionDegraded, v1alpha1.ConditionProgressing} {
		was := &metav1.Condition{Type: condition, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonBootstrapping}
		r.tellTransition(t.Context(), c.Object, was, metav1.Condition{
			Type: condition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonActionFailed,
		})
	}
	var steps []plan.Step
	for _, name := range state.CertificateNames() {
		steps = append(steps, plan.PublishCertificate{Name: name, Renew: true})
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		steps = append(steps, plan.SetAuthority{Side: side, Change: plan.BeginRotation})
	}
	for _, s := range steps {
		keys.Eventf(c.Object, nil, "Normal", reasonOf(s), actionOf(s), "")
	}
	if want := 3 + len(steps); len(keys) != want {
		t.Errorf("%d different events, want %d:\n%v", len(keys), want, keys)
	}
}
