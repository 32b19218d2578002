package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
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

var _ subject = operated{}
