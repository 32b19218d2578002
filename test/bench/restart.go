package main

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// restart measures a rolling restart of all members on their volumes.
func (s *stage) restart(ctx context.Context, l *life) error {
	return s.roll(ctx, l, partRestart, restartDone, s.options.version, s.subject.restart)
}

func (s *byHand) restart(ctx context.Context) error {
	return s.roll(ctx, s.manifest.Version, func(ctx context.Context, m member) error {
		if err := s.client.Delete(ctx, m.pod.DeepCopy(), client.Preconditions{UID: &m.pod.UID}); err != nil {
			return fmt.Errorf("delete Pod %s: %w", m.pod.Name, err)
		}
		return s.revive(ctx, &m.pod)
	})
}
