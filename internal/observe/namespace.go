package observe

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/state"
)

// readNamespace finds out whether the namespace is being deleted, live, because namespaces are not watched. Of a
// cluster at rest something goes before it matters, so that there is no need to ask.
func (o *Observer) readNamespace(ctx context.Context, c *state.Cluster) error {
	if !incomplete(c) {
		return nil
	}
	var ns corev1.Namespace
	err := o.Live.Get(ctx, client.ObjectKey{Name: c.Object.Namespace}, &ns)
	switch {
	case apierrors.IsNotFound(err):
		return nil // it was deleted, and the EtcdCluster with it: its event comes
	case err != nil:
		return fmt.Errorf("read the namespace: %w", err)
	}
	c.NamespaceDeleting = ns.DeletionTimestamp != nil
	return nil
}

// incomplete tells that something of the cluster is missing, being deleted, or does not answer.
func incomplete(c *state.Cluster) bool {
	return c.Latch == nil || c.PeerService == nil || c.Disruption == nil || !c.TLS.Usable() || len(c.Members) == 0 ||
		slices.ContainsFunc(c.Members, func(m state.Member) bool {
			return m.Pod == nil || m.Pod.Terminating || m.Volume != nil && m.Volume.Terminating || !m.Probe.Answered
		})
}
