package resources

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// Keys of the latch's data.
const (
	latchGeneration     = "generation"
	latchToken          = "token"
	latchSize           = "size"
	latchVersion        = "version"
	latchInitialCluster = "initial-cluster"
	latchClusterID      = "cluster-id"
	latchLaunched       = "launched"
	latchSince          = "since"
	latchFormed         = "formed"
	latchLogSince       = "log-since"
	latchSnapshots      = "snapshots"
	latchSaving         = "saving-snapshots"
)

// NewLatch is the record of a bootstrap that is about to start. The token must be unique to this generation: etcd
// derives the member and cluster IDs from it.
func NewLatch(c *v1alpha1.EtcdCluster, generation int64, token string, size int, version string) state.Latch {
	l := state.Latch{Generation: generation, Token: token, Size: size, Version: version, LogSince: state.Minor(version)}
	if OwnsData(c) {
		l.Owner = c.UID
	}
	members := make([]state.InitialMember, 0, size)
	ids := make([]uint64, 0, size)
	for slot := range size {
		url := PeerURL(c, slot)
		members = append(members, state.InitialMember{Name: MemberName(c.Name, slot), PeerURL: url})
		ids = append(ids, state.BootstrapMemberID(url, token))
	}
	l.InitialCluster = state.InitialCluster(members)
	l.ClusterID = state.BootstrapClusterID(ids)
	return l
}

// LatchMembers are the incarnations that the bootstrap starts, in the order of their slots.
func LatchMembers(c *v1alpha1.EtcdCluster, l state.Latch) []state.Incarnation {
	members := make([]state.Incarnation, 0, l.Size)
	for slot := range l.Size {
		url := PeerURL(c, slot)
		members = append(members, state.Incarnation{
			Slot:          slot,
			Generation:    l.Generation,
			Token:         l.Token,
			Size:          l.Size,
			BootstrapList: l.InitialCluster,
			ClusterID:     l.ClusterID,
			MemberID:      state.BootstrapMemberID(url, l.Token),
			PeerURL:       url,
			Version:       l.Version,
		})
	}
	return members
}

// Latch is the ConfigMap that holds the latch. A UID and resource version in it come along, so that an update fails
// when somebody else changed the object.
func Latch(c *v1alpha1.EtcdCluster, l state.Latch) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       c.Namespace,
			Name:            LatchName(c.Name),
			UID:             l.UID,
			ResourceVersion: l.ResourceVersion,
			Labels:          objectLabels(c.Name, ComponentLatch),
		},
		Data: map[string]string{
			latchGeneration:     strconv.FormatInt(l.Generation, 10),
			latchToken:          l.Token,
			latchSize:           strconv.Itoa(l.Size),
			latchVersion:        l.Version,
			latchInitialCluster: l.InitialCluster,
			latchClusterID:      FormatID(l.ClusterID),
			latchLaunched:       formatIDs(l.Launched),
			latchFormed:         strconv.FormatBool(l.Formed),
			latchSince:          l.Since.UTC().Format(time.RFC3339),
		},
	}
	if l.LogSince != "" {
		cm.Data[latchLogSince] = l.LogSince
	}
	if len(l.Snapshots) > 0 {
		cm.Data[latchSnapshots] = formatIDs(l.Snapshots)
	}
	if l.Saving {
		cm.Data[latchSaving] = strconv.FormatBool(true)
	}
	SetOwner(cm, c, OwnsData(c))
	return cm
}

// ParseLatch decodes the latch. It refuses one that contradicts itself or was made for another namespace or cluster:
// a bootstrap with such a record could form a second cluster beside the data.
func ParseLatch(cm *corev1.ConfigMap) (state.Latch, error) {
	r := record{values: cm.Data}
	l := state.Latch{
		UID:             cm.UID,
		ResourceVersion: cm.ResourceVersion,
		Owner:           ownerOf(cm),
		Terminating:     cm.DeletionTimestamp != nil,
		Generation:      r.positive(latchGeneration),
		Token:           r.text(latchToken),
		Size:            int(r.positive(latchSize)),
		Version:         r.text(latchVersion),
		InitialCluster:  r.text(latchInitialCluster),
		ClusterID:       r.id(latchClusterID),
		Launched:        r.ids(latchLaunched),
		Formed:          r.flag(latchFormed),
		Since:           r.time(latchSince),
		LogSince:        cm.Data[latchLogSince],
		Saving:          cm.Data[latchSaving] == strconv.FormatBool(true),
	}
	if cm.Data[latchSnapshots] != "" {
		l.Snapshots = r.ids(latchSnapshots)
	}
	if r.err == nil {
		r.err = checkLatch(cm, l)
	}
	if r.err != nil {
		return state.Latch{}, fmt.Errorf("latch ConfigMap %s/%s: %w", cm.Namespace, cm.Name, r.err)
	}
	return l, nil
}

func checkLatch(cm *corev1.ConfigMap, l state.Latch) error {
	cluster := cm.Labels[LabelCluster]
	if cm.Name != LatchName(cluster) {
		return fmt.Errorf("label %s is %q, which does not fit the name; restore it", LabelCluster, cluster)
	}
	entries := strings.Split(l.InitialCluster, ",")
	if len(entries) != l.Size {
		return fmt.Errorf("%s has %d members, but %s is %d; restore them",
			latchInitialCluster, len(entries), latchSize, l.Size)
	}
	latchScheme := plainScheme
	if RecordsTLS(l.InitialCluster) {
		latchScheme = tlsScheme
	}
	ids := make([]uint64, 0, l.Size)
	for slot, entry := range entries {
		name, url, _ := strings.Cut(entry, "=")
		wantName, wantURL := MemberName(cluster, slot), peerURL(latchScheme, cm.Namespace, cluster, slot)
		if name != wantName || url != wantURL {
			return fmt.Errorf("%s has %q where %s=%s belongs: it was made for another cluster or namespace; "+
				"delete the latch and the volumes that came with it, or restore them where they were made",
				latchInitialCluster, entry, wantName, wantURL)
		}
		ids = append(ids, state.BootstrapMemberID(url, l.Token))
	}
	if id := state.BootstrapClusterID(ids); id != l.ClusterID {
		return fmt.Errorf("%s is %s, but etcd derives %s from the members and the token; restore them",
			latchClusterID, FormatID(l.ClusterID), FormatID(id))
	}
	return nil
}
