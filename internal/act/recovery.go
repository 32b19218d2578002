package act

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// recovery does what the recovery from a lost quorum needs. Nothing in it deletes or changes a volume of the lost
// cluster, apart from marking it as kept aside.
func (e *Executor) recovery(ctx context.Context, w *writer, c *state.Cluster, step plan.Step) error {
	switch s := step.(type) {
	case plan.InspectVolume:
		pod := resources.InspectionPod(w.cluster, c.OperatorImage, s.Volume, s.VolumeUID, s.Node)
		resources.RecordConfirms(pod, s.Confirms)
		return w.create(ctx, pod)
	case plan.DeleteHelper:
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name, pod.UID = w.cluster.Namespace, s.Name, s.UID
		return w.remove(ctx, pod)
	case plan.BeginRecovery:
		return e.beginRecovery(ctx, w, c, s)
	case plan.Salvage:
		return salvage(ctx, w, c, s)
	case plan.RecordSalvaged:
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) {
			resources.RecordStarted(v, s.ClusterID)
			resources.RecordPlacement(v, v.Spec.VolumeName, "")
		})
	case plan.SwitchCluster:
		return switchCluster(ctx, w, c)
	case plan.KeepFormerVolumes:
		for _, name := range s.Volumes {
			if err := changeVolume(ctx, w, name, resources.RecordRetired); err != nil {
				return err
			}
		}
	case plan.FinishRecovery:
		return finishRecovery(ctx, w, s)
	}
	return nil
}

// beginRecovery records consent, plan and evidence exclusively: of two operators one wins.
func (e *Executor) beginRecovery(ctx context.Context, w *writer, c *state.Cluster, s plan.BeginRecovery) error {
	if c.Latch == nil {
		return fmt.Errorf("the latch is gone: %w", errChanged)
	}
	// A later generation, so that what is resumed after a loss of the latch is the new cluster.
	generation := c.Latch.Generation + 1
	record, err := resources.RecoveryRecord(w.cluster, state.Recovery{
		Loss: s.Loss, Confirmed: s.Confirmed, From: c.Latch.Token, To: state.Token(e.NewToken(), generation),
		Generation: generation, Size: s.Size, Version: s.Version,
	})
	if err != nil {
		return err
	}
	return w.create(ctx, record)
}

// salvage creates the volume of the new cluster, unless a former attempt did, and the Pod that fills it.
func salvage(ctx context.Context, w *writer, c *state.Cluster, s plan.Salvage) error {
	r := c.Underway()
	if r == nil {
		return fmt.Errorf("the record of the recovery is gone: %w", errChanged)
	}
	if r.Volume == nil {
		member := resources.RecoveredMember(w.cluster, *r)
		member.VolumeSize, member.SizeInSpec = s.Size, s.SizeInSpec
		volume := resources.Volume(w.cluster, member)
		if err := w.create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return w.create(ctx, resources.SalvagePod(w.cluster, c.OperatorImage, *r))
}

// switchCluster puts the new cluster's latch in the place of the lost one's, at the version that was observed live.
func switchCluster(ctx context.Context, w *writer, c *state.Cluster) error {
	r := c.Underway()
	if r == nil {
		return fmt.Errorf("the record of the recovery is gone: %w", errChanged)
	}
	return changeLatch(ctx, w, c, func(old *state.Latch) state.Latch {
		l := resources.RecoveredLatch(w.cluster, *r)
		l.UID, l.ResourceVersion, l.Since = old.UID, old.ResourceVersion, c.Now
		return l
	})
}

func finishRecovery(ctx context.Context, w *writer, s plan.FinishRecovery) error {
	var record corev1.ConfigMap
	if err := w.Get(ctx, clientKey(w.cluster.Namespace, s.Record), &record); err != nil {
		return fmt.Errorf("read the record of the recovery: %w", err)
	}
	return w.change(ctx, &record, record.UID, func() { resources.RecordFinished(&record) })
}
