package resources

import (
	"encoding/json"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

const (
	// OperatorProgram is the operator's program in its image.
	OperatorProgram = "/quorate"

	helperContainer = "quorate"
	sourceVolume    = "source"
	toolsVolume     = "tools"
	workVolume      = "work"
	sourcePath      = "/source"
	toolsPath       = "/tools"
	workPath        = "/work"

	// annotationVolumeUID on an inspection is the UID of the claim that it reads.
	annotationVolumeUID = "quorate.dev/volume-uid"
	// annotationConfirms on an inspection is the token of the cluster that takes the place of the one that was lost.
	annotationConfirms = "quorate.dev/confirms"
)

// InspectionName is the name of the Pod that reads a volume.
func InspectionName(volume string) string { return volume + "-inspect" }

// SalvageName is the name of the Pod that brings the data of a lost cluster onto the volume of the new one.
func SalvageName(cluster, lossID string) string { return RecoveryName(cluster, lossID) + "-salvage" }

// InspectionPod reads the data on a volume and tells about it in its termination message. It can change nothing: the
// volume is mounted for reading. It goes to node, where a Pod of the member is; anywhere when that is empty.
func InspectionPod(c *v1alpha1.EtcdCluster, image, volume string, uid types.UID, node string) *corev1.Pod {
	pod := helperPod(c, InspectionName(volume), ComponentInspection, node)
	pod.Annotations = map[string]string{annotationVolumeUID: string(uid)}
	pod.Spec.Volumes = []corev1.Volume{claimVolume(sourceVolume, volume)}
	pod.Spec.Containers = []corev1.Container{helper(helperContainer, image,
		[]string{OperatorProgram, "inspect-data", "--data-dir=" + sourcePath + "/data"},
		corev1.VolumeMount{Name: sourceVolume, MountPath: sourcePath, ReadOnly: true})}
	recordSpec(pod)
	return pod
}

// RecordConfirms records on the Pod of an inspection that no Pod of the lost cluster is there any more, so that what it
// finds is what the cluster with this token starts from; empty records nothing.
func RecordConfirms(pod *corev1.Pod, token string) {
	if token != "" {
		setAnnotation(pod, annotationConfirms, token)
	}
}

// ParseInspection decodes a Pod that reads a volume.
func ParseInspection(pod *corev1.Pod) state.Inspection {
	i := state.Inspection{
		Pod: pod.Name, UID: pod.UID, VolumeUID: types.UID(pod.Annotations[annotationVolumeUID]),
		Terminating: pod.DeletionTimestamp != nil, Waiting: podWaiting(pod), Spec: HelperSpec(pod),
		Created: pod.CreationTimestamp.Time, Finished: ended(pod), Confirms: pod.Annotations[annotationConfirms],
	}
	for _, v := range pod.Spec.Volumes {
		if v.Name == sourceVolume && v.PersistentVolumeClaim != nil {
			i.Volume = v.PersistentVolumeClaim.ClaimName
		}
	}
	var report state.DataReport
	at, waiting := result(pod, &report)
	if at != nil {
		i.At, i.Report = at.Time, &report
	} else if waiting != "" {
		i.Waiting = waiting
	}
	return i
}

// SalvagePod brings the data of the chosen survivor onto the volume of the new cluster's first member: etcd itself, of
// the version that wrote the data, takes up a copy of it all alone, reachable from nowhere, and etcdutl restores that
// under the new identity. The operator's program, put beside them, runs both. The old volume is mounted for reading.
func SalvagePod(c *v1alpha1.EtcdCluster, image string, r state.Recovery) *corev1.Pod {
	chosen, member := *r.Loss.ChosenSurvivor(), RecoveredMember(c, r)
	pod := helperPod(c, SalvageName(c.Name, r.Loss.ID), ComponentSalvage, "")
	program := toolsPath + OperatorProgram
	pod.Spec.Volumes = []corev1.Volume{
		claimVolume(sourceVolume, chosen.Volume),
		claimVolume(dataVolume, VolumeName(c.Name, member.Slot, member.MemberID)),
		{Name: toolsVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: workVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	pod.Spec.InitContainers = []corev1.Container{helper("install", image, []string{OperatorProgram, "install", program},
		corev1.VolumeMount{Name: toolsVolume, MountPath: toolsPath})}
	salvage := helper(helperContainer, Image(c, member.Version), []string{
		program, "salvage-data",
		"--quorum-loss-id=" + r.Loss.ID,
		"--source=" + sourcePath + "/data",
		"--work=" + workPath,
		"--target=" + dataDir,
		"--cluster-id=" + FormatID(r.Loss.ClusterID),
		"--member-id=" + FormatID(chosen.MemberID),
		"--last-term=" + strconv.FormatUint(chosen.LastTerm, 10),
		"--last-index=" + strconv.FormatUint(chosen.LastIndex, 10),
		"--new-name=" + MemberName(c.Name, member.Slot),
		"--new-peer-url=" + member.PeerURL,
		"--new-token=" + member.Token,
		"--new-member-id=" + FormatID(member.MemberID),
	},
		corev1.VolumeMount{Name: sourceVolume, MountPath: sourcePath, ReadOnly: true},
		corev1.VolumeMount{Name: dataVolume, MountPath: mountPath},
		corev1.VolumeMount{Name: toolsVolume, MountPath: toolsPath, ReadOnly: true},
		corev1.VolumeMount{Name: workVolume, MountPath: workPath})
	salvage.ImagePullPolicy = pullPolicy(c.Spec.Image)
	pod.Spec.Containers = []corev1.Container{salvage}
	recordSpec(pod)
	return pod
}

// ParseSalvage decodes the Pod that salvages data.
func ParseSalvage(pod *corev1.Pod) state.Salvage {
	s := state.Salvage{
		Pod: pod.Name, UID: pod.UID, Terminating: pod.DeletionTimestamp != nil, Waiting: podWaiting(pod),
		Spec: HelperSpec(pod), Created: pod.CreationTimestamp.Time, Finished: ended(pod),
	}
	var report state.SalvageReport
	at, waiting := result(pod, &report)
	if at != nil {
		s.Report = &report
	} else if waiting != "" {
		s.Waiting = waiting
	}
	return s
}

// result is what the container of a helper Pod said when it ended well, and when; else why it did not, or not yet.
func result(pod *corev1.Pod, into any) (at *metav1.Time, waiting string) {
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if w := status.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" {
			waiting = reasonAndMessage(w.Reason, w.Message)
		}
		exit := lastExit(&status)
		switch {
		case exit == nil:
		case exit.Code != 0:
			waiting = "it failed: " + exit.Message
		case status.Name == helperContainer:
			if err := json.Unmarshal([]byte(exit.Message), into); err != nil {
				return nil, "what it told cannot be read: " + err.Error()
			}
			return &metav1.Time{Time: exit.At}, ""
		}
	}
	return nil, waiting
}

// recordSpec records what the Pod was made from. The API server fills in defaults, so the spec itself tells nothing.
func recordSpec(pod *corev1.Pod) {
	spec, err := json.Marshal(pod.Spec)
	if err != nil {
		panic(err) // a Pod's spec can always be encoded
	}
	setAnnotation(pod, AnnotationApplied, shortHash(string(spec)))
}

// HelperSpec names what a Pod of an inspection or a salvage was made from: one that differs from what would be made now
// has an image, or a place to run, that may have been mended since.
func HelperSpec(pod *corev1.Pod) string { return pod.Annotations[AnnotationApplied] }

// helperPod is a Pod beside the members': on no Service, under the same security.
func helperPod(c *v1alpha1.EtcdCluster, name, component, node string) *corev1.Pod {
	template := podTemplateSpec(c)
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: objectLabels(c.Name, component)},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyOnFailure,
			EnableServiceLinks:           new(false),
			AutomountServiceAccountToken: new(false),
			SecurityContext:              podSecurityContext(template.SecurityContext),
			ImagePullSecrets:             pullSecrets(c.Spec.Image),
			NodeSelector:                 template.NodeSelector,
			Tolerations:                  template.Tolerations,
			RuntimeClassName:             template.RuntimeClassName,
		},
	}
	if node != "" {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: pinned(nil, node)}
	}
	SetOwner(pod, c, true)
	return pod
}

func helper(name, image string, command []string, mounts ...corev1.VolumeMount) corev1.Container {
	return corev1.Container{
		Name: name, Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: command, VolumeMounts: mounts,
		Resources:                containerResources(nil),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          containerSecurityContext(),
	}
}

func claimVolume(name, claim string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}
