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
		if now := check(ctx); now == "" {
			return nil
		} else if ctx.Err() == nil || missing == "" {
			missing = now // not the failure of a look that the deadline cut off
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s still: %s (%w)", time.Since(start).Round(time.Second), missing, ctx.Err())
		case <-ticker.C:
		}
	}
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
