package sim

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/resources"
)

// What this file does stands for a person who does what the status asks for, because this release does not do it by
// itself. When a feature lands, its function goes: the cluster then has to become as specified without it.

// byHand does one thing by hand, if any is to be done, and tells whether it did.
func (w *world) byHand() bool {
	return w.undoRefused() || w.deleteForeignClaims()
}

// undoRefused takes back edits that are refused or not rolled out.
func (w *world) undoRefused() bool {
	c := w.cluster()
	asked := func(what string) bool { return strings.Contains(describeStatus(c), what) }
	switch {
	case asked("set spec.version back"):
		for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
			if claim.Annotations[resources.AnnotationRetired] == "" {
				w.editVersion(claim.Annotations[resources.AnnotationVersion])
				return true
			}
		}
	case asked("set spec.version to a later release"), asked("minors cannot be skipped"):
		w.editVersion("3.6.16") // between any two of the others
	default:
		return false
	}
	return true
}

// deleteForeignClaims deletes claims that the operator leaves alone, because they are bound to another volume than they
// record. Their members are replaced then.
func (w *world) deleteForeignClaims() bool {
	t := w.truth()
	for _, claim := range all[*corev1.PersistentVolumeClaim](w.store) {
		recorded := claim.Annotations[resources.AnnotationVolumeName]
		if claim.DeletionTimestamp == nil && recorded != "" && recorded != claim.Spec.VolumeName && t.quorate {
			w.log("a person deletes claim %s", claim.Name)
			must(w.store.remove(refOf(claim), nil, false))
			return true
		}
	}
	return false
}
