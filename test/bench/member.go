package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
)

// member is a member with what it answered about itself.
type member struct {
	pod    corev1.Pod
	conn   connection
	status *clientv3.StatusResponse
}

func (m member) id() uint64  { return m.status.Header.MemberId }
func (m member) leads() bool { return m.status.Leader == m.id() }

// members asks all members that are to stay, which must all answer.
func (o *observer) members(ctx context.Context) ([]member, error) {
	pods, err := o.list(ctx)
	if err != nil {
		return nil, err
	}
	var members []member
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue // removed before: it may have ended already
		}
		m := member{pod: pod}
		err := o.ask(ctx, &pod, func(ctx context.Context, c connection) error {
			var err error
			m.conn = c
			m.status, err = c.maintenance.Status(ctx, "")
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("status of member %s: %w", pod.Name, err)
		}
		members = append(members, m)
	}
	return members, nil
}

// leader asks all members and returns the one that leads, and the others.
func (o *observer) leader(ctx context.Context) (leader member, followers []member, err error) {
	members, err := o.members(ctx)
	if err != nil {
		return member{}, nil, err
	}
	leader, followers = leaderOf(members)
	if leader.status == nil || len(members) > 1 && len(followers) == 0 {
		return member{}, nil, fmt.Errorf("none of the %d members leads, or none follows", len(members))
	}
	return leader, followers, nil
}

// leaderOf returns the member that leads, without a status when there is none, and the others.
func leaderOf(members []member) (leader member, followers []member) {
	for _, m := range members {
		if m.leads() {
			leader = m
		} else {
			followers = append(followers, m)
		}
	}
	return leader, followers
}
