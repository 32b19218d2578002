package framework

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// interval between two looks of Eventually.
const interval = 150 * time.Millisecond

// Eventually looks until check returns an empty string; anything else says what is still missing. When the context
// ends, the error tells the last of it.
func Eventually(ctx context.Context, check func(context.Context) string) error {
	start := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	missing := ""
	for {
		now := check(ctx)
		if now == "" {
			return nil
		}
		// A look that the deadline cuts off tells only that.
		if deadline, set := ctx.Deadline(); missing == "" || ctx.Err() == nil && (!set || time.Until(deadline) > interval) {
			missing = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s still: %s (%w)", time.Since(start).Round(time.Second), missing, ctx.Err())
		case <-ticker.C:
		}
	}
}

// PodReady tells whether the kubelet reports the Pod as ready.
func PodReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
