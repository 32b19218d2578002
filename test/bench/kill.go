package main

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kill deletes a follower's Pod without a grace period, as a crash of it would, and measures until its successor
// answers as the same member, follows the same leader and has applied all that was committed before.
func (s *stage) kill(ctx context.Context, l *life) error {
	leader, followers, err := s.observer.leader(ctx)
	if err != nil {
		return err
	}
	victim := followers[0]
	w := wanted{
		what: "successor of Pod " + victim.pod.Name + " in sync", pods: only(victim.pod.Name, victim.pod.UID),
		etcd: func(ctx context.Context, c connection) error { return returned(ctx, c, leader, victim) },
	}
	return s.stopwatch(ctx, l, killRevived, func(ctx context.Context) error {
		err := s.env.Client.Delete(ctx, victim.pod.DeepCopy(), client.GracePeriodSeconds(0),
			client.Preconditions{UID: &victim.pod.UID})
		if err != nil {
			return fmt.Errorf("kill Pod %s: %w", victim.pod.Name, err)
		}
		return s.subject.revive(ctx, &victim.pod)
	}, w)
}

func returned(ctx context.Context, c connection, leader, victim member) error {
	now, err := c.maintenance.Status(ctx, "")
	if err != nil {
		return err
	}
	before := victim.id()
	switch {
	case now.Header.MemberId != before:
		return fmt.Errorf("it is member %x, not %x", now.Header.MemberId, before)
	case now.Leader != leader.status.Leader:
		return fmt.Errorf("it follows %x, not %x", now.Leader, leader.status.Leader)
	case now.RaftAppliedIndex < leader.status.RaftIndex:
		return fmt.Errorf("it has applied %d of %d", now.RaftAppliedIndex, leader.status.RaftIndex)
	default:
		return nil
	}
}
