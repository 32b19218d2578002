package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// Labels of the objects.
const (
	// LabelCluster holds the name of the EtcdCluster, on every object of it.
	LabelCluster = "quorate.dev/cluster"
	// LabelMember holds the member's name, on its Pod, its claims and its Service.
	LabelMember = "quorate.dev/member"
	// LabelRole holds RoleVoter or RoleLearner, on Pods only. The PodDisruptionBudget counts RoleVoter.
	LabelRole   = "quorate.dev/role"
	RoleVoter   = "voter"
	RoleLearner = "learner"

	NameLabel      = "app.kubernetes.io/name"
	InstanceLabel  = "app.kubernetes.io/instance"
	ComponentLabel = "app.kubernetes.io/component"
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of ManagedByLabel on every object that the operator makes.
	ManagedBy = "quorate"
)

// Values of ComponentLabel.
const (
	ComponentMember           = "member"
	ComponentVolume           = "volume"
	ComponentLatch            = "latch"
	ComponentPeerService      = "peer-service"
	ComponentClientService    = "client-service"
	ComponentMemberService    = "member-service"
	ComponentDisruptionBudget = "disruption-budget"
	ComponentAuthority        = "certificate-authority"
	ComponentCertificate      = "certificate"
	ComponentTrust            = "trust"
	ComponentNetworkPolicy    = "network-policy"
	// ComponentInspection and ComponentSalvage are Pods that read the members' volumes after a quorum was lost, and
	// ComponentRecovery are the records of recoveries.
	ComponentInspection = "inspection"
	ComponentSalvage    = "salvage"
	ComponentRecovery   = "recovery"
	// ComponentSource are Secrets from which certificates are taken.
	ComponentSource = "certificate-source"
)

// Annotations of Pods and claims: the records of their incarnation.
const (
	AnnotationGeneration = "quorate.dev/generation"
	AnnotationToken      = "quorate.dev/token"
	AnnotationSize       = "quorate.dev/size"
	// AnnotationInitialCluster on a claim is the bootstrap's list, on a Pod the list that etcd starts with.
	AnnotationInitialCluster      = "quorate.dev/initial-cluster"
	AnnotationInitialClusterState = "quorate.dev/initial-cluster-state"
	AnnotationClusterID           = "quorate.dev/cluster-id"
	AnnotationMemberID            = "quorate.dev/member-id"
	AnnotationVersion             = "quorate.dev/version"
	AnnotationPeerURL             = "quorate.dev/peer-url"
	AnnotationStorageClass        = "quorate.dev/storage-class"
	AnnotationStorageSize         = "quorate.dev/storage-size"
	AnnotationVolumeName          = "quorate.dev/volume-name"
	AnnotationNode                = "quorate.dev/node"
	AnnotationStarted             = "quorate.dev/started"
	AnnotationSealedAfter         = "quorate.dev/sealed-after"
	AnnotationRetiring            = "quorate.dev/retiring"
	// AnnotationUnused on a Pod tells that no etcd had run on its volume when it was created.
	AnnotationUnused = "quorate.dev/unused"
	// AnnotationSurge marks a member that was added beyond the wanted number, to stand in for members that are moved.
	AnnotationSurge   = "quorate.dev/surge"
	AnnotationRetired = "quorate.dev/retired"
	// AnnotationEvidence on a volume tells that its data is corrupt, or made etcd crash: it is kept for people to look at.
	AnnotationEvidence = "quorate.dev/evidence"
	// AnnotationGrownFull is when the operator last had the claim's volume expanded because it was full.
	AnnotationGrownFull = "quorate.dev/grown-full"
	// AnnotationCertificates on a Pod is the revision of the certificates that its kubelet was told to bring.
	AnnotationCertificates = "quorate.dev/certificates"
	// AnnotationApplied is the part of the spec that a Pod was last rendered from; see Applied.
	AnnotationApplied = "quorate.dev/applied"
	// AnnotationPatchedContainer is the container that ran when a Pod's image was changed in place.
	AnnotationPatchedContainer = "quorate.dev/patched-container"
	// AnnotationResizeRefused is the template with which Kubernetes refused to change cpu and memory in place.
	AnnotationResizeRefused = "quorate.dev/resize-refused"
	// AnnotationDesired is a hash of what the operator last applied to a Service or PodDisruptionBudget.
	AnnotationDesired = "quorate.dev/desired"
)

const clusterKind = "EtcdCluster"

// Selector selects the member Pods of a cluster.
func Selector(cluster string) labels.Set {
	return labels.Set{LabelCluster: cluster, ComponentLabel: ComponentMember}
}

// VoterSelector selects the member Pods of a cluster that count as voters.
func VoterSelector(cluster string) labels.Set {
	return labels.Set{LabelCluster: cluster, ComponentLabel: ComponentMember, LabelRole: RoleVoter}
}

func objectLabels(cluster, component string) map[string]string {
	return map[string]string{
		NameLabel:      "etcd",
		InstanceLabel:  cluster,
		ManagedByLabel: ManagedBy,
		ComponentLabel: component,
		LabelCluster:   cluster,
	}
}

// merged is over laid over base; both stay as they are.
func merged(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = make(map[string]string, len(over))
	}
	maps.Copy(out, over)
	return out
}

// shortHash names a content: 16 hexadecimal digits.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// OwnsData tells whether the volumes and the latch go when the EtcdCluster is deleted. With reclaimPolicy Retain
// nobody owns them, so that garbage collection leaves them alone.
func OwnsData(c *v1alpha1.EtcdCluster) bool {
	return (&state.Cluster{Object: c}).ReclaimPolicy() == v1alpha1.ReclaimDelete
}

// SetOwner makes the EtcdCluster the controlling owner of the object, or withdraws that.
// References to other owners stay: the API server refuses a second controller, which is the wanted signal.
func SetOwner(obj metav1.Object, c *v1alpha1.EtcdCluster, owned bool) {
	refs := slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(r metav1.OwnerReference) bool {
		return r.UID == c.UID
	})
	if owned {
		refs = append(refs, ownerReference(c))
	}
	if len(refs) == 0 {
		refs = nil
	}
	obj.SetOwnerReferences(refs)
}

func ownerReference(c *v1alpha1.EtcdCluster) metav1.OwnerReference {
	return *metav1.NewControllerRef(c, v1alpha1.GroupVersion.WithKind(clusterKind))
}

// ownerOf is the UID of the EtcdCluster that controls the object; empty when none does.
func ownerOf(obj metav1.Object) types.UID {
	ref := metav1.GetControllerOf(obj)
	if ref == nil {
		return ""
	}
	return ref.UID
}
