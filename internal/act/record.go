package act

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

// record writes what a step records on volumes and Pods.
func record(ctx context.Context, w *writer, step plan.Step) error {
	switch s := step.(type) {
	case plan.Seal:
		return seal(ctx, w, s)
	case plan.RecordPlacement:
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) {
			resources.RecordPlacement(v, s.PersistentVolume, s.Node)
		})
	case plan.RecordVolumeVersion:
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) { resources.RecordVersion(v, s.Version) })
	case plan.RecordSizeInSpec:
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) { resources.RecordSizeInSpec(v, s.Size) })
	case plan.Adopt:
		return adopt(ctx, w, s)
	case plan.MarkVoter:
		return changePod(ctx, w, s.Member, s.PodUID, resources.SetVoter)
	case plan.RefreshCertificates:
		return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.SetCertificates(p, s.Revision) })
	case plan.UpdateStart:
		return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.SetStart(p, s.Start) })
	case plan.Retire:
		return setRetiring(ctx, w, s, true)
	case plan.Resume:
		return setRetiring(ctx, w, plan.Retire{Name: s.Name, Volume: s.Volume, PodUID: s.PodUID}, false)
	case plan.RecordSurge:
		if s.Volume == "" {
			return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.RecordSurge(p) })
		}
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) { resources.RecordSurge(v) })
	case plan.RecordRetired:
		for _, name := range s.Volumes {
			if err := changeVolume(ctx, w, name, resources.RecordRetired); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("no executor for step %T", step)
	}
}

// seal records that the member ran, on its volume first: a Pod that is created again from then on is born sealed.
func seal(ctx context.Context, w *writer, s plan.Seal) error {
	if s.Volume == "" {
		return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) {
			resources.RecordPodStarted(p)
			resources.Seal(p, s.Incarnation, s.Restarts)
		})
	}
	err := changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) {
		if v.Annotations[resources.AnnotationStarted] == "" {
			resources.RecordStarted(v, s.Incarnation.ClusterID)
			resources.RecordPlacement(v, v.Spec.VolumeName, "")
		}
	})
	if err != nil {
		return err
	}
	return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.Seal(p, s.Incarnation, s.Restarts) })
}

// adopt reads the EtcdCluster live: a reference to an owner that is gone would have the Pod collected.
func adopt(ctx context.Context, w *writer, s plan.Adopt) error {
	if _, err := liveOwner(ctx, w); err != nil {
		return err
	}
	return changePod(ctx, w, s.Member, s.PodUID, func(p *corev1.Pod) { resources.SetOwner(p, w.cluster, true) })
}

func setRetiring(ctx context.Context, w *writer, s plan.Retire, retiring bool) error {
	if s.Volume != "" {
		return changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) {
			resources.RecordRetiring(v, retiring)
			resources.RecordEvidence(v, s.Evidence)
		})
	}
	return changePod(ctx, w, s.Name, s.PodUID, func(p *corev1.Pod) { resources.RecordPodRetiring(p, retiring) })
}

func changeVolume(ctx context.Context, w *writer, name string, mutate func(*corev1.PersistentVolumeClaim)) error {
	v := &corev1.PersistentVolumeClaim{}
	v.Namespace, v.Name = w.cluster.Namespace, name
	return w.change(ctx, v, "", func() { mutate(v) })
}

func changePod(ctx context.Context, w *writer, name string, uid types.UID, mutate func(*corev1.Pod)) error {
	p := &corev1.Pod{}
	p.Namespace, p.Name = w.cluster.Namespace, name
	return w.change(ctx, p, uid, func() { mutate(p) })
}
