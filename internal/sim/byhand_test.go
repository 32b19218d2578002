package sim

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// What this file does stands for a person who does what the status asks for, because this release does not do it by
// itself. When a feature lands, its function goes: the cluster then has to become as specified without it.

// byHand does one thing by hand, if any is to be done, and tells whether it did.
func (w *world) byHand() bool {
	return w.undoRefused() || w.deleteForeignClaims() || w.replaceDamaged() || w.replaceAsTold()
}

var toldToReplace = regexp.MustCompile(`To have it replaced instead, run [^=]*` + v1alpha1.AnnotationReplaceMember + `=([0-9a-f]+)`)

// replaceAsTold asks for the replacement of the member for which the status says how.
func (w *world) replaceAsTold() bool {
	c := w.cluster()
	told := toldToReplace.FindStringSubmatch(describeStatus(c))
	if told == nil || c.Annotations[v1alpha1.AnnotationReplaceMember] == told[1] {
		return false
	}
	w.log("a person asks for the replacement of %s", told[1])
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationReplaceMember, told[1])
	must(w.store.update(c, false))
	return true
}

// undoRefused takes back edits that are refused or not rolled out, once the status speaks of the last one.
func (w *world) undoRefused() bool {
	c := w.cluster()
	if ptr.Deref(c.Status.ObservedGeneration, 0) != c.Generation {
		return false
	}
	asked := func(what string) bool { return strings.Contains(describeStatus(c), what) }
	switch {
	case asked("set spec.version back"):
		for _, claim := range view[*corev1.PersistentVolumeClaim](w.store) {
			if claim.Annotations[resources.AnnotationRetired] == "" {
				w.editVersion(claim.Annotations[resources.AnnotationVersion])
				return true
			}
		}
	case asked("create a new cluster and move the data"):
		for _, pod := range view[*corev1.Pod](w.store) {
			w.editVersion(versionOf(pod.Spec.Containers[0].Image))
			return true
		}
	case asked("set spec.version to a release of 3.7"):
		w.editVersion("3.7.3")
	case asked("set spec.version to a later release"), asked("set spec.version to a release of 3.6"):
		w.editVersion("3.6.16") // between any two of the others
	case asked("Lower the requests of podTemplate.spec.resources"):
		w.editSpec("less cpu", func(s *v1alpha1.EtcdClusterSpec) {
			s.PodTemplate.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m")}
		})
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

// replaceDamaged asks for the replacement of a member that crashes on its data as the only one with its template: from
// that alone the operator cannot tell which of both it crashes on.
func (w *world) replaceDamaged() bool {
	c := w.cluster()
	for _, pod := range view[*corev1.Pod](w.store) {
		id := pod.Annotations[resources.AnnotationMemberID]
		d := w.kube.diskOf(pod)
		if d == nil || !d.damaged || w.sharesTemplate(pod) || c.Annotations[v1alpha1.AnnotationReplaceMember] == id {
			continue
		}
		w.log("a person asks for the replacement of %s", pod.Name)
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationReplaceMember, id)
		must(w.store.update(c, false))
		return true
	}
	return false
}

// sharesTemplate tells that another Pod runs with the same template.
func (w *world) sharesTemplate(pod *corev1.Pod) bool {
	return slices.ContainsFunc(w.runningPods(), func(other running) bool {
		return other.pod.UID != pod.UID &&
			other.pod.Annotations[resources.AnnotationApplied] == pod.Annotations[resources.AnnotationApplied]
	})
}
