package act

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func clientKey(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// startMembers creates volumes and Pods. One that fails does not hold up the others.
func startMembers(ctx context.Context, w *writer, s plan.StartMembers) error {
	var errs []error
	for _, l := range s.Members {
		if err := startMember(ctx, w, l); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// startMember creates the volume if the incarnation never had one, records the version that is about to run on it,
// and creates the Pod. The names tell the incarnation: an object that exists already is never a second one.
func startMember(ctx context.Context, w *writer, l plan.Launch) error {
	if l.CreateVolume {
		err := w.create(ctx, resources.Volume(w.cluster, l.Incarnation))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		if err != nil {
			return sameVolume(ctx, w, l)
		}
	} else if l.Volume != "" {
		claim := &corev1.PersistentVolumeClaim{}
		claim.Namespace, claim.Name = w.cluster.Namespace, l.Volume
		err := w.change(ctx, claim, "", func() { resources.RecordVersion(claim, l.Incarnation.Version) })
		if err != nil {
			return err
		}
	}
	if err := w.create(ctx, resources.Pod(w.cluster, l.Incarnation, l.Start)); err != nil {
		return ownedByOther(ctx, w, err, &corev1.Pod{}, resources.MemberName(w.cluster.Name, l.Incarnation.Slot))
	}
	return nil
}

// sameVolume tells why a claim to be created exists already. The next observation sees it, if it is the cluster's.
func sameVolume(ctx context.Context, w *writer, l plan.Launch) error {
	err := apierrors.NewAlreadyExists(corev1.Resource("persistentvolumeclaims"), l.Volume)
	return ownedByOther(ctx, w, err, &corev1.PersistentVolumeClaim{}, l.Volume)
}

// ownedByOther turns AlreadyExists into ErrConflict when the object that exists is not the cluster's.
func ownedByOther(ctx context.Context, w *writer, err error, seen client.Object, name string) error {
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if liveErr := w.live.Get(ctx, clientKey(w.cluster.Namespace, name), seen); liveErr != nil {
		return fmt.Errorf("read %s: %w", name, liveErr)
	}
	if seen.GetLabels()[resources.LabelCluster] != w.cluster.Name {
		return fmt.Errorf("%s %s belongs to something else: delete or rename it: %w", kindOf(seen), name, ErrConflict)
	}
	return err
}

// deletePod deletes exactly the Pod that was observed live, in the state in which it was observed.
func deletePod(ctx context.Context, w *writer, c *state.Cluster, s plan.DeletePod) error {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.UID = c.Object.Namespace, s.Name, s.UID
	pod.ResourceVersion = podVersion(c, s.UID)
	return w.remove(ctx, pod)
}

func podVersion(c *state.Cluster, uid types.UID) string {
	for _, p := range c.Leftovers.Pods {
		if p.UID == uid {
			return p.ResourceVersion
		}
	}
	for _, m := range c.Members {
		if m.Pod != nil && m.Pod.UID == uid {
			return m.Pod.ResourceVersion
		}
	}
	return ""
}

// deleteVolume deletes exactly the retired volume that was observed live, in the state in which it was observed.
func deleteVolume(ctx context.Context, w *writer, c *state.Cluster, s plan.DeleteVolume) error {
	for _, v := range c.Leftovers.Volumes {
		if v.UID == s.UID {
			claim := &corev1.PersistentVolumeClaim{}
			claim.Namespace, claim.Name, claim.UID = c.Object.Namespace, v.Name, v.UID
			claim.ResourceVersion = v.ResourceVersion
			return w.remove(ctx, claim)
		}
	}
	return fmt.Errorf("volume %s: %w", s.Name, errChanged)
}
