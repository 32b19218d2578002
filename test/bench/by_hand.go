package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// byHand is the fastest that a person could be who has everything prepared and never hesitates: the floor. It keeps
// the operator's safety in what changes the membership: learners, one change at a time, leadership handed over first.
type byHand struct {
	client   client.Client
	observer *observer
	manifest manifest
}

func (s *byHand) create(ctx context.Context) error {
	o, err := s.manifest.bootstrap(3)
	if err != nil {
		return err
	}
	return s.apply(ctx, append(o.shared(), o.members()...))
}

func (s *byHand) apply(ctx context.Context, list []client.Object) error {
	for _, obj := range list {
		obj.SetNamespace(s.manifest.Namespace)
		if err := s.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

func (s *byHand) grow(ctx context.Context) error {
	leader, _, err := s.observer.leader(ctx)
	if err != nil {
		return err
	}
	for _, slot := range []int{3, 4} {
		if err := s.add(ctx, leader.conn, slot); err != nil {
			return err
		}
	}
	return nil
}

// add joins one member beyond the others.
func (s *byHand) add(ctx context.Context, leader connection, slot int) error {
	o, err := s.manifest.joining(slot)
	if err != nil {
		return err
	}
	return s.join(ctx, leader, slot, o)
}

// join joins one member as a learner and promotes it as soon as it has all that the leader had when it answered.
func (s *byHand) join(ctx context.Context, leader connection, slot int, o objects) error {
	name := o.Pods[0].Name
	id, err := addLearner(ctx, leader, s.manifest.peerURL(slot))
	if err != nil {
		return err
	}
	if err := s.apply(ctx, o.members()); err != nil {
		return err
	}
	_, err = s.observer.await(ctx, wanted{
		what: "learner " + name + " in sync", pods: only(name, ""),
		etcd: func(ctx context.Context, learner connection) error { return inSync(ctx, leader, learner) },
	})
	if err != nil {
		return err
	}
	return repeat(ctx, "promote "+name, func(ctx context.Context) error {
		_, err := leader.MemberPromote(ctx, id)
		if errors.Is(err, rpctypes.ErrMemberNotLearner) {
			return nil // an attempt whose answer was lost
		}
		return err
	})
}

// addLearner repeats until the learner is listed: an attempt that was not answered may have succeeded.
func addLearner(ctx context.Context, leader connection, peerURL string) (id uint64, err error) {
	err = repeat(ctx, "add learner "+peerURL, func(ctx context.Context) error {
		added, err := leader.MemberAddAsLearner(ctx, []string{peerURL})
		if err == nil {
			id = added.Member.ID
			return nil
		}
		list, listErr := leader.MemberList(ctx)
		if listErr != nil {
			return errors.Join(err, listErr)
		}
		for _, m := range list.Members {
			if slices.Contains(m.PeerURLs, peerURL) {
				id = m.ID
				return nil
			}
		}
		return err
	})
	return id, err
}

func inSync(ctx context.Context, leader, learner connection) error {
	want, err := leader.maintenance.Status(ctx, "")
	if err != nil {
		return err
	}
	got, err := learner.maintenance.Status(ctx, "")
	if err == nil && got.RaftAppliedIndex < want.RaftIndex {
		err = fmt.Errorf("it has applied %d of %d", got.RaftAppliedIndex, want.RaftIndex)
	}
	return err
}

func (s *byHand) shrink(ctx context.Context) error {
	for _, slot := range []int{4, 3} {
		if err := s.remove(ctx, slot); err != nil {
			return err
		}
	}
	return nil
}

// remove does not wait for the Pod's end: once the removal is confirmed, its member never votes again.
func (s *byHand) remove(ctx context.Context, slot int) error {
	name := s.manifest.member(slot).Name
	victim, heir, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if victim.leads() {
		if err := handOver(ctx, victim, heir); err != nil {
			return err
		}
	}
	if err := removeMember(ctx, heir.conn, victim); err != nil {
		return err
	}
	if err := s.client.Delete(ctx, &victim.pod); err != nil {
		return fmt.Errorf("delete Pod %s: %w", name, err)
	}
	return nil
}

func removeMember(ctx context.Context, through connection, victim member) error {
	return repeat(ctx, "remove "+victim.pod.Name, func(ctx context.Context) error {
		_, err := through.MemberRemove(ctx, victim.id())
		if errors.Is(err, rpctypes.ErrMemberNotFound) {
			return nil // an attempt whose answer was lost
		}
		return err
	})
}

// handOver returns when the heir leads.
func handOver(ctx context.Context, leader, heir member) error {
	if _, err := leader.conn.maintenance.MoveLeader(ctx, heir.id()); err != nil {
		return fmt.Errorf("move the leadership from %s to %s: %w", leader.pod.Name, heir.pod.Name, err)
	}
	return nil
}

// find returns the named member, and member 0, through which it is removed and which leads when it no longer does.
func (s *byHand) find(ctx context.Context, name string) (named, heir member, err error) {
	members, err := s.observer.members(ctx)
	if err != nil {
		return member{}, member{}, err
	}
	first := s.manifest.member(0).Name
	for _, m := range members {
		switch m.pod.Name {
		case name:
			named = m
		case first:
			heir = m
		}
	}
	if named.status == nil || heir.status == nil {
		return member{}, member{}, fmt.Errorf("no Pod %s or no Pod %s", name, first)
	}
	return named, heir, nil
}

// revive creates the Pod anew at the moment in which its predecessor is gone.
func (s *byHand) revive(ctx context.Context, killed *corev1.Pod) error {
	o, err := s.manifest.bootstrap(3)
	if err != nil {
		return err
	}
	for _, pod := range o.Pods {
		if pod.Name != killed.Name {
			continue
		}
		pod.Namespace = s.manifest.Namespace
		return repeat(ctx, "create Pod "+pod.Name+" anew", func(ctx context.Context) error {
			fresh := pod.DeepCopy()
			err := s.client.Create(ctx, fresh)
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return permanent{err}
			}
			return err
		})
	}
	return fmt.Errorf("no manifest has a Pod %s", killed.Name)
}

var _ subject = &byHand{}
