package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// containerID of etcd: another one is another process, whatever became of the Pod. Empty before there is one.
func containerID(p *corev1.Pod) string {
	if len(p.Status.ContainerStatuses) != 1 {
		return ""
	}
	return p.Status.ContainerStatuses[0].ContainerID
}

// back is the wait for a member whose process was changed: another one runs and is ready, answers as the same member in
// the version, and reads linearizably, which it can only with all that was committed before.
func back(before member, version string) wanted {
	name := before.pod.Name
	return wanted{
		what: "member " + name + " back with etcd " + version,
		pods: func(pods []corev1.Pod) ([]corev1.Pod, string) {
			for _, p := range pods {
				if p.Name == name && containerID(&p) != containerID(&before.pod) && ready(&p) && p.DeletionTimestamp == nil {
					return []corev1.Pod{p}, ""
				}
			}
			return nil, "no other container of Pod " + name + " is ready"
		},
		etcd: func(ctx context.Context, c connection) error {
			now, err := c.maintenance.Status(ctx, "")
			switch {
			case err != nil:
				return err
			case now.Header.MemberId != before.id():
				return fmt.Errorf("it is member %x, not %x", now.Header.MemberId, before.id())
			case now.Version != version:
				return fmt.Errorf("it runs etcd %s, not %s", now.Version, version)
			}
			_, err = c.Get(ctx, "/bench")
			return err
		},
	}
}

// roll measures a change of all members, one after the other, while a client writes.
func (s *stage) roll(
	ctx context.Context, l *life, part, name, version string, change func(context.Context) error,
) error {
	before, err := s.observer.members(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.whileWriting(ctx, l, part, func(ctx context.Context) error {
		start := time.Now()
		if err := change(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var at time.Time
		for _, m := range before { // one that is back stays so: the last look is the one that counts
			if at, err = s.observer.await(ctx, back(m, version)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		l.times[name] = at.Sub(start).Seconds()
		return nil
	})
}

// roll changes all members, each when the one before it is back. The leader is the last one, and has handed over
// before.
func (s *byHand) roll(ctx context.Context, version string, change func(context.Context, member) error) error {
	done := map[uint64]bool{}
	for {
		members, err := s.observer.members(ctx)
		if err != nil {
			return err
		}
		next, heir := nextToChange(members, done)
		switch {
		case next.status == nil:
			return nil
		case next.leads():
			if err := handOver(ctx, next, heir); err != nil {
				return err
			}
		}
		if err := change(ctx, next); err != nil {
			return err
		}
		if _, err := s.observer.await(ctx, back(next, version)); err != nil {
			return err
		}
		done[next.id()] = true
	}
}

// nextToChange is a follower that was not changed yet, then the leader; without a status when all were changed. The
// heir is one to which the leader can hand over: one that was changed, so that it stays the leader.
func nextToChange(members []member, done map[uint64]bool) (next, heir member) {
	leader, followers := leaderOf(members)
	for _, m := range append(followers, leader) {
		switch {
		case m.status == nil:
		case done[m.id()]:
			heir = m
		case next.status == nil:
			next = m
		}
	}
	return next, heir
}
