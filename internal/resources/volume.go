package resources

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

const defaultStorageSize = 8 << 30

// StorageSize is the size of each member's volume that the spec asks for, or its default.
func StorageSize(c *v1alpha1.EtcdCluster) resource.Quantity {
	if s := c.Spec.Storage.Size; s != nil {
		return *s
	}
	return *resource.NewQuantity(defaultStorageSize, resource.BinarySI)
}

// Volume is the claim of an incarnation, with its records.
func Volume(c *v1alpha1.EtcdCluster, i state.Incarnation) *corev1.PersistentVolumeClaim {
	member := map[string]string{LabelMember: MemberName(c.Name, i.Slot)}
	pvc := &corev1.PersistentVolumeClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   c.Namespace,
			Name:        VolumeName(c.Name, i.Slot, i.MemberID),
			Labels:      merged(objectLabels(c.Name, ComponentVolume), member),
			Annotations: volumeRecords(c, i),
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: c.Spec.Storage.StorageClassName,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: VolumeRequest(c, i)},
			},
		},
	}
	SetOwner(pvc, c, OwnsData(c))
	return pvc
}

func volumeRecords(c *v1alpha1.EtcdCluster, i state.Incarnation) map[string]string {
	records := map[string]string{
		AnnotationGeneration:  strconv.FormatInt(i.Generation, 10),
		AnnotationToken:       i.Token,
		AnnotationSize:        strconv.Itoa(i.Size),
		AnnotationMemberID:    FormatID(i.MemberID),
		AnnotationVersion:     i.Version,
		AnnotationPeerURL:     i.PeerURL,
		AnnotationStorageSize: strconv.FormatInt(sizeInSpec(c, i), 10),
	}
	if i.BootstrapList != "" {
		records[AnnotationInitialCluster] = i.BootstrapList
	}
	if i.ClusterID != 0 {
		records[AnnotationClusterID] = FormatID(i.ClusterID)
	}
	if i.Surge {
		records[AnnotationSurge] = recordTrue
	}
	// The class as asked for: admission writes the default class into spec.storageClassName.
	if class := c.Spec.Storage.StorageClassName; class != nil {
		records[AnnotationStorageClass] = *class
	}
	return records
}

// ParseVolume decodes a claim of the cluster and what it records.
func ParseVolume(cluster string, pvc *corev1.PersistentVolumeClaim) (state.Volume, error) {
	r := record{values: pvc.Annotations}
	v := state.Volume{
		Name:                     pvc.Name,
		UID:                      pvc.UID,
		ResourceVersion:          pvc.ResourceVersion,
		Owner:                    ownerOf(pvc),
		Generation:               r.positive(AnnotationGeneration),
		Token:                    r.text(AnnotationToken),
		Size:                     int(r.positive(AnnotationSize)),
		InitialCluster:           r.values[AnnotationInitialCluster],
		MemberID:                 r.id(AnnotationMemberID),
		Version:                  r.text(AnnotationVersion),
		PeerURL:                  r.text(AnnotationPeerURL),
		Started:                  r.flag(AnnotationStarted),
		Retiring:                 r.flag(AnnotationRetiring),
		Retired:                  r.flag(AnnotationRetired),
		Surge:                    r.flag(AnnotationSurge),
		PersistentVolume:         pvc.Spec.VolumeName,
		RecordedPersistentVolume: r.values[AnnotationVolumeName],
		Node:                     r.values[AnnotationNode],
		Terminating:              pvc.DeletionTimestamp != nil,
		Lost:                     pvc.Status.Phase == corev1.ClaimLost,
		Evidence:                 r.flag(AnnotationEvidence),
		StorageClass:             r.values[AnnotationStorageClass],
		ActualStorageClass:       ptr.Deref(pvc.Spec.StorageClassName, ""),
	}
	if r.values[AnnotationStorageSize] != "" {
		v.SizeInSpec = r.positive(AnnotationStorageSize)
	}
	readSize(pvc, &v)
	v.Growth.At = r.time(AnnotationGrownFull)
	if r.values[AnnotationClusterID] != "" {
		v.ClusterID = r.id(AnnotationClusterID)
	}
	if r.err == nil {
		v.Slot, r.err = volumeSlot(cluster, pvc, v)
	}
	if r.err != nil {
		return state.Volume{}, fmt.Errorf("volume claim %s/%s: %w", pvc.Namespace, pvc.Name, r.err)
	}
	return v, nil
}

// volumeSlot is the slot of a claim, whose name, label and records must agree on it.
func volumeSlot(cluster string, pvc *corev1.PersistentVolumeClaim, v state.Volume) (int, error) {
	member := pvc.Labels[LabelMember]
	slot, ok := ParseSlot(cluster, member)
	if !ok || pvc.Name != VolumeName(cluster, slot, v.MemberID) {
		return 0, fmt.Errorf("label %s is %q and %s is %s, which do not make up the name; restore them",
			LabelMember, member, AnnotationMemberID, FormatID(v.MemberID))
	}
	if !isPeerURL(v.PeerURL, pvc.Namespace, cluster, slot) {
		return 0, fmt.Errorf("%s is %q, which is not at %s: the claim was made for another namespace; "+
			"restore it where it was made, or delete it", AnnotationPeerURL, v.PeerURL, PeerHost(pvc.Namespace, cluster, slot))
	}
	return slot, nil
}

// RecordStarted records that the member was seen started on the volume: from then on it must never start empty.
func RecordStarted(pvc *corev1.PersistentVolumeClaim, clusterID uint64) {
	setFlag(pvc, AnnotationStarted, true)
	setAnnotation(pvc, AnnotationClusterID, FormatID(clusterID))
}

// RecordPlacement records the PersistentVolume that the claim is bound to and the node of its Pod; an empty value
// leaves the record as it is. The PersistentVolume is recorded once only: a later one holds other data, and the
// difference is how that is noticed.
func RecordPlacement(pvc *corev1.PersistentVolumeClaim, pvName, node string) {
	if pvName != "" && pvc.Annotations[AnnotationVolumeName] == "" {
		setAnnotation(pvc, AnnotationVolumeName, pvName)
	}
	if node != "" {
		setAnnotation(pvc, AnnotationNode, node)
	}
}

// RecordVersion records the etcd version that is about to run on the volume.
func RecordVersion(pvc *corev1.PersistentVolumeClaim, version string) {
	setAnnotation(pvc, AnnotationVersion, version)
}

// RecordRetiring records that the member's removal is about to be sent, or withdraws that.
func RecordRetiring(pvc *corev1.PersistentVolumeClaim, retiring bool) {
	setFlag(pvc, AnnotationRetiring, retiring)
}

// RecordSurge records on a volume, or on the Pod of an ephemeral member, that it stands in for one in a lower slot.
func RecordSurge(o metav1.Object) { setFlag(o, AnnotationSurge, true) }

// RecordEvidence records that the volume holds corrupt data and is kept once its member is removed, or withdraws that.
func RecordEvidence(pvc *corev1.PersistentVolumeClaim, evidence bool) {
	setFlag(pvc, AnnotationEvidence, evidence)
}

// RecordRetired records that the member is removed: the volume must never be started again.
func RecordRetired(pvc *corev1.PersistentVolumeClaim) {
	setFlag(pvc, AnnotationRetired, true)
	setFlag(pvc, AnnotationRetiring, false)
}
