package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// certificates keeps the authorities, the certificates that they sign, and what members are told to trust.
func certificates(w *walk) {
	if w.c.TLS == nil {
		return
	}
	if resources.TLSMode(w.c.Object) == v1alpha1.TLSCertManager {
		w.ensure(RequestCertificates{})
	}
	w.authority(state.PeerSide)
	w.authority(state.ClientSide)
	for _, name := range state.CertificateNames() {
		w.certificate(name)
	}
	w.trust()
	w.refresh()
}

// certificate issues what is missing, damaged, about to expire, or no longer what is wanted, and publishes with it the
// CAs of its side.
func (w *walk) certificate(name state.CertificateName) {
	t := w.c.TLS
	cert, a := t.Certificates[name], t.Authority(name.Side())
	if !a.Recorded || w.unrelated(name.Side()) {
		return
	}
	why := w.outOfDate(name, cert, a)
	if needed := name == state.PeerCertificate || name == state.ServerCertificate; needed && w.lostForGood(name, cert) {
		w.block(0, v1alpha1.ReasonCertificateProblem, fmt.Sprintf("Secret %s is missing, damaged or of a foreign CA, and "+
			"nobody can issue the certificate: members that stop cannot start again before the %s CA is rotated, and it cannot "+
			"be without an outage. Restore the Secret, or %s", cert.Secret, name.Side(), withoutTrust(w.c)))
	}
	switch {
	case why != "":
		w.ensure(PublishCertificate{Name: name, Renew: true, Why: why})
	case cert.Exists && cert.Bundle != a.Bundle:
		w.ensure(PublishCertificate{Name: name, Why: "the certificate authorities have changed"})
	}
	if cert.Exists && cert.Source == nil && w.c.Now.Before(cert.RenewAt) {
		w.wakeAfter(cert.RenewAt.Sub(w.c.Now))
	}
}

// outOfDate says why a certificate has to be made or taken anew; empty when it need not, or cannot.
func (w *walk) outOfDate(name state.CertificateName, cert state.Certificate, a state.Authority) string {
	if cert.Source != nil {
		return w.sourceHasNew(name, cert, a)
	}
	why := ""
	switch {
	case cert.Problem != "":
		why = "its Secret " + cert.Problem
	case !cert.Exists:
		why = "there is none"
	case cert.Issuer != a.Signer.ID:
		why = "it is of another certificate authority"
	case !w.c.Now.Before(cert.RenewAt):
		why = "two thirds of its life are over"
	case cert.Differs != "":
		why = cert.Differs
	}
	switch {
	case w.c.CanIssue(name):
		return why
	case !cert.Accepted() && cert.Remembered:
		return "it was lost with the key of its CA: the last one is published again until the CA is rotated"
	default:
		return "" // a rotation is under way; what is published is used until its end
	}
}

// lostForGood tells that there is no certificate that anybody accepts, and that nobody can bring it back.
func (w *walk) lostForGood(name state.CertificateName, cert state.Certificate) bool {
	told := cert.Source != nil && cert.Source.Problem != "" // what is wrong with its source
	return !cert.Accepted() && !cert.Remembered && !w.c.CanIssue(name) && !told
}

// expiredForGood tells that the published certificate has expired, and is not renewed before its CA is rotated.
func expiredForGood(c *state.Cluster, name state.CertificateName) bool {
	cert := c.TLS.Certificates[name]
	return cert.Accepted() && !c.Now.Before(cert.NotAfter) && !c.CanIssue(name)
}

// sourceHasNew says why a certificate is to be taken from its source. One of another authority has to wait until
// everybody trusts that, and the peers' until no member demands another common name.
func (w *walk) sourceHasNew(name state.CertificateName, cert state.Certificate, a state.Authority) string {
	switch source := cert.Source; {
	case source.Problem != "":
		w.block(0, v1alpha1.ReasonCertificateProblem, source.Problem+w.untilThen(cert))
	case source.Fingerprint == cert.Fingerprint, source.CA.ID != a.Signer.ID:
	case name == state.PeerCertificate && w.cutsOff(cert, source.CommonName):
	default:
		return "its source " + source.Secret + " has another one"
	}
	return ""
}

func (w *walk) untilThen(cert state.Certificate) string {
	if !cert.Exists {
		return ". The members cannot start without it"
	}
	return ". The former certificate is used meanwhile, until " + cert.NotAfter.UTC().Format("2006-01-02 15:04")
}

// trust publishes what members are to trust, and removes what no Pod mounts any more. Invariant: a ConfigMap that a Pod
// names stays, or the Pod could not start again.
func (w *walk) trust() {
	t := w.c.TLS
	if t.Trust == "" || w.unrelated(state.PeerSide) || w.unrelated(state.ClientSide) {
		return
	}
	if _, published := t.Trusts[t.Trust]; !published {
		w.ensure(PublishTrust{Name: t.Trust})
		return
	}
	if len(w.unreadablePods()) > 0 {
		return // nobody knows what they mount
	}
	used := []string{t.Trust}
	for _, p := range w.c.Pods() {
		used = append(used, p.Trust)
	}
	var unused []string
	for _, name := range slices.AppendSeq(slices.Collect(maps.Keys(t.Trusts)), maps.Keys(t.Damaged)) {
		if !slices.Contains(used, name) {
			unused = append(unused, name)
		}
	}
	if slices.Sort(unused); len(unused) > 0 {
		w.ensure(PruneTrust{Names: unused})
	}
}

// refresh has the kubelets bring renewed certificates to their Pods at once, and watches them being served.
func (w *walk) refresh() {
	t := w.c.TLS
	revision := t.Revision()
	if revision == "" {
		return
	}
	var waiting []string
	for _, m := range w.c.Members {
		if m.Pod == nil || m.Pod.Terminating || m.Pod.Trust == "" {
			continue
		}
		if m.Pod.Certificates != revision {
			w.ensure(RefreshCertificates{Member: m.Name, PodUID: m.Pod.UID, Revision: revision})
		}
		if m.Pod.Ready && !t.Served(m) {
			waiting = append(waiting, m.Name)
		}
	}
	if len(waiting) > 0 {
		w.pend(v1alpha1.ReasonCertificateRenewing, "waiting until renewed certificates are served by "+
			strings.Join(waiting, ", "))
		w.wakeAfter(servedPoll)
	}
}

// cutsOff tells that a member may run that does not accept peers of the common name. For those of which nobody knows
// what they demand, nothing changes with another certificate of the name that is published.
func (w *walk) cutsOff(published state.Certificate, commonName string) bool {
	same := published.Accepted() && published.CommonName == commonName
	return !same && len(w.unreadablePods()) > 0 || slices.ContainsFunc(w.c.Members, func(m state.Member) bool {
		if m.Pod == nil {
			return false
		}
		demanded := resources.DemandedBy(*m.Pod)
		return demanded != "" && demanded != commonName
	})
}
