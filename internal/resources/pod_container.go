package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

const (
	// EtcdContainer is the name of the container that runs etcd.
	EtcdContainer = "etcd"
	// DefaultImageRepository is the official image, for which a release is tagged "v" and its number.
	DefaultImageRepository = "gcr.io/etcd-development/etcd"

	mountPath = "/var/lib/etcd"
	// dataDir is below the mount, because the root of a file system may hold a lost+found.
	dataDir = mountPath + "/data"

	// The two settings that the seal changes. The names carry no ETCD_ prefix: etcd takes those for flags, and dies
	// when a flag is set both ways (etcd pkg/flags/flag.go, verifyEnv).
	envInitialCluster      = "INITIAL_CLUSTER"
	envInitialClusterState = "INITIAL_CLUSTER_STATE"
)

// Names of the ports, in the container and in the Services.
const (
	ClientPortName  = "client"
	PeerPortName    = "peer"
	MetricsPortName = "metrics"
)

const (
	probeTimeoutSeconds = 5
	// startupSeconds is long: etcd rebuilds its index from the whole database before it answers, and a restart would
	// only begin that anew.
	startupSeconds = 30 * 60
	// readinessPeriodSeconds and the three failures of the default take a stuck member out of the Services in 15 s,
	// yet let an election (seconds) pass.
	readinessPeriodSeconds = 2
)

func container(c *v1alpha1.EtcdCluster, i state.Incarnation, start state.Start) corev1.Container {
	return corev1.Container{
		Name:            EtcdContainer,
		Image:           Image(c, i.Version),
		ImagePullPolicy: pullPolicy(c.Spec.Image),
		// Found through PATH: official images have it in /usr/local/bin, other builds elsewhere, and an image's own
		// entrypoint may be a script that adds settings of its own.
		Command:   []string{"etcd"},
		Args:      args(c, i, start),
		Env:       append(environment(), etcdctlEnvironment(start.Trust)...),
		Ports:     containerPorts(),
		Resources: containerResources(podTemplateSpec(c).Resources),
		// etcd writes nothing elsewhere: temporary files of snapshots and defragmentation lie beside the database
		// (etcd server/etcdserver/api/snap/db.go, server/storage/backend/backend.go).
		VolumeMounts:             mounts(start.Trust),
		StartupProbe:             probe("/livez", 1, startupSeconds),
		ReadinessProbe:           probe("/readyz", readinessPeriodSeconds, 0),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          containerSecurityContext(),
	}
}

// Image is the image of an etcd version: with the digest in the spec if that is of this version.
func Image(c *v1alpha1.EtcdCluster, version string) string {
	repository, digest := DefaultImageRepository, ""
	if spec := c.Spec.Image; spec != nil {
		repository = ptr.Deref(spec.Repository, repository)
		if !pinsAnother(c, version) {
			digest = ptr.Deref(spec.Digest, digest)
		}
	}
	image := repository + ":v" + version
	if digest != "" {
		image += "@" + digest
	}
	return image
}

// pinsAnother tells that the digest in the spec is that of another version's image. Who edits both means both: an
// upgrade that is refused, or that waits, must not reach a member by the digest alone.
func pinsAnother(c *v1alpha1.EtcdCluster, version string) bool {
	pinned := c.Spec.Image != nil && c.Spec.Image.Digest != nil
	wanted := ptr.Deref(c.Spec.Version, "")
	return pinned && wanted != "" && wanted != version
}

func pullPolicy(spec *v1alpha1.ImageSpec) corev1.PullPolicy {
	if spec == nil {
		return corev1.PullIfNotPresent
	}
	return ptr.Deref(spec.PullPolicy, corev1.PullIfNotPresent)
}

// environment resolves the sealed settings from the Pod's annotations, which the kubelet does at every start of the
// container.
func environment() []corev1.EnvVar {
	annotation := func(key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
			APIVersion: "v1", FieldPath: "metadata.annotations['" + key + "']",
		}}
	}
	return []corev1.EnvVar{
		{Name: envInitialCluster, ValueFrom: annotation(AnnotationInitialCluster)},
		{Name: envInitialClusterState, ValueFrom: annotation(AnnotationInitialClusterState)},
	}
}

func containerPorts() []corev1.ContainerPort {
	return []corev1.ContainerPort{
		{Name: ClientPortName, ContainerPort: ClientPort, Protocol: corev1.ProtocolTCP},
		{Name: PeerPortName, ContainerPort: PeerPort, Protocol: corev1.ProtocolTCP},
		{Name: MetricsPortName, ContainerPort: MetricsPort, Protocol: corev1.ProtocolTCP},
	}
}

// containerResources takes the user's as they are. The default requests keep a member from being the first Pod to go
// when its node runs short.
func containerResources(user *corev1.ResourceRequirements) corev1.ResourceRequirements {
	if user != nil {
		return *user
	}
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("100m"),
		corev1.ResourceMemory: resource.MustParse("100Mi"),
	}}
}

// probe asks the metrics port, which answers without TLS and without a quorum. There is no liveness probe: a
// defragmentation blocks /livez, and killing the member would only make things worse.
func probe(path string, periodSeconds, failureThreshold int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString(MetricsPortName), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds:    periodSeconds,
		TimeoutSeconds:   probeTimeoutSeconds,
		FailureThreshold: failureThreshold,
	}
}
