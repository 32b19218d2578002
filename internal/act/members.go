package act

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func clientKey(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// withdrawTimeout bounds the write that takes refused members off the record.
const withdrawTimeout = 10 * time.Second

// startMembers creates volumes and Pods. A member that never had a volume (or Pod, when ephemeral) is recorded in the
// latch first: from then on a missing volume means lost data. One that fails does not hold up the others.
func startMembers(ctx context.Context, w *writer, c *state.Cluster, s plan.StartMembers) error {
	var first, refused []uint64
	for _, l := range s.Members {
		if l.First {
			first = append(first, l.Incarnation.MemberID)
		}
	}
	latch, err := recordLaunched(ctx, w, c, first)
	if err != nil {
		return err
	}
	var errs []error
	down := false
	for _, l := range s.Members {
		created := false
		if !down {
			if created, err = startMember(ctx, w, l); err == nil {
				continue
			}
			errs = append(errs, err)
			// It answers nobody: the others would use up the time in which this can be recorded and told.
			down = webhookDown(err)
		}
		if l.First && !created && (down || rejected(err)) {
			refused = append(refused, l.Incarnation.MemberID)
		}
	}
	return errors.Join(append(errs, withdrawLaunched(ctx, w, latch, refused))...)
}

// recordLaunched adds the IDs to the latch's record, and drops those of members that are no more.
func recordLaunched(ctx context.Context, w *writer, c *state.Cluster, ids []uint64) (*state.Latch, error) {
	if c.Latch == nil {
		return nil, fmt.Errorf("the latch is gone: %w", errChanged)
	}
	latch := *c.Latch
	if len(ids) == 0 {
		return &latch, nil
	}
	latch.Launched = slices.DeleteFunc(slices.Clone(latch.Launched), func(id uint64) bool {
		return !c.Remembered(id)
	})
	latch.Launched = append(latch.Launched, ids...)
	cm := resources.Latch(w.cluster, latch)
	if err := w.updateLatch(ctx, c, cm); err != nil {
		return nil, err
	}
	latch.ResourceVersion = cm.ResourceVersion
	return &latch, nil
}

// withdrawLaunched takes IDs off the record for which the API server certainly created nothing, also when the refusals
// took all the time there was: what stays on record without any data counts as lost.
func withdrawLaunched(ctx context.Context, w *writer, latch *state.Latch, ids []uint64) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	latch.Launched = without(latch.Launched, ids)
	return w.update(ctx, resources.Latch(w.cluster, *latch))
}

// rejected tells that the API server certainly created nothing: a quota, a policy, an invalid object, a name that
// somebody else's object has, too many requests, a webhook that could not be reached (admission comes before storage).
func rejected(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsTooManyRequests(err) || errors.Is(err, ErrConflict) || webhookDown(err)
}

// webhookDown tells that nothing is created before a webhook answers again.
func webhookDown(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed calling webhook")
}

// startMember creates the volume if the incarnation never had one, records the version that is about to run on it,
// and creates the Pod. The names tell the incarnation: an object that exists already is never a second one. It tells
// whether something that holds data was, or may have been, created.
func startMember(ctx context.Context, w *writer, l plan.Launch) (created bool, err error) {
	switch {
	case l.Volume == "":
	case l.First:
		if err := w.create(ctx, resources.Volume(w.cluster, l.Incarnation)); err != nil {
			return false, ownedByOther(ctx, w, err, &corev1.PersistentVolumeClaim{}, l.Volume)
		}
		created = true
	default:
		if err := usable(ctx, w, l); err != nil {
			return true, err
		}
		claim := &corev1.PersistentVolumeClaim{}
		claim.Namespace, claim.Name = w.cluster.Namespace, l.Volume
		err := w.change(ctx, claim, l.VolumeUID, func() { resources.RecordVersion(claim, l.Incarnation.Version) })
		if err != nil {
			return true, err
		}
	}
	if err := w.create(ctx, launchedPod(w.cluster, l)); err != nil {
		return created, ownedByOther(ctx, w, err, &corev1.Pod{}, resources.MemberName(w.cluster.Name, l.Incarnation.Slot))
	}
	return true, nil
}

// launchedPod is the Pod that starts the member.
func launchedPod(c *v1alpha1.EtcdCluster, l plan.Launch) *corev1.Pod {
	pod := resources.Pod(c, l.Incarnation, l.Start)
	if l.First || l.Unused {
		resources.MarkUnused(pod)
	}
	return pod
}

// usable reads the claim live: the cache may be from before its member was removed, and a retired volume is never
// started. (Were it retired right after this, raft would still turn the member away.)
func usable(ctx context.Context, w *writer, l plan.Launch) error {
	claim := &corev1.PersistentVolumeClaim{}
	if err := w.live.Get(ctx, clientKey(w.cluster.Namespace, l.Volume), claim); err != nil {
		return fmt.Errorf("read the claim %s: %w", l.Volume, err)
	}
	v, err := resources.ParseVolume(w.cluster.Name, claim)
	if err != nil {
		return fmt.Errorf("read the records of the claim: %w", err)
	}
	if v.UID != l.VolumeUID || v.Retired || v.Terminating || v.Foreign() {
		return fmt.Errorf("the claim %s: %w", l.Volume, errChanged)
	}
	return nil
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
	if s.Volume != "" {
		err := changeVolume(ctx, w, s.Volume, func(v *corev1.PersistentVolumeClaim) { resources.RecordVersion(v, s.Version) })
		if err != nil {
			return err
		}
	}
	if s.Force {
		return w.remove(ctx, pod, client.GracePeriodSeconds(0))
	}
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
