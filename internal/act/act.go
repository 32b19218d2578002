// Package act executes what the plan decides, one file for each kind of step. Every step is idempotent, and before
// anything irreversible the cluster is observed live and planned again: only the very same step is done.
package act

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// Executor executes steps.
type Executor struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server itself.
	Live client.Reader
	// Etcd hands out clients of members.
	Etcd etcd.Dialer
	// Observer makes the live observation before something irreversible.
	Observer *observe.Observer
	// Expect remembers own writes.
	Expect *Expectations
	// Operations run the calls that take minutes.
	Operations *etcd.Operations
	// NewToken makes the lineage of a new cluster's tokens, unique for ever.
	NewToken func() string

	refusals refusals
}

// Do executes one step on the cluster as it was observed. See Later for errors that are none.
func (e *Executor) Do(ctx context.Context, c *state.Cluster, step plan.Step) error {
	if plan.Irreversible(step) {
		live, err := e.permit(ctx, c, step)
		if err != nil {
			return err
		}
		c = live
	}
	w := &writer{Client: e.Client, live: e.Live, expect: e.Expect, observer: e.Observer, cluster: c.Object}
	switch s := step.(type) {
	case plan.CreateLatch, plan.RestoreLatch, plan.RestartBootstrap, plan.FormLatch, plan.RecordVersion,
		plan.SwitchVersion, plan.RecordSnapshots, plan.TrimLaunched:
		return e.latch(ctx, w, c, step)
	case plan.AddLearner, plan.Promote, plan.MoveLeader, plan.RemoveMember, plan.EnableDowngrade,
		plan.CancelDowngrade:
		return e.membership(ctx, c, step)
	case plan.DisarmAlarm:
		return e.disarm(ctx, c, s)
	case plan.ResizeVolumes:
		return e.resizeVolumes(ctx, w, s)
	case plan.Defragment, plan.Compact:
		return e.maintain(ctx, c, step)
	case plan.InspectVolume, plan.DeleteHelper, plan.BeginRecovery, plan.Salvage, plan.RecordSalvaged, plan.SwitchCluster,
		plan.KeepFormerVolumes, plan.FinishRecovery:
		return e.recovery(ctx, w, c, step)
	case plan.StartMembers:
		return startMembers(ctx, w, c, s)
	case plan.ApplyPodMetadata, plan.PatchPod, plan.ResizePod:
		return changeInPlace(ctx, w, c, step)
	case plan.DeletePod:
		return deletePod(ctx, w, c, s)
	case plan.DeleteVolume:
		return deleteVolume(ctx, w, c, s)
	default:
		return keepObjects(ctx, w, c, step)
	}
}

// keepObjects does the steps that keep objects as they shall be, and records.
func keepObjects(ctx context.Context, w *writer, c *state.Cluster, step plan.Step) error {
	switch s := step.(type) {
	case plan.ApplyServices:
		return applyServices(ctx, w, s)
	case plan.ApplyDisruptionBudget:
		return applyDisruptionBudget(ctx, w, s)
	case plan.ApplyNetworkPolicy:
		return applyNetworkPolicy(ctx, w, s)
	case plan.ApplyOwners:
		return applyOwners(ctx, w, c, s)
	case plan.SetAuthority:
		return setAuthority(ctx, w, c, s)
	case plan.PublishCertificate:
		return publishCertificate(ctx, w, c, s)
	case plan.PublishTrust:
		return publishTrust(ctx, w, c, s)
	case plan.PruneTrust:
		return pruneTrust(ctx, w, c, s)
	case plan.RequestCertificates:
		return requestCertificates(ctx, w, c)
	default:
		return record(ctx, w, step)
	}
}

// permit has Kubernetes try what the step needs afterwards, and then confirms the step on the live state, which it
// returns: nothing lies between the confirmation and the step.
func (e *Executor) permit(ctx context.Context, c *state.Cluster, step plan.Step) (*state.Cluster, error) {
	tried := successor(c, step)
	if err := e.try(ctx, tried, step); err != nil {
		return nil, err
	}
	live, err := e.confirm(ctx, c, step)
	if err != nil {
		return nil, err
	}
	if !equality.Semantic.DeepEqual(successor(live, step), tried) {
		return nil, fmt.Errorf("%q: the Pod that follows is another by now: %w", step, errChanged)
	}
	return live, nil
}

// confirm observes live, plans again, and returns the live observation if the very same step results.
func (e *Executor) confirm(ctx context.Context, c *state.Cluster, step plan.Step) (*state.Cluster, error) {
	var obj v1alpha1.EtcdCluster
	if err := e.Live.Get(ctx, client.ObjectKeyFromObject(c.Object), &obj); err != nil {
		return nil, fmt.Errorf("read the EtcdCluster: %w", err)
	}
	if obj.UID != c.Object.UID {
		return nil, fmt.Errorf("the EtcdCluster is another one by now: %w", errChanged)
	}
	var ns corev1.Namespace
	if err := e.Live.Get(ctx, client.ObjectKey{Name: obj.Namespace}, &ns); err != nil {
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	if ns.DeletionTimestamp != nil {
		return nil, errNamespaceGone
	}
	live, err := e.Observer.Observe(ctx, e.Live, &obj)
	if err != nil {
		return nil, err
	}
	switch d := plan.Next(live); {
	case d.Proposes(step):
		return live, nil
	case d.Step == nil && len(d.Blocked) > 0:
		return nil, &RefusedError{Step: step, Blocked: d.Blocked}
	default:
		return nil, fmt.Errorf("%q is not what the live state asks for: %w", step, errChanged)
	}
}
