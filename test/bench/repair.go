package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	corev1 "k8s.io/api/core/v1"
)

// Moments on the way of a repair, in the order in which they are expected.
const (
	momentRemoved   = "lost member removed"
	momentAdded     = "learner added"
	momentCreated   = "Pod created"
	momentScheduled = "Pod scheduled"
	momentRunning   = "container running"
	momentStarted   = "etcd started"
	momentSynced    = "learner in sync"
	momentVoter     = "learner promoted"
)

func repairMoments() []string {
	return []string{
		momentRemoved, momentAdded, momentCreated, momentScheduled, momentRunning, momentStarted, momentSynced, momentVoter,
	}
}

// moment is one of them, and the wait for it.
type moment struct {
	name  string
	await func(context.Context) (time.Time, error)
}

// repair measures how a follower is replaced whose node is gone for good, from the decision to a new voter. How long it
// takes to decide is a matter of how long Kubernetes and the operator hope, and told on its own.
func (s *stage) repair(ctx context.Context, l *life) (err error) {
	leader, followers, err := s.observer.leader(ctx)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	operator, err := operatorPod(ctx, s.env)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	lost, err := awayFrom(operator.Spec.NodeName, followers)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	defer func() { err = errors.Join(err, bringBack(ctx, s.env, lost.pod.Spec.NodeName)) }()
	gone, err := s.lose(ctx, &lost.pod)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	decided, reached, err := s.watchReplacement(ctx, leader, lost)
	if err != nil {
		return fmt.Errorf("repair: %w\n\n%s", err, diagnosis(ctx, s.env, s.observer.namespace))
	}
	if !s.hand {
		l.times[repairDecided] = decided.Sub(gone).Seconds()
	}
	l.times[repairDone] = reached[momentVoter].Sub(decided).Seconds()
	for _, name := range repairMoments() {
		l.repair[name] = reached[name].Sub(decided).Seconds()
	}
	return nil
}

// watchReplacement has the member replaced, and tells when that was decided and when what was reached. Several waits
// run beside one another, so that none is late because of another one.
func (s *stage) watchReplacement(
	ctx context.Context, leader, lost member,
) (decided time.Time, reached map[string]time.Time, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	chains := [][]moment{s.etcdMoments(lost), s.kubernetesMoments(lost), {s.observed(momentSynced, wanted{
		pods: only(lost.pod.Name, lost.pod.UID),
		etcd: func(ctx context.Context, learner connection) error { return inSync(ctx, leader.conn, learner) },
	})}}
	found := make(chan map[string]time.Time, len(chains))
	for _, chain := range chains {
		go func() {
			reached, err := follow(ctx, chain)
			if err != nil {
				stop(err)
			}
			found <- reached
		}()
	}
	if decided, err = s.subject.replace(ctx, leader, lost); err != nil {
		stop(err)
	}
	reached = map[string]time.Time{}
	for range chains {
		maps.Copy(reached, <-found)
	}
	return decided, reached, context.Cause(ctx)
}

// follow waits for one moment after the other.
func follow(ctx context.Context, chain []moment) (map[string]time.Time, error) {
	reached := map[string]time.Time{}
	for _, m := range chain {
		at, err := m.await(ctx)
		if err != nil {
			return nil, err
		}
		reached[m.name] = at
	}
	return reached, nil
}

// observed is a moment that members tell of.
func (s *stage) observed(name string, w wanted) moment {
	w.what = name
	return moment{name, func(ctx context.Context) (time.Time, error) { return s.observer.await(ctx, w) }}
}

// etcdMoments are those that the remaining members tell of.
func (s *stage) etcdMoments(lost member) []moment {
	listed := func(name string, is func([]*etcdserverpb.Member) error) moment {
		return s.observed(name, wanted{
			pods: except(lost.pod.Name),
			etcd: func(ctx context.Context, c connection) error {
				list, err := c.MemberList(ctx)
				if err != nil {
					return err
				}
				return is(list.Members)
			},
		})
	}
	return []moment{
		listed(momentRemoved, func(list []*etcdserverpb.Member) error { return lacks(list, lost.id()) }),
		listed(momentAdded, func(list []*etcdserverpb.Member) error { return hasLearner(list, false) }),
		listed(momentStarted, func(list []*etcdserverpb.Member) error { return hasLearner(list, true) }),
		s.observed(momentVoter, wanted{pods: except(lost.pod.Name), etcd: voters(3)}),
	}
}

// except chooses all Pods but the named ones.
func except(name string) func([]corev1.Pod) ([]corev1.Pod, string) {
	return func(pods []corev1.Pod) ([]corev1.Pod, string) {
		var others []corev1.Pod
		for _, p := range pods {
			if p.Name != name {
				others = append(others, p)
			}
		}
		return others, ""
	}
}

func lacks(list []*etcdserverpb.Member, id uint64) error {
	for _, m := range list {
		if m.ID == id {
			return fmt.Errorf("member %x is still listed", id)
		}
	}
	return nil
}

// hasLearner looks for a learner or for what became of it. One that has started has told its client URLs.
func hasLearner(list []*etcdserverpb.Member, started bool) error {
	for _, m := range list {
		if m.IsLearner && (!started || len(m.ClientURLs) > 0) {
			return nil
		}
	}
	if startedVoters(list) == 3 {
		return nil
	}
	return fmt.Errorf("of %d members none is a learner", len(list))
}

// kubernetesMoments are those that objects tell of.
func (s *stage) kubernetesMoments(lost member) []moment {
	fresh := func(name string, is func(*corev1.Pod) bool) moment {
		return s.pictured(name, func(p picture) bool {
			for i := range p.pods {
				if p.pods[i].Name == lost.pod.Name && p.pods[i].UID != lost.pod.UID {
					return is(&p.pods[i])
				}
			}
			return false
		})
	}
	return []moment{
		fresh(momentCreated, func(*corev1.Pod) bool { return true }),
		fresh(momentScheduled, func(p *corev1.Pod) bool { return p.Spec.NodeName != "" }),
		fresh(momentRunning, running),
	}
}

// pictured is a moment that objects tell of.
func (s *stage) pictured(name string, is func(picture) bool) moment {
	return moment{name, func(ctx context.Context) (time.Time, error) { return s.journal.awaitPicture(ctx, name, is) }}
}
