package resources

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/state"
)

// Values of etcd's --initial-cluster-state.
const (
	clusterStateNew      = "new"
	clusterStateExisting = "existing"
)

// selfList is the --initial-cluster of a sealed member. Without a write-ahead log etcd asks the others in the list for
// the cluster, finds none, and exits instead of starting empty under an old ID.
func selfList(name, peerURL string) string {
	return state.InitialCluster([]state.InitialMember{{Name: name, PeerURL: peerURL}})
}

// Seal makes sure that the member never starts empty again: from its next start on it needs its write-ahead log.
// A member that never ran must not be sealed: it would never start. Restarts is how often its container was restarted
// before, so that an earlier exit is not taken for a refusal to start empty.
func Seal(pod *corev1.Pod, i state.Incarnation, restarts int) {
	setStart(pod, state.Start{Sealed: true}, selfList(pod.Name, i.PeerURL))
	if restarts > 0 {
		setAnnotation(pod, AnnotationSealedAfter, strconv.Itoa(restarts))
	}
}

// SetStart renders anew how the Pod starts its etcd, for a learner whose list became stale before it ever ran.
// Only the sealed settings change; role, node and IP family are those that the Pod was made with.
func SetStart(pod *corev1.Pod, start state.Start) {
	setStart(pod, start, selfList(pod.Name, pod.Annotations[AnnotationPeerURL]))
}

func setStart(pod *corev1.Pod, start state.Start, self string) {
	list, clusterState := start.InitialCluster, clusterStateNew
	if start.Existing {
		clusterState = clusterStateExisting
	}
	if start.Sealed {
		list, clusterState = self, clusterStateExisting
	}
	setAnnotation(pod, AnnotationInitialCluster, list)
	setAnnotation(pod, AnnotationInitialClusterState, clusterState)
}

// sealed tells that the Pod starts as Seal wants it.
func sealed(pod *corev1.Pod) bool {
	return pod.Annotations[AnnotationInitialClusterState] == clusterStateExisting &&
		pod.Annotations[AnnotationInitialCluster] == selfList(pod.Name, pod.Annotations[AnnotationPeerURL])
}

// SetVoter labels the Pod as a voter's, which the PodDisruptionBudget and the client Service select.
func SetVoter(pod *corev1.Pod) {
	pod.SetLabels(merged(pod.GetLabels(), map[string]string{LabelRole: RoleVoter}))
}

// MarkUnused records that no etcd ran on the Pod's volume before it.
func MarkUnused(pod *corev1.Pod) { setFlag(pod, AnnotationUnused, true) }

// RecordPodStarted records that an ephemeral member was seen started; the record lives as long as its data.
func RecordPodStarted(pod *corev1.Pod) { setFlag(pod, AnnotationStarted, true) }

// RecordPodRetiring records that the removal of an ephemeral member is about to be sent, or withdraws that.
func RecordPodRetiring(pod *corev1.Pod, retiring bool) { setFlag(pod, AnnotationRetiring, retiring) }
