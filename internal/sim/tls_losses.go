package sim

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// noteLoss notices that a CA is lost for good: its Secret cannot be read, and nothing tells any more what the Pods
// trust. The product then asks for all Pods to be deleted, which start with a new CA. And it notices that a majority
// stopped that could not start again: then the next CA signs at once.
func (w *world) noteLoss() {
	if !w.speaksTLS() {
		return
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		s, exists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, side))
		if exists {
			if a, err := resources.ParseAuthority(s); err == nil {
				w.user.lost = w.user.lost || w.user.loaded && a.Recovery != "" // made from scratch: it trusts the former
				w.noteStandstill(side, s, a.Signer.Key)
				w.noteSilence(side, a.Signer.Key)
				continue
			}
		}
		if !w.anyTrustKnown() {
			w.lockOut("the %s CA is lost for good", side)
		}
	}
}

// lockOut: nothing leads the user to the next CA any more.
func (w *world) lockOut(why string, args ...any) {
	if w.user.loaded && !w.user.lost {
		w.log(why, args...)
		w.user.lost = true
	}
}

// noteStandstill: no majority serves, and without a certificate that nobody can issue none will. Members of the former
// CA and of the next do not accept one another until all have restarted.
func (w *world) noteStandstill(side state.Side, authority *corev1.Secret, key bool) {
	if key || w.formed == 0 || w.truth().quorate {
		return
	}
	for _, name := range state.CertificateNames() {
		if name == state.ClientCertificate || name.Side() != side {
			continue
		}
		s, exists := get[*corev1.Secret](w.store, namespace, resources.CertificateSecretName(clusterName, name))
		if exists {
			if _, _, _, err := resources.CertificateIn(s); err == nil && resources.IssuerID(authority, s) != "" {
				continue
			}
		}
		w.interrupted = true
		w.lockOut("no majority serves, and the %s certificate is lost with the key of its CA", name)
	}
}

// noteSilence: without the Secret that clients load, which nobody can issue before the next CA signs, they cannot be
// told of that CA.
func (w *world) noteSilence(side state.Side, key bool) {
	if key || side != state.ClientSide || w.formed == 0 || w.user.secret() != nil {
		return
	}
	w.lockOut("the client certificate is lost with the key of its CA")
}

func (w *world) anyTrustKnown() bool {
	for _, pod := range view[*corev1.Pod](w.store) {
		cm, exists := get[*corev1.ConfigMap](w.store, namespace, trustNameOf(pod))
		if exists {
			if _, err := resources.ParseTrust(clusterName, cm); err == nil {
				return true
			}
		}
	}
	return false
}

func trustNameOf(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.ConfigMap != nil {
			return v.ConfigMap.Name
		}
	}
	return ""
}
