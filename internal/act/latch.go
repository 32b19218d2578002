package act

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// latch creates the latch exclusively, or changes it at the resource version that was observed, so that of two
// operators one wins and the other observes again.
func (e *Executor) latch(ctx context.Context, w *writer, c *state.Cluster, step plan.Step) error {
	switch s := step.(type) {
	case plan.CreateLatch:
		l := resources.NewLatch(c.Object, 1, state.Token(e.NewToken(), 1), s.Size, s.Version)
		l.Since = c.Now
		return createLatch(ctx, w, l)
	case plan.RestoreLatch:
		l := s.Latch
		l.Since = c.Now
		return createLatch(ctx, w, l)
	case plan.RestartBootstrap:
		return changeLatch(ctx, w, c, func(old *state.Latch) state.Latch {
			token := state.Token(state.Lineage(old.Token), s.Generation)
			l := resources.NewLatch(c.Object, s.Generation, token, s.Size, s.Version)
			l.UID, l.ResourceVersion, l.Since = old.UID, old.ResourceVersion, c.Now
			return l
		})
	case plan.FormLatch:
		return changeLatch(ctx, w, c, func(l *state.Latch) state.Latch { l.Formed = true; return *l })
	case plan.RecordVersion:
		return recordVersion(ctx, w, c, s.Version)
	case plan.SwitchVersion:
		return recordVersion(ctx, w, c, s.Version)
	case plan.TrimLaunched:
		return changeLatch(ctx, w, c, func(l *state.Latch) state.Latch {
			l.Launched = without(l.Launched, s.Removed)
			return *l
		})
	case plan.RecordSnapshots:
		return changeLatch(ctx, w, c, func(l *state.Latch) state.Latch {
			l.Snapshots, l.Saving = s.Members, false
			return *l
		})
	}
	return nil
}

func without(ids, others []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool { return slices.Contains(others, id) })
}

func recordVersion(ctx context.Context, w *writer, c *state.Cluster, version string) error {
	return changeLatch(ctx, w, c, func(l *state.Latch) state.Latch {
		l.Version = version
		logSince(l, state.Minor(version))
		return *l
	})
}

// logSince records that a member's log may come to hold entries of an earlier minor.
func logSince(l *state.Latch, minor string) {
	if plan.Older(minor, l.LogSince) {
		l.LogSince, l.Snapshots = minor, nil
	}
}

func createLatch(ctx context.Context, w *writer, l state.Latch) error {
	err := w.create(ctx, resources.Latch(w.cluster, l))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var seen corev1.ConfigMap
	key := clientKey(w.cluster.Namespace, resources.LatchName(w.cluster.Name))
	if liveErr := w.live.Get(ctx, key, &seen); liveErr != nil {
		return fmt.Errorf("read the latch: %w", liveErr)
	}
	if seen.Labels[resources.LabelCluster] != w.cluster.Name {
		return fmt.Errorf("ConfigMap %s belongs to something else: delete or rename it: %w", seen.Name, ErrConflict)
	}
	return err
}

// changeLatch writes what change makes of the latch as it was observed, not as the cache holds it by now.
func changeLatch(ctx context.Context, w *writer, c *state.Cluster, change func(*state.Latch) state.Latch) error {
	if c.Latch == nil {
		return fmt.Errorf("the latch is gone: %w", errChanged)
	}
	observed := *c.Latch
	return w.updateLatch(ctx, c, resources.Latch(w.cluster, change(&observed)))
}

// updateLatch replaces the latch. One that nobody owns is not given to an EtcdCluster that is gone.
func (w *writer) updateLatch(ctx context.Context, c *state.Cluster, desired *corev1.ConfigMap) error {
	if c.Latch.Owner == "" && metav1.GetControllerOf(desired) != nil {
		if err := mayOwn(ctx, w); err != nil {
			return err
		}
	}
	return w.update(ctx, desired)
}
