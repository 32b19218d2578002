package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clusterName is the same on both sides, so that names are of equal length.
const clusterName = "bench"

// subject is who runs an etcd cluster: a person's hands or the operator. Each call returns when nothing is left for the
// person to do; what comes of it is observed by somebody else.
type subject interface {
	// create starts a cluster of three.
	create(ctx context.Context) error
	// grow makes it one of five.
	grow(ctx context.Context) error
	// shrink makes it one of three again.
	shrink(ctx context.Context) error
	// revive brings back the Pod that was just killed.
	revive(ctx context.Context, killed *corev1.Pod) error
}

// operated leaves everything to the operator.
type operated struct {
	client    client.Client
	options   options
	namespace string
}

func (s operated) create(ctx context.Context) error {
	if err := s.client.Create(ctx, s.options.cluster(s.namespace, clusterName, 3)); err != nil {
		return fmt.Errorf("create the EtcdCluster: %w", err)
	}
	return nil
}

func (s operated) grow(ctx context.Context) error   { return s.scale(ctx, 5) }
func (s operated) shrink(ctx context.Context) error { return s.scale(ctx, 3) }

func (s operated) scale(ctx context.Context, replicas int) error {
	c := s.options.cluster(s.namespace, clusterName, 0)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := s.client.Patch(ctx, c, patch); err != nil {
		return fmt.Errorf("scale the EtcdCluster to %d: %w", replicas, err)
	}
	return nil
}

func (operated) revive(context.Context, *corev1.Pod) error { return nil }

// byHand is the fastest that a person could be who has everything prepared and never hesitates: the floor. It keeps
// the operator's safety in what changes the membership: learners, one change at a time, leadership handed over first.
type byHand struct {
	client   client.Client
	observer *observer
	manifest manifest
}

func (s byHand) create(ctx context.Context) error {
	o, err := s.manifest.bootstrap(3)
	if err != nil {
		return err
	}
	return s.apply(ctx, o)
}

// apply creates volumes before Pods: the scheduler puts a Pod whose claim it does not find aside for a while.
func (s byHand) apply(ctx context.Context, o objects) error {
	var all []client.Object
	if o.Service != nil && len(o.Pods) > 1 {
		all = append(all, o.Service)
	}
	for _, c := range o.Claims {
		all = append(all, c)
	}
	for _, p := range o.Pods {
		all = append(all, p)
	}
	for _, obj := range all {
		obj.SetNamespace(s.manifest.Namespace)
		if err := s.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

func (s byHand) grow(ctx context.Context) error {
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

// add joins one member as a learner and promotes it as soon as it has all that the leader had when it answered.
func (s byHand) add(ctx context.Context, leader connection, slot int) error {
	o, err := s.manifest.joining(slot)
	if err != nil {
		return err
	}
	name := o.Pods[0].Name
	var added *clientv3.MemberAddResponse
	if err := repeat(ctx, "add learner "+name, func(ctx context.Context) error {
		var err error
		added, err = leader.MemberAddAsLearner(ctx, []string{s.manifest.peerURL(slot)})
		return err
	}); err != nil {
		return err
	}
	if err := s.apply(ctx, o); err != nil {
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
		_, err := leader.MemberPromote(ctx, added.Member.ID)
		return err
	})
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

func (s byHand) shrink(ctx context.Context) error {
	for _, slot := range []int{4, 3} {
		if err := s.remove(ctx, slot); err != nil {
			return err
		}
	}
	return nil
}

// remove does not wait for the Pod's end: once the removal is confirmed, its member never votes again.
func (s byHand) remove(ctx context.Context, slot int) error {
	name := s.manifest.member(slot).Name
	victim, heir, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	through := heir.conn
	if victim.status.Leader == victim.status.Header.MemberId {
		if _, err := victim.conn.maintenance.MoveLeader(ctx, heir.status.Header.MemberId); err != nil {
			return fmt.Errorf("move the leadership away from %s: %w", name, err)
		}
	}
	if err := repeat(ctx, "remove "+name, func(ctx context.Context) error {
		_, err := through.MemberRemove(ctx, victim.status.Header.MemberId)
		return err
	}); err != nil {
		return err
	}
	if err := s.client.Delete(ctx, &victim.pod); err != nil {
		return fmt.Errorf("delete Pod %s: %w", name, err)
	}
	return nil
}

// find returns the named member, and member 0, through which it is removed and which leads when it no longer does.
func (s byHand) find(ctx context.Context, name string) (named, heir member, err error) {
	pods, err := s.observer.list(ctx)
	if err != nil {
		return member{}, member{}, err
	}
	first := s.manifest.member(0).Name
	for _, pod := range pods {
		if pod.Name != name && pod.Name != first {
			continue
		}
		m := member{pod: pod}
		err := s.observer.ask(ctx, &pod, func(ctx context.Context, c connection) error {
			var err error
			m.conn = c
			m.status, err = c.maintenance.Status(ctx, "")
			return err
		})
		if err != nil {
			return member{}, member{}, fmt.Errorf("status of member %s: %w", pod.Name, err)
		}
		if pod.Name == name {
			named = m
		} else {
			heir = m
		}
	}
	if named.status == nil || heir.status == nil {
		return member{}, member{}, fmt.Errorf("no Pod %s or no Pod %s", name, first)
	}
	return named, heir, nil
}

// revive creates the Pod anew at the moment in which its predecessor is gone.
func (s byHand) revive(ctx context.Context, killed *corev1.Pod) error {
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

// permanent is an error that repeating does not mend.
type permanent struct{ error }

// repeat does something every tick until it succeeds: etcd refuses membership changes for a while, and says so.
func repeat(ctx context.Context, what string, do func(context.Context) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := attempt(ctx, do)
		if err == nil {
			return nil
		}
		var p permanent
		if errors.As(err, &p) {
			return fmt.Errorf("%s: %w", what, p.error)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: refused for %s, last with: %w", what, time.Since(start).Round(time.Second), err)
		}
	}
}

// attempt bounds one try by more than the 7 s after which etcd gives up a change of the membership (server/config,
// ReqTimeout), so that its own answer arrives.
func attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return do(ctx)
}

// only chooses the named Pod, unless it is the one with this UID.
func only(name string, but types.UID) func([]corev1.Pod) ([]corev1.Pod, string) {
	return func(pods []corev1.Pod) ([]corev1.Pod, string) {
		for _, pod := range pods {
			if pod.Name == name && pod.UID != but {
				return []corev1.Pod{pod}, ""
			}
		}
		return nil, "there is no Pod " + name + " yet"
	}
}

var (
	_ subject = operated{}
	_ subject = byHand{}
)
