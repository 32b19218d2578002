package controllers

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// validatingTolerations refuses what the API server refuses of a Pod, stored or not.
func validatingTolerations(_ context.Context, _ client.WithWatch, verb string, obj client.Object) error {
	pod, isPod := obj.(*corev1.Pod)
	if !isPod || !strings.HasSuffix(verb, "create") {
		return nil
	}
	for i, toleration := range pod.Spec.Tolerations {
		if toleration.Effect == "NoExec" {
			return apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, pod.Name, field.ErrorList{field.NotSupported(
				field.NewPath("spec", "tolerations").Index(i).Child("effect"), "NoExec", []string{"NoExecute", "NoSchedule"})})
		}
	}
	return nil
}

func (r *recorded) tolerate(effect corev1.TaintEffect) {
	r.t.Helper()
	var obj v1alpha1.EtcdCluster
	if err := r.api.Get(r.t.Context(), r.key, &obj); err != nil {
		r.t.Fatal(err)
	}
	obj.Spec.PodTemplate.Spec.Tolerations = []corev1.Toleration{{
		Key: "team", Operator: corev1.TolerationOpExists, Effect: effect,
	}}
	if err := r.api.Update(r.t.Context(), &obj); err != nil {
		r.t.Fatal(err)
	}
}

// reconcile reconciles a few times, and tells what was written since the last call.
func (r *recorded) reconcile(times int) (last ctrl.Result, writes []string) {
	r.t.Helper()
	ctx := logr.NewContext(r.t.Context(), logr.Discard())
	r.api.Writes = nil
	for range times {
		var err error
		if last, err = r.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: r.key}); err != nil {
			r.t.Fatal(err)
		}
	}
	return last, slices.Clone(r.api.Writes)
}

func TestATypoInThePodTemplateStopsNoMemberAndIsTold(t *testing.T) {
	r := newRecorded(t, filepath.Join("testdata", "release-2026-11"))
	r.reconcile(3)
	r.api.Before = validatingTolerations
	r.tolerate("NoExec")
	_, writes := r.reconcile(10)
	if slices.ContainsFunc(writes, func(w string) bool { return strings.HasPrefix(w, "delete ") }) {
		t.Errorf("it wrote %v", writes)
	}
	var obj v1alpha1.EtcdCluster
	if err := r.api.Get(t.Context(), r.key, &obj); err != nil {
		t.Fatal(err)
	}
	const faulty = `Pod "demo-2" is invalid: spec.tolerations[0].effect: Unsupported value: "NoExec"`
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionProgressing} {
		cond := meta.FindStatusCondition(obj.Status.Conditions, kind)
		if cond == nil || cond.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(cond.Message, faulty) ||
			!strings.Contains(cond.Message, "change the spec") {
			t.Errorf("%s is %+v, want %s with %s", kind, cond, v1alpha1.ReasonInvalidSpec, faulty)
		}
	}
	next, writes := r.reconcile(5)
	if len(writes) > 0 {
		t.Errorf("while it is refused it wrote %v", writes)
	}
	if next.RequeueAfter != poll {
		t.Errorf("it is tried again after %s, want %s", next.RequeueAfter, poll)
	}
	r.tolerate(corev1.TaintEffectNoExecute)
	if _, writes = r.reconcile(1); !slices.Contains(writes, "delete Pod demo-2") {
		t.Errorf("after it was mended it wrote %v, want that demo-2 restarts", writes)
	}
}

// The finalizer of a load balancer keeps its Service for minutes, or until somebody mends the cloud controller.
func TestAServiceThatIsBeingDeletedIsToldAndPolledSlowly(t *testing.T) {
	r := newRecorded(t, filepath.Join("testdata", "release-2026-11"))
	r.reconcile(3)
	var service corev1.Service
	key := client.ObjectKey{Namespace: r.key.Namespace, Name: resources.ClientServiceName(r.key.Name)}
	if err := r.api.Get(t.Context(), key, &service); err != nil {
		t.Fatal(err)
	}
	service.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
	if err := errors.Join(r.api.Update(t.Context(), &service), r.api.Delete(t.Context(), &service)); err != nil {
		t.Fatal(err)
	}
	next, _ := r.reconcile(2)
	var obj v1alpha1.EtcdCluster
	if err := r.api.Get(t.Context(), r.key, &obj); err != nil {
		t.Fatal(err)
	}
	told := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionProgressing)
	if told == nil || !strings.Contains(told.Message, service.Name+" is being deleted") || next.RequeueAfter != poll {
		t.Errorf("Progressing is %+v, and it is looked at again in %s", told, next.RequeueAfter)
	}
}
