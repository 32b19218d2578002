package plan

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// clientsLoaded tells that the clients were given the time to load what the client Secret holds, or that somebody
// vouches that they have. A program such as kube-apiserver reads its CA file once, when it starts.
func (w *walk) clientsLoaded(a state.Authority) bool {
	c := w.c
	cert := c.TLS.Certificates[state.ClientCertificate]
	if w.lostForGood(state.ClientCertificate, cert) {
		return true // it comes with the next authority only
	}
	if !cert.Exists || cert.Bundle != a.Bundle {
		w.pend(v1alpha1.ReasonRotatingCA, "the client CA is rotated: waiting until Secret "+cert.Secret+" holds it")
		return false
	}
	if w.clientsDone(a) {
		return true
	}
	load, until := resources.ClientsLoad(cert.Bundle, cert.Issuer), w.clientsUntil(a)
	w.d.ClientsMustLoad = load
	w.wakeAfter(until.Sub(c.Now))
	w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the client CA is rotated: clients must load what Secret %s holds now "+
		"(restart those that read it only once, such as kube-apiserver); then set the annotation %s=%s, or wait until %s",
		cert.Secret, v1alpha1.AnnotationClientsLoaded, load, until.UTC().Format(time.RFC3339)))
	return false
}

// clientsDone tells that their time is over, or that somebody vouches for them.
func (w *walk) clientsDone(a state.Authority) bool {
	cert := w.c.TLS.Certificates[state.ClientCertificate]
	load := resources.ClientsLoad(cert.Bundle, cert.Issuer)
	return !w.c.Now.Before(w.clientsUntil(a)) || w.c.Object.Annotations[v1alpha1.AnnotationClientsLoaded] == load ||
		expired(w.c, a.Signer)
}

// clientsUntil is when clients have had their time: the grace that the spec gives, but never so long that the signer,
// or a certificate that nobody can renew, expires meanwhile.
func (w *walk) clientsUntil(a state.Authority) time.Time {
	since := a.Since
	if published := w.c.TLS.Certificates[state.ClientCertificate].Since; published.After(since) {
		since = published
	}
	until := since.Add(resources.ClientGrace(w.c.Object))
	sooner := func(at time.Time) {
		if at.Before(until) {
			until = at
		}
	}
	switch {
	case !w.c.TLS.Managed:
	case a.Next == nil:
		sooner(a.Signer.RenewAt)
	default:
		sooner(nearEnd(a.Signer.RenewAt, a.Signer.NotAfter))
	}
	for _, name := range state.CertificateNames() {
		cert := w.c.TLS.Certificates[name]
		if name.Side() == state.ClientSide && cert.Exists && !w.c.CanIssue(name) {
			sooner(nearEnd(cert.RenewAt, cert.NotAfter))
		}
	}
	return until
}
