//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func TestCertificatesAreRenewedUnderLoadWithoutARestart(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(certificateLifetime(2*time.Minute))))
	c.ready()
	processes := c.processes()
	l := c.load()
	visits := c.members.Visit(c.ctx)
	t.Cleanup(func() { _, _ = visits.Stop() })

	for range 2 {
		before := c.fingerprints()
		start := time.Now()
		c.renewed(before)
		t.Logf("other certificates are published and served after %s", time.Since(start).Round(time.Second))
		c.served()
	}
	l.goesOn()

	made, err := visits.Stop()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d new connections were used", made)
	record := l.unnoticed()
	if record.Failed > 0 {
		t.Errorf("%d writes failed, want none; the last: %v", record.Failed, record.LastFailure)
	}
	if got := l.watch.Connections(); got != 1 {
		t.Errorf("the watch needed %d connections, want that of before the renewals to hold", got)
	}
	c.sameProcesses(processes)
}

// renewed waits until every certificate is another one than before.
func (c *cluster) renewed(before map[state.CertificateName]string) {
	c.t.Helper()
	c.eventually("waiting until certificates are renewed", settle, func(ctx context.Context) string {
		for name, old := range before {
			now, err := c.published(ctx, name)
			if err != nil {
				return err.Error()
			}
			if now == old {
				return fmt.Sprintf("the %s certificate is as before", name)
			}
		}
		return ""
	})
}

// served waits until every member serves what is published, on both ports.
func (c *cluster) served() {
	c.t.Helper()
	for _, name := range []state.CertificateName{state.ServerCertificate, state.PeerCertificate} {
		c.eventually(fmt.Sprintf("waiting until all members serve the %s certificate", name), settle,
			func(ctx context.Context) string {
				want, err := c.published(ctx, name)
				if err != nil {
					return err.Error()
				}
				pods, err := c.members.Pods(ctx)
				if err != nil {
					return err.Error()
				}
				for _, p := range pods {
					if got, err := c.servedBy(ctx, &p, name); err != nil || got != want {
						return fmt.Sprintf("%s serves %.16s (%v), published is %.16s", p.Name, got, err, want)
					}
				}
				return ""
			})
	}
}

// servedBy is the fingerprint of what the Pod serves on the port of the certificate.
func (c *cluster) servedBy(ctx context.Context, pod *corev1.Pod, name state.CertificateName) (string, error) {
	port, shown := resources.ClientPort, state.ClientCertificate
	if name == state.PeerCertificate {
		port, shown = resources.PeerPort, state.PeerCertificate
	}
	id, err := c.IdentityIn(ctx, c.secretKey(resources.CertificateSecretName(c.key.Name, shown)))
	if err != nil {
		return "", err
	}
	address, stop, err := c.Reach(ctx, pod, port)
	if err != nil {
		return "", err
	}
	defer stop()
	return id.Served(ctx, address, c.host(pod.Name))
}
