package act

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

func (w *world) launched() []uint64 {
	w.t.Helper()
	var cm corev1.ConfigMap
	if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: resources.LatchName("demo")}, &cm); err != nil {
		w.t.Fatal(err)
	}
	latch, err := resources.ParseLatch(&cm)
	if err != nil {
		w.t.Fatal(err)
	}
	return latch.Launched
}

func TestARemovedMemberIsTakenOffTheLatch(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	removed := c.Latch.Launched[0]
	if err := w.do(c, plan.TrimLaunched{Removed: []uint64{removed}}); err != nil {
		t.Fatal(err)
	}
	if left := w.launched(); len(left) > 0 {
		t.Errorf("these members are recorded as launched: %x", left)
	}
}

// Another operator may have launched a member since.
func TestOnALatchThatChangedMeanwhileNobodyIsForgotten(t *testing.T) {
	w := memberWorld(t)
	c := w.observe()
	w.meanwhile(func(ctx context.Context, behind client.WithWatch) error {
		var cm corev1.ConfigMap
		if err := behind.Get(ctx, client.ObjectKey{Namespace: "shop", Name: resources.LatchName("demo")}, &cm); err != nil {
			return err
		}
		cm.Data["launched"] += ",0000000000000abc"
		return behind.Update(ctx, &cm)
	})
	observeAgain.check(t, w.do(c, plan.TrimLaunched{Removed: c.Latch.Launched}))
	if left := w.launched(); len(left) != 2 {
		t.Errorf("these members are recorded as launched: %x", left)
	}
}
