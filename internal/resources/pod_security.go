package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// unprivilegedID is the user and group of the members: the "nonroot" of distroless images, which etcd's are.
const unprivilegedID int64 = 65532

// podSecurityContext fills what the user left out so that the Pod meets the restricted Pod Security Standard.
// An empty context ({}) leaves the IDs to the platform: OpenShift refuses IDs outside the range of the namespace.
func podSecurityContext(user *corev1.PodSecurityContext) *corev1.PodSecurityContext {
	out := &corev1.PodSecurityContext{}
	platformIDs := user != nil && equality.Semantic.DeepEqual(*user, corev1.PodSecurityContext{})
	if user != nil {
		out = user.DeepCopy()
	}
	if !platformIDs {
		setDefault(&out.RunAsUser, unprivilegedID)
		setDefault(&out.RunAsGroup, unprivilegedID)
		// Files on a volume are given to the group when its root is another's: so a user of its own can read them.
		setDefault(&out.FSGroup, *out.RunAsUser)
	}
	setDefault(&out.RunAsNonRoot, true)
	// Without it the kubelet changes the owner of every file at every start.
	setDefault(&out.FSGroupChangePolicy, corev1.FSGroupChangeOnRootMismatch)
	setDefault(&out.SeccompProfile, corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault})
	return out
}

func containerSecurityContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func setDefault[T any](field **T, byDefault T) {
	if *field == nil {
		*field = &byDefault
	}
}
