//go:build e2e

package e2e

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// The certificates of somebody else have a common name of their own. A member that demanded the operator's before all
// show it would be cut off from the others.
func TestTheOperatorTakesOverTheCertificatesOfSomebodyElse(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(mode(v1alpha1.TLSSecrets), clientGrace(0), func(s *v1alpha1.TLSSpec) {
		s.Secrets = &v1alpha1.SecretsTLS{Peer: peerSource, Server: serverSource, Client: clientSource}
	})))
	o := c.owner("theirs")
	for _, name := range []string{peerSource, serverSource, clientSource} {
		c.bring(name, o.pair(name), nil)
	}
	obj := c.ready()
	ids, old := c.ids(), c.credentials()
	l := c.load()
	c.edit(withTLS(mode(v1alpha1.TLSManaged), func(s *v1alpha1.TLSSpec) { s.Secrets = nil }))
	c.rotated(old)
	c.ready()
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	c.sameMembers(ids)
	demand := "--peer-cert-allowed-cn=" + resources.PeerCommonName(obj)
	for name := range ids {
		if args := c.pod(name).Spec.Containers[0].Args; !slices.Contains(args, demand) {
			t.Errorf("%s demands no common name of its peers after the change, want %s:\n%q", name, demand, args)
		}
	}
	c.shutOut(old)
}
