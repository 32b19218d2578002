package act

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

// refusedRetry is after how long a size is asked for again that Kubernetes refused: nothing tells the operator, which
// has no right to see them, that a StorageClass or a quota has changed.
const refusedRetry = 5 * time.Minute

// refusals remember which sizes of volumes Kubernetes refused, so that the same is not asked for in every reconcile.
type refusals struct {
	mu       sync.Mutex
	clusters map[string]refusal
}

type refusal struct {
	size  int64
	until time.Time
	err   error
}

func (r *refusals) of(cluster string, size int64, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.clusters[cluster]; last.size == size && now.Before(last.until) {
		return last.err
	}
	return nil
}

func (r *refusals) keep(cluster string, last refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters == nil {
		r.clusters = map[string]refusal{}
	}
	r.clusters[cluster] = last
}

func (r *refusals) forget(cluster string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clusters, cluster)
}

// resizeVolumes makes the claims ask for another size. One that is refused does not hold up the others.
func (e *Executor) resizeVolumes(ctx context.Context, w *writer, s plan.ResizeVolumes) error {
	cluster, now := w.key().String(), e.Expect.now()
	if err := e.refusals.of(cluster, s.Size, now); err != nil {
		return err
	}
	size := resources.Bytes(w.cluster, s.Size)
	var errs, refused []error
	for _, claim := range s.Claims {
		pvc := &corev1.PersistentVolumeClaim{}
		pvc.Namespace, pvc.Name = w.cluster.Namespace, claim.Name
		err := w.change(ctx, pvc, claim.UID, func() {
			resources.Grow(pvc, size, s.Full, now)
			resources.RecordSizeInSpec(pvc, s.SizeInSpec)
		})
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			refused = append(refused, growthRefused(s, claim, err))
		} else {
			errs = append(errs, err)
		}
	}
	if len(refused) > 0 {
		// One tells it all: the claims are of one class and ask for the same.
		e.refusals.keep(cluster, refusal{size: s.Size, until: now.Add(refusedRetry), err: refused[0]})
		errs = append(errs, refused[0])
	}
	return errors.Join(errs...)
}

// growthRefused says what Kubernetes refused, and what a person can do.
func growthRefused(s plan.ResizeVolumes, claim plan.Claim, cause error) error {
	was, wanted := resource.NewQuantity(claim.Request, resource.BinarySI), resource.NewQuantity(s.Size, resource.BinarySI)
	advice := fmt.Sprintf("Let the StorageClass permit it (allowVolumeExpansion: true), or set storage.size back to %s",
		was)
	switch {
	case s.Size < claim.Request:
		advice = fmt.Sprintf("Set storage.size to %s", was)
	case strings.Contains(cause.Error(), "exceeded quota"):
		advice = fmt.Sprintf("Raise the ResourceQuota, or set storage.size back to %s", was)
	}
	return &RefusedError{Step: s, Blocked: []plan.Blocked{{
		Reason: v1alpha1.ReasonVolumeGrowthRefused,
		Message: fmt.Sprintf("Kubernetes refuses to change the size of volume %s from %s to %s: %s. %s (it is tried again "+
			"every %s)", claim.Name, was, wanted, reasonOf(cause), advice, refusedRetry),
	}}}
}

// reasonOf is what the API server says, without what the operator was about to do.
func reasonOf(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}
