package resources

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

const (
	dataVolume = "data"
	// defaultGracePeriod in seconds leaves etcd the time to close its client connections (up to 7 s) and to hand over
	// its leadership (up to 7 s more): etcd server/embed/etcd.go, Close.
	defaultGracePeriod int64 = 30
)

// Pod is the Pod of an incarnation, started as start says.
func Pod(c *v1alpha1.EtcdCluster, i state.Incarnation, start state.Start) *corev1.Pod {
	template := podTemplateSpec(c)
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: podMetadata(c, i),
		Spec: corev1.PodSpec{
			Hostname:                      MemberName(c.Name, i.Slot),
			Subdomain:                     PeerServiceName(c.Name),
			RestartPolicy:                 corev1.RestartPolicyAlways,
			DNSPolicy:                     corev1.DNSClusterFirst,
			EnableServiceLinks:            new(false),
			AutomountServiceAccountToken:  new(false),
			TerminationGracePeriodSeconds: new(ptr.Deref(template.TerminationGracePeriodSeconds, defaultGracePeriod)),
			SecurityContext:               podSecurityContext(template.SecurityContext),
			ImagePullSecrets:              pullSecrets(c.Spec.Image),
			Containers:                    []corev1.Container{container(c, i, start)},
			Volumes:                       volumes(c, i, start.Trust),
			Affinity:                      affinity(c.Name, template.Affinity, start.Node),
			TopologySpreadConstraints:     spreadConstraints(c.Name, template.TopologySpreadConstraints),
			NodeSelector:                  template.NodeSelector,
			Tolerations:                   template.Tolerations,
			PriorityClassName:             ptr.Deref(template.PriorityClassName, ""),
			SchedulerName:                 ptr.Deref(template.SchedulerName, ""),
			RuntimeClassName:              template.RuntimeClassName,
		},
	}
	SetOwner(pod, c, true)
	setStart(pod, start, selfList(pod.Name, i.PeerURL))
	if start.Certificates != "" {
		SetCertificates(pod, start.Certificates)
	}
	if start.Voter {
		SetVoter(pod)
	}
	setFlag(pod, AnnotationSurge, i.Surge)
	return pod
}

func podMetadata(c *v1alpha1.EtcdCluster, i state.Incarnation) metav1.ObjectMeta {
	var user v1alpha1.PodMetadata
	if t := c.Spec.PodTemplate; t != nil && t.Metadata != nil {
		user = *t.Metadata
	}
	name := MemberName(c.Name, i.Slot)
	own := merged(objectLabels(c.Name, ComponentMember), map[string]string{LabelMember: name, LabelRole: RoleLearner})
	return metav1.ObjectMeta{
		Namespace: c.Namespace,
		Name:      name,
		Labels:    merged(user.Labels, own),
		Annotations: merged(user.Annotations, map[string]string{
			AnnotationGeneration: strconv.FormatInt(i.Generation, 10),
			AnnotationToken:      i.Token,
			AnnotationSize:       strconv.Itoa(i.Size),
			AnnotationMemberID:   FormatID(i.MemberID),
			AnnotationPeerURL:    i.PeerURL,
			AnnotationVersion:    i.Version,
			AnnotationApplied:    AppliedOn(c, i.Version, quotaSize(c, i)),
		}),
	}
}

// podTemplateSpec is a copy of the Pod fields that the spec gives; zero where it gives none.
func podTemplateSpec(c *v1alpha1.EtcdCluster) v1alpha1.PodSpec {
	if t := c.Spec.PodTemplate; t != nil && t.Spec != nil {
		return *t.Spec.DeepCopy()
	}
	return v1alpha1.PodSpec{}
}

func pullSecrets(image *v1alpha1.ImageSpec) []corev1.LocalObjectReference {
	if image == nil {
		return nil
	}
	var refs []corev1.LocalObjectReference
	for _, s := range image.PullSecrets {
		refs = append(refs, corev1.LocalObjectReference{Name: s.Name})
	}
	return refs
}

func dataSource(c *v1alpha1.EtcdCluster, i state.Incarnation) corev1.VolumeSource {
	e := c.Spec.Storage.Ephemeral
	if e == nil {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
			ClaimName: VolumeName(c.Name, i.Slot, i.MemberID),
		}}
	}
	source := &corev1.EmptyDirVolumeSource{SizeLimit: e.SizeLimit}
	if ptr.Deref(e.Medium, v1alpha1.EphemeralDisk) == v1alpha1.EphemeralMemory {
		source.Medium = corev1.StorageMediumMemory
	}
	return corev1.VolumeSource{EmptyDir: source}
}
