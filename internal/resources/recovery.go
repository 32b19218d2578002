package resources

import (
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// Keys of the data of a recovery's record.
const (
	recoveryLoss       = "loss"
	recoveryConfirmed  = "confirmed"
	recoveryFrom       = "from"
	recoveryTo         = "to"
	recoveryGeneration = "generation"
	recoverySize       = "size"
	recoveryVersion    = "version"
)

// AnnotationFinished on the record of a recovery tells that the new cluster serves.
const AnnotationFinished = "quorate.dev/finished"

// RecoveryName is the name of the ConfigMap that records the recovery from a loss.
func RecoveryName(cluster, lossID string) string { return cluster + "-recovery-" + lossID }

// LossID identifies a loss by the cluster and the evidence: what is left, how far it goes, and what is missing.
func LossID(l state.QuorumLoss) string {
	evidence := FormatID(l.ClusterID)
	for _, s := range l.Survivors {
		evidence += fmt.Sprintf("\nsurvivor %x %s %d %d", s.MemberID, s.VolumeUID, s.LastTerm, s.LastIndex)
	}
	for _, m := range l.Missing {
		evidence += fmt.Sprintf("\nmissing %x", m.MemberID)
	}
	return shortHash(evidence)
}

// RecoveryRecord is the ConfigMap that records a recovery. Plan and evidence cannot be changed any more.
func RecoveryRecord(c *v1alpha1.EtcdCluster, r state.Recovery) (*corev1.ConfigMap, error) {
	loss, err := json.MarshalIndent(r.Loss, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the evidence: %w", err)
	}
	confirmed, err := json.Marshal(r.Confirmed)
	if err != nil {
		return nil, fmt.Errorf("encode the consent: %w", err)
	}
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: RecoveryName(c.Name, r.Loss.ID), Labels: objectLabels(c.Name, ComponentRecovery),
		},
		Immutable: new(true),
		Data: map[string]string{
			recoveryLoss:       string(loss),
			recoveryConfirmed:  string(confirmed),
			recoveryFrom:       r.From,
			recoveryTo:         r.To,
			recoveryGeneration: strconv.FormatInt(r.Generation, 10),
			recoverySize:       strconv.Itoa(r.Size),
			recoveryVersion:    r.Version,
		},
	}
	SetOwner(cm, c, OwnsData(c))
	return cm, nil
}

// ParseRecovery decodes the record of a recovery.
func ParseRecovery(cluster string, cm *corev1.ConfigMap) (*state.Recovery, error) {
	r := record{values: cm.Data}
	out := &state.Recovery{
		UID: cm.UID, ResourceVersion: cm.ResourceVersion, Object: cm.Name,
		From: r.text(recoveryFrom), To: r.text(recoveryTo), Generation: r.positive(recoveryGeneration),
		Size: int(r.positive(recoverySize)), Version: r.text(recoveryVersion),
		Finished: cm.Annotations[AnnotationFinished] == recordTrue,
	}
	for key, into := range map[string]any{recoveryLoss: &out.Loss, recoveryConfirmed: &out.Confirmed} {
		if err := json.Unmarshal([]byte(cm.Data[key]), into); err != nil {
			r.fail(key, "cannot be read")
		}
	}
	if r.err == nil && (out.Loss.ID != LossID(out.Loss) || cm.Name != RecoveryName(cluster, out.Loss.ID)) {
		r.fail(recoveryLoss, "does not fit the name")
	}
	if r.err != nil {
		return nil, fmt.Errorf("recovery ConfigMap %s/%s: %w", cm.Namespace, cm.Name, r.err)
	}
	return out, nil
}

// RecordFinished records that the new cluster serves.
func RecordFinished(cm *corev1.ConfigMap) { setFlag(cm, AnnotationFinished, true) }

// RecoveredLatch is the record of the bootstrap of the cluster that takes the lost one's place. With data it has
// formed: a member of it must never start empty.
func RecoveredLatch(c *v1alpha1.EtcdCluster, r state.Recovery) state.Latch {
	l := NewLatch(c, r.Generation, r.To, r.Size, r.Version)
	if r.Loss.Chosen == 0 {
		return l
	}
	l.Formed = true
	for _, in := range LatchMembers(c, l) {
		l.Launched = append(l.Launched, in.MemberID)
	}
	return l
}

// RecoveredMember is the member whose volume the data is salvaged onto.
func RecoveredMember(c *v1alpha1.EtcdCluster, r state.Recovery) state.Incarnation {
	return LatchMembers(c, RecoveredLatch(c, r))[0]
}
