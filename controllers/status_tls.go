package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// setTLS sets what the status tells of the certificates; nothing in mode Disabled.
func setTLS(s *v1alpha1.EtcdClusterStatus, c *state.Cluster, d plan.Decision, blocked []plan.Blocked) {
	if c.TLS == nil {
		s.TLS = nil
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionCertificatesValid)
		return
	}
	s.TLS = &v1alpha1.TLSStatus{
		ClientSecret:    ptr.To(resources.ClientSecretName(c.Object.Name)),
		ClientsMustLoad: nilWhenEmpty(d.ClientsMustLoad),
	}
	if at := firstExpiry(c.TLS); !at.IsZero() {
		s.TLS.CertificatesExpire = ptr.To(metav1.NewTime(at))
	}
	cond := certificatesValid(c, d, blocked)
	cond.ObservedGeneration = c.Object.Generation
	cond.Message = truncate(cond.Message, maxMessage)
	meta.SetStatusCondition(&s.Conditions, cond)
}

// firstExpiry is when the first of the certificates and of the CAs that signed them expires; zero when there are none.
func firstExpiry(t *state.TLS) time.Time {
	var first time.Time
	for _, at := range expiries(t) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first.Truncate(time.Second)
}

// expiries tell when each certificate that there is, and each CA that signs, expires.
func expiries(t *state.TLS) map[string]time.Time {
	all := map[string]time.Time{}
	if t == nil {
		return all
	}
	for _, name := range state.CertificateNames() {
		if cert := t.Certificates[name]; cert.Exists {
			all[string(name)] = cert.NotAfter
		}
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		if a := t.Authority(side); a.Recorded {
			all[string(side)+"-ca"] = a.Signer.NotAfter
		}
	}
	return all
}

func certificatesValid(c *state.Cluster, d plan.Decision, blocked []plan.Blocked) metav1.Condition {
	cond := metav1.Condition{Type: v1alpha1.ConditionCertificatesValid, Status: metav1.ConditionFalse}
	for _, b := range blocked {
		if b.Reason == v1alpha1.ReasonCertificateProblem {
			cond.Reason, cond.Message = b.Reason, b.Message
			return cond
		}
	}
	if expired := expiredCertificates(c); len(expired) > 0 {
		cond.Reason, cond.Message = v1alpha1.ReasonCertificateExpired, "expired: "+strings.Join(expired, ", ")
		return cond
	}
	if missing := missingCertificates(c.TLS); len(missing) > 0 {
		cond.Reason = v1alpha1.ReasonCertificateProblem
		cond.Message = "not issued yet: " + strings.Join(missing, ", ")
		return cond
	}
	cond.Status, cond.Reason = metav1.ConditionTrue, v1alpha1.ReasonCertificatesValid
	cond.Message = "all certificates are valid"
	if side := inRotation(c); side != "" {
		// Its steps follow one another; between two of them nothing is waited for.
		cond.Reason, cond.Message = v1alpha1.ReasonRotatingCA, "the "+string(side)+" CA is rotated"
	}
	return withRenewals(cond, d.Pending)
}

// withRenewals says of a condition of valid certificates which of them are on their way; other things are pending, too.
func withRenewals(cond metav1.Condition, pending []plan.Blocked) metav1.Condition {
	var parts []string
	for _, p := range pending {
		switch p.Reason {
		case v1alpha1.ReasonRotatingCA:
			cond.Reason = p.Reason
		case v1alpha1.ReasonCertificateRenewing:
			if cond.Reason != v1alpha1.ReasonRotatingCA {
				cond.Reason = p.Reason
			}
		default:
			continue
		}
		parts = append(parts, p.Message)
	}
	if len(parts) > 0 {
		cond.Message = strings.Join(parts, ". ")
	}
	return cond
}

// inRotation is a side whose authority is being replaced, until no member trusts the former one any more; empty when
// none is.
func inRotation(c *state.Cluster) state.Side {
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		a := c.TLS.Authority(side)
		if a.Next != nil || a.Previous != nil || slices.ContainsFunc(c.Pods(), c.TLS.Outdated) {
			return side
		}
	}
	return ""
}

func expiredCertificates(c *state.Cluster) []string {
	var list []string
	for _, name := range state.CertificateNames() {
		cert := c.TLS.Certificates[name]
		if cert.Exists && !c.Now.Before(cert.NotAfter) {
			list = append(list, fmt.Sprintf("Secret %s (%s)", cert.Secret, cert.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		if a := c.TLS.Authority(side); a.Recorded && !c.Now.Before(a.Signer.NotAfter) {
			list = append(list, fmt.Sprintf("the %s CA (%s)", side, a.Signer.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return list
}

func missingCertificates(t *state.TLS) []string {
	var list []string
	for _, name := range state.CertificateNames() {
		switch cert := t.Certificates[name]; {
		case cert.Exists:
		case cert.Problem != "":
			list = append(list, "Secret "+cert.Secret+" "+cert.Problem)
		default:
			list = append(list, "Secret "+cert.Secret)
		}
	}
	return list
}

// withPending adds what goes on in the background to the message of Progressing; a mere remark on what is as specified
// does not make it true.
func withPending(cond metav1.Condition, pending []plan.Blocked) metav1.Condition {
	if len(pending) == 0 || cond.Reason == v1alpha1.ReasonPaused || cond.Reason == v1alpha1.ReasonDeleting {
		return cond
	}
	var parts []string
	goesOn := slices.IndexFunc(pending, func(p plan.Blocked) bool { return p.Reason != v1alpha1.ReasonAsSpecified })
	switch {
	case cond.Status == metav1.ConditionTrue:
		parts = append(parts, cond.Message)
	case goesOn >= 0:
		cond.Status, cond.Reason = metav1.ConditionTrue, pending[goesOn].Reason
	}
	for _, p := range pending {
		if !slices.Contains(parts, p.Message) {
			parts = append(parts, p.Message)
		}
	}
	cond.Message = strings.Join(parts, ". ")
	return cond
}
