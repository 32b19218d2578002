package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// restart restarts all members, one after the other.
	restart(ctx context.Context) error
	// upgrade brings all members to another version, one after the other.
	upgrade(ctx context.Context, version string) error
	// replace replaces a follower whose node is gone for good. It returns when that was decided.
	replace(ctx context.Context, leader, lost member) (decided time.Time, err error)
}

// operated leaves everything to the operator.
type operated struct {
	client    client.Client
	options   options
	namespace string
	journal   *journal
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
	return s.edit(ctx, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
}

func (s operated) restart(ctx context.Context) error {
	return s.edit(ctx, fmt.Appendf(nil, `{"spec":{"restartedAt":%q}}`, time.Now().Format(time.RFC3339)))
}

func (s operated) upgrade(ctx context.Context, version string) error {
	return s.edit(ctx, fmt.Appendf(nil, `{"spec":{"version":%q}}`, version))
}

// edit is strict: an API server that does not know a field would drop it, and nothing would ever come of the edit.
func (s operated) edit(ctx context.Context, patch []byte) error {
	c := s.options.cluster(s.namespace, clusterName, 0)
	err := s.client.Patch(ctx, c, client.RawPatch(types.MergePatchType, patch),
		client.FieldValidation(metav1.FieldValidationStrict))
	if err != nil {
		return fmt.Errorf("edit the EtcdCluster (%s): %w", patch, err)
	}
	return nil
}

func (operated) revive(context.Context, *corev1.Pod) error { return nil }

var _ subject = operated{}
