package main

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
)

// replace removes the lost member before it adds another one, because etcd adds none beside a dead one of three
// (server/etcdserver/server.go, mayAddMember). The confirmed removal is the fence behind which its Pod may be
// forgotten.
func (s *byHand) replace(ctx context.Context, leader, lost member) (decided time.Time, err error) {
	decided = time.Now()
	if err := removeMember(ctx, leader.conn, lost); err != nil {
		return decided, err
	}
	err = s.client.Delete(ctx, lost.pod.DeepCopy(), client.GracePeriodSeconds(0), client.Preconditions{UID: &lost.pod.UID})
	if err != nil {
		return decided, fmt.Errorf("delete Pod %s: %w", lost.pod.Name, err)
	}
	slot, _ := resources.ParseSlot(clusterName, lost.pod.Name)
	o, err := s.manifest.replacing(slot, 3)
	if err != nil {
		return decided, err
	}
	return decided, s.join(ctx, leader.conn, slot, o)
}

// replace leaves it to the operator, and returns at the first sign that it has decided.
func (s operated) replace(ctx context.Context, _, lost member) (decided time.Time, err error) {
	return s.journal.awaitPicture(ctx, "the decision to replace "+lost.pod.Name, func(p picture) bool {
		return removalBegun(p, lost.id())
	})
}

// removalBegun tells that the removal of one of three voters was announced to Kubernetes, by a disruption budget that
// allows no other one to stop, or recorded on its volume.
func removalBegun(p picture, id uint64) bool {
	for _, b := range p.budgets {
		if least := b.Spec.MinAvailable; least != nil && least.IntValue() == 3 {
			return true
		}
	}
	for _, c := range p.claims {
		if c.Annotations[resources.AnnotationMemberID] == resources.FormatID(id) &&
			(c.Annotations[resources.AnnotationRetiring] != "" || c.Annotations[resources.AnnotationRetired] != "") {
			return true
		}
	}
	return false
}
