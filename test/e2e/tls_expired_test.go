//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

// It stops the operator that all tests share: it does not run in parallel with others.
func TestMembersThatAreDownWithExpiredCertificatesHealByThemselves(t *testing.T) {
	full(t)
	w := newWorld(t)
	w.localOnly()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	w.ctx = ctx
	short := certificateLifetime(2 * time.Minute)
	leaves := w.create("leaves", spec(3, withTLS(short)))
	// With time for clients, CAs that live so short would always be in the course of a rotation.
	cas := w.create("cas", spec(3, withTLS(short, caLifetime(5*time.Minute), clientGrace(0))))
	withLeaves, withCAs := leaves.beforeExpiry(), cas.beforeExpiry()

	w.stopOperator()
	leaves.expired(leaves.certificateSecrets()...)
	cas.expired(cas.secretNames()...)
	leaves.killAll()
	cas.killAll()
	leaves.servesNobody()
	cas.servesNobody()

	start := time.Now()
	w.must(w.ScaleOperator(w.ctx, 1))
	for c, before := range map[*cluster]expiring{leaves: withLeaves, cas: withCAs} {
		c.certificatesValid()
		t.Logf("%s is Ready %s after the start of the operator", c.key.Name, time.Since(start).Round(time.Second))
		c.sameMembers(before.ids)
		c.holds(before.data)
		c.holds(c.fill())
	}
	leaves.sameAuthority(withLeaves.credentials, state.PeerSide)
	leaves.sameAuthority(withLeaves.credentials, state.ClientSide)
	cas.rotated(withCAs.credentials)
}

// expiring is what a cluster was before its certificates expired.
type expiring struct {
	data        data
	ids         map[string]uint64
	credentials credentials
}

func (c *cluster) beforeExpiry() expiring {
	c.t.Helper()
	c.certificatesValid()
	return expiring{c.fill(), c.ids(), c.credentials()}
}

// stopOperator stops the operator; after the test it runs again.
func (w *world) stopOperator() {
	w.t.Helper()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.ScaleOperator(ctx, 1); err != nil {
			w.t.Errorf("start the operator again: %v", err)
		}
	})
	w.must(w.ScaleOperator(w.ctx, 0))
}

func caLifetime(d time.Duration) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.CALifetime = &metav1.Duration{Duration: d} }
}

// expired waits until the certificates in the Secrets have expired.
func (c *cluster) expired(secrets ...string) {
	c.t.Helper()
	const long = 6 * time.Minute // the longest of the lifetimes
	for _, name := range secrets {
		certificate, err := pki.ParseCertificate(c.secret(name).Data[corev1.TLSCertKey])
		c.must(err)
		c.eventually("waiting until the certificate in Secret "+name+" has expired", long, func(context.Context) string {
			if left := time.Until(certificate.NotAfter); left > 0 {
				return fmt.Sprintf("it is valid for another %s", left.Round(time.Second))
			}
			return ""
		})
	}
}

// killAll kills all members of the cluster, whose containers start again.
func (c *cluster) killAll() {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	for i := range pods {
		c.must(framework.KillEtcd(&pods[i]))
	}
	for i := range pods {
		c.restarted(&pods[i])
	}
}

// servesNobody checks that no member of the cluster finds a majority: no Pod is ready any more.
func (c *cluster) servesNobody() {
	c.t.Helper()
	c.eventually("waiting until no member is ready", settle, func(ctx context.Context) string {
		pods, err := c.members.Pods(ctx)
		if err != nil {
			return err.Error()
		}
		for i := range pods {
			if framework.PodReady(&pods[i]) {
				return pods[i].Name + " is ready"
			}
		}
		return ""
	})
}
