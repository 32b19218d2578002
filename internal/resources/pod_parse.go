package resources

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/state"
)

// ParsePod decodes a member Pod of the cluster: what it records, and what Kubernetes says about it.
func ParsePod(cluster string, pod *corev1.Pod) (state.Pod, error) {
	r := record{values: pod.Annotations}
	p := state.Pod{
		Name:             pod.Name,
		UID:              pod.UID,
		ResourceVersion:  pod.ResourceVersion,
		Owner:            ownerOf(pod),
		Generation:       r.positive(AnnotationGeneration),
		Token:            r.text(AnnotationToken),
		Size:             int(r.positive(AnnotationSize)),
		MemberID:         r.id(AnnotationMemberID),
		Volume:           claimName(pod),
		Sealed:           sealed(pod),
		InitialCluster:   r.text(AnnotationInitialCluster),
		Voter:            pod.Labels[LabelRole] == RoleVoter,
		Started:          r.flag(AnnotationStarted),
		Retiring:         r.flag(AnnotationRetiring),
		Surge:            r.flag(AnnotationSurge),
		Unused:           r.flag(AnnotationUnused),
		Applied:          r.text(AnnotationApplied),
		Trust:            MountedTrust(pod),
		Certificates:     pod.Annotations[AnnotationCertificates],
		Version:          r.text(AnnotationVersion),
		PatchedContainer: pod.Annotations[AnnotationPatchedContainer],
		IP:               pod.Status.PodIP,
		Node:             pod.Spec.NodeName,
		Created:          pod.CreationTimestamp.Time,
		Terminating:      pod.DeletionTimestamp != nil,
		Forced:           pod.DeletionTimestamp != nil && ptr.Deref(pod.DeletionGracePeriodSeconds, 1) == 0,
		Ready:            ready(pod),
		NotReadySince:    notReadySince(pod),
		Pinned:           pinnedNode(pod),
		Tolerations:      pod.Spec.Tolerations,
		Quota:            renderedQuota(pod),
	}
	if r.values[AnnotationSealedAfter] != "" {
		p.SealedAfter = int(r.positive(AnnotationSealedAfter))
	}
	if r.err == nil {
		p.Slot, r.err = podSlot(cluster, pod, r.text(AnnotationPeerURL))
	}
	if r.err != nil {
		return state.Pod{}, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, r.err)
	}
	readContainer(pod, &p)
	readChange(pod, &p)
	return p, nil
}

func podSlot(cluster string, pod *corev1.Pod, peerURL string) (int, error) {
	slot, ok := ParseSlot(cluster, pod.Name)
	switch {
	case !ok || pod.Labels[LabelMember] != pod.Name:
		return 0, fmt.Errorf("the name and label %s=%q fit no member of %s; restore the label, or delete the Pod",
			LabelMember, pod.Labels[LabelMember], cluster)
	case !isPeerURL(peerURL, pod.Namespace, cluster, slot):
		return 0, fmt.Errorf("%s is %q, which is not at %s; restore it",
			AnnotationPeerURL, peerURL, PeerHost(pod.Namespace, cluster, slot))
	}
	return slot, nil
}

// readContainer fills in what the kubelet reports.
func readContainer(pod *corev1.Pod, p *state.Pod) {
	status := etcdStatus(pod)
	if status == nil {
		p.Finished, p.Waiting = ended(pod), podWaiting(pod)
		return
	}
	p.Running = status.State.Running != nil
	// A terminal phase that somebody other than the kubelet wrote (the garbage collector of Pods) may come before the
	// end of the container.
	p.Finished = ended(pod) && !p.Running
	p.Restarts = int(status.RestartCount)
	p.LastExit = lastExit(status)
	if p.Running {
		p.ContainerID = status.ContainerID
		p.RunningSince = status.State.Running.StartedAt.Time
		return
	}
	p.Waiting = podWaiting(pod)
	if w := status.State.Waiting; w != nil && w.Reason != "" {
		p.Waiting = reasonAndMessage(w.Reason, w.Message)
	}
}

// ended tells that no container of the Pod will be started again, also because its node evicted it.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func etcdStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == EtcdContainer {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// podWaiting tells why no container was started yet: the Pod's own reason (such as Evicted), else the scheduler's. One
// that a user named may not exist; the default one is only ever a moment late.
func podWaiting(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return reasonAndMessage(pod.Status.Reason, pod.Status.Message)
	}
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status != corev1.ConditionTrue {
			return reasonAndMessage(cond.Reason, cond.Message)
		}
	}
	if named := pod.Spec.SchedulerName; pod.Spec.NodeName == "" && named != "" && named != corev1.DefaultSchedulerName {
		return "no scheduler named " + named + " has looked at it yet"
	}
	return ""
}

func reasonAndMessage(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

func lastExit(status *corev1.ContainerStatus) *state.Exit {
	t := status.State.Terminated
	if t == nil {
		t = status.LastTerminationState.Terminated
	}
	if t == nil {
		return nil
	}
	return &state.Exit{Code: int(t.ExitCode), Message: t.Message, At: t.FinishedAt.Time}
}

func ready(pod *corev1.Pod) bool {
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

// notReadySince is when the Pod ceased to be ready, or was first seen not to be; zero while it is ready.
func notReadySince(pod *corev1.Pod) time.Time {
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodReady && cond.Status != corev1.ConditionTrue {
			return cond.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// MountedTrust is the ConfigMap with the CAs that the Pod trusts; empty when it mounts none.
func MountedTrust(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.Name == trustVolume && v.ConfigMap != nil {
			return v.ConfigMap.Name
		}
	}
	return ""
}

func claimName(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.Name == dataVolume && v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// renderedQuota is the quota on the command line of the member; 0 when it has none.
func renderedQuota(pod *corev1.Pod) int64 {
	for _, container := range pod.Spec.Containers {
		for _, arg := range container.Args {
			value, found := strings.CutPrefix(arg, "--"+flagQuota+"=")
			if n, err := strconv.ParseInt(value, 10, 64); found && container.Name == EtcdContainer && err == nil {
				return n
			}
		}
	}
	return 0
}
