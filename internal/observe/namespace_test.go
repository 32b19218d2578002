package observe

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// counting counts what is read.
type counting struct {
	client.Reader

	reads int
}

func (r *counting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	r.reads++
	return r.Reader.Get(ctx, key, obj, opts...)
}

func TestWhetherTheNamespaceIsBeingDeletedIsAskedWhenSomethingIsWrong(t *testing.T) {
	complete := func() *statetest.Builder {
		return statetest.Formed(3).Budget(2).With(func(c *state.Cluster) { c.PeerService = &state.PeerService{} })
	}
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		asked   bool
	}{
		"nobody asks at rest":      {complete(), false},
		"a member does not answer": {complete().Crash(1), true},
		"a certificate is gone":    {complete().TLS().LoseCertificates(state.PeerCertificate), true},
		"a Pod is being deleted":   {complete().Terminate(1), true},
		"a Pod is gone":            {complete().NoPod(1), true},
		"a claim is being deleted": {complete().Member(1, func(m *state.Member) { m.Volume.Terminating = true }), true},
		"the peer Service is gone": {complete().With(func(c *state.Cluster) { c.PeerService = nil }), true},
		"the budget is gone":       {complete().With(func(c *state.Cluster) { c.Disruption = nil }), true},
		"the latch is gone":        {complete().LatchLost(), true},
		"a new cluster":            {statetest.Fresh(), true},
	} {
		for _, deleting := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := row.cluster.Build()
				ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Object.Namespace}}
				if deleting {
					ns.DeletionTimestamp, ns.Finalizers = &metav1.Time{Time: statetest.Now}, []string{"kubernetes"}
				}
				api := &counting{Reader: kubetest.New(t, ns)}
				if err := (&Observer{Live: api}).readNamespace(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if got, want := c.NamespaceDeleting, deleting && row.asked; got != want {
					t.Errorf("the namespace is being deleted: %t, want %t", got, want)
				}
				if got := api.reads > 0; got != row.asked {
					t.Errorf("it was asked for: %t, want %t", got, row.asked)
				}
			})
		}
	}
}
