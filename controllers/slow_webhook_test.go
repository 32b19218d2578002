package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state/statetest"
)

// expiring is a context whose deadline passes on demand.
type expiring struct {
	context.Context
	over chan struct{}
}

func (c expiring) Done() <-chan struct{} { return c.over }

func (c expiring) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A webhook that does not answer (10 s each time) takes all the time that a reconcile has. The members' IDs would stay
// on record, for which nothing was created, and a bootstrap whose data is gone begins again, for ever.
func TestAWebhookThatTakesAllTheTimeIsToldAndCostsNoBootstrap(t *testing.T) {
	obj := statetest.Fresh().Build().Object.DeepCopy()
	obj.Namespace, obj.Name, obj.Spec.Replicas = "shop", "demo", new(int32(5))
	o := newOperator(t, obj)
	var ctx expiring
	claims := 0
	o.api.Before = func(ctx2 context.Context, _ client.WithWatch, verb string, obj client.Object) error {
		if _, isClaim := obj.(*corev1.PersistentVolumeClaim); isClaim && verb == "create" {
			if claims++; ctx.Err() == nil {
				close(ctx.over)
			}
			return apierrors.NewInternalError(errors.New(`failed calling webhook "policy": context deadline exceeded`))
		}
		return ctx2.Err()
	}
	o.reconciler.Client = interceptor.NewClient(o.api, interceptor.Funcs{SubResourceUpdate: func(
		ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption,
	) error {
		return errors.Join(ctx.Err(), c.SubResource(sub).Update(ctx, obj, opts...))
	}})
	o.reconciler.Executor.Client = o.reconciler.Client
	key := client.ObjectKeyFromObject(obj)
	for range 6 {
		ctx = expiring{logr.NewContext(t.Context(), logr.Discard()), make(chan struct{})}
		if _, err := o.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: key}); err != nil {
			t.Fatal(err)
		}
	}
	if claims == 0 {
		t.Fatal("no claim was tried")
	}
	var latch corev1.ConfigMap
	if err := o.api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: resources.LatchName("demo")}, &latch); err != nil {
		t.Fatal(err)
	}
	if latch.Data["generation"] != "1" || latch.Data["launched"] != "" {
		t.Errorf("the latch is of generation %s and records %q as launched", latch.Data["generation"], latch.Data["launched"])
	}
	var now v1alpha1.EtcdCluster
	if err := o.api.Get(t.Context(), key, &now); err != nil {
		t.Fatal(err)
	}
	ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || !strings.Contains(ready.Message, `failed calling webhook "policy"`) {
		t.Errorf("Ready is %+v, want it to name the webhook", ready)
	}
}
