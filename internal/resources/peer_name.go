package resources

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// DemandedCommonName is what members demand of one another in the mode; empty when whoever brings the certificates
// chooses it. While the mode changes they may have to demand nothing yet: see AcceptsAnyPeerName.
func DemandedCommonName(c *v1alpha1.EtcdCluster) string {
	if mode := TLSMode(c); mode == v1alpha1.TLSDisabled || mode == v1alpha1.TLSSecrets {
		return ""
	}
	return PeerCommonName(c)
}

func demandedName(c *v1alpha1.EtcdCluster, anyPeerName bool) string {
	if anyPeerName {
		return ""
	}
	return DemandedCommonName(c)
}

// DemandedBy is the common name that the Pod's process demands of its peers; empty when it accepts all of them.
func DemandedBy(p state.Pod) string {
	for _, arg := range p.Args {
		if name, found := strings.CutPrefix(arg, "--"+flagPeerName+"="); found {
			return name
		}
	}
	return ""
}

// AcceptsAnyPeerName tells that members must not demand the common name of the mode yet, because one may still show a
// certificate with another one, as after mode Secrets. etcd compares the name on both ends of a connection
// (client/pkg/transport, TLSInfo.baseConfig): a member that demands what the others do not have is cut off. Those that
// demand it go on doing so, whatever is lost, damaged or not seen for a while, unless the published certificate has
// another name and only a rotation can change that. To demand it anew takes a restart, so it waits for the end of a
// rotation, which restarts members anyway.
func AcceptsAnyPeerName(c *state.Cluster) bool {
	name := DemandedCommonName(c.Object)
	if c.TLS == nil || name == "" {
		return false
	}
	cert := c.TLS.Certificates[state.PeerCertificate]
	running, demanded, shown := false, false, true
	for _, m := range c.Members {
		if m.Pod == nil {
			continue
		}
		running = true
		demanded = demanded || DemandedBy(*m.Pod) == name
		shown = shown && m.Serves.Peer == cert.Fingerprint
	}
	switch {
	case cert.Accepted() && cert.CommonName != name:
		return !demanded || !c.CanIssue(state.PeerCertificate)
	case demanded || !running:
		return false
	default:
		unreadable := slices.ContainsFunc(c.Leftovers.Foreign, func(o state.ForeignObject) bool { return o.Kind == "Pod" })
		return !cert.Accepted() || !shown || unreadable || c.TLS.Peer.Previous != nil
	}
}
