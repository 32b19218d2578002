// Package controllers reconciles EtcdClusters: observe, plan, act, report.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

const (
	// poll is how often a cluster is looked at when no event comes, plus up to as much again, so that the clusters
	// spread. A lost connection to a member wakes the reconciler at once; the poll is a net.
	poll = 10 * time.Second
	// unsettledPoll is when to ask again whether the cache shows an own write; usually its watch event comes first.
	unsettledPoll = time.Second
	// conflictRetry gives the cache the time to show what the status write conflicted with.
	conflictRetry = 50 * time.Millisecond
	// failedRetry is when to try again what Kubernetes or etcd refused.
	failedRetry = 5 * time.Second
	// again is the shortest time after which controller-runtime takes a request up again.
	again = time.Millisecond
)

// EtcdClusterReconciler reconciles EtcdClusters.
type EtcdClusterReconciler struct {
	// Client reads from the cache and writes.
	Client   client.Client
	Etcd     etcd.Dialer
	Observer *observe.Observer
	Executor *act.Executor
	Expect   *act.Expectations
	Events   events.EventRecorder
	Metrics  *Metrics
}

// +kubebuilder:rbac:groups=quorate.dev,resources=etcdclusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=quorate.dev,resources=etcdclusters/status,verbs=update
// +kubebuilder:rbac:groups=quorate.dev,resources=etcdclusters/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods/resize,verbs=patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile observes one cluster, plans, does at most one step, and reports.
func (r *EtcdClusterReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &v1alpha1.EtcdCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.forget(ctx, req)
		}
		return ctrl.Result{}, fmt.Errorf("read the EtcdCluster: %w", err)
	}
	unsettled, err := r.Expect.Unsettled(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if unsettled != "" {
		log.FromContext(ctx).V(1).Info("Waiting until the cache shows an own write", "object", unsettled)
		return ctrl.Result{RequeueAfter: unsettledPoll}, nil
	}
	c, err := r.Observer.Observe(ctx, r.Client, obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	d := plan.Next(c)
	log.FromContext(ctx).V(1).Info("Planned", "step", fmt.Sprint(d.Step), "rule", d.Rule, "reason", d.Reason,
		"rules", d.Rules)
	o := r.act(ctx, c, d)
	err = r.reportInTime(ctx, c, d, o)
	if o.err != nil {
		// Not returned: the backoff of one ensure that keeps failing must not hold up everything else.
		log.FromContext(ctx).Error(o.err, "Failed; it is tried again")
	}
	switch {
	case apierrors.IsConflict(err):
		// The spec was edited meanwhile, or the cache does not show our last status yet: its event comes soon.
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case err != nil && !apierrors.IsNotFound(err):
		return ctrl.Result{}, err
	default:
		return ctrl.Result{RequeueAfter: next(d, o)}, nil
	}
}

// outcome is what came of a decision.
type outcome struct {
	// done tells that the decision's step was executed.
	done bool
	// news are ensures that were done and that people want to hear of.
	news []plan.Step
	// later is when to try again what was not possible yet; zero when nothing was.
	later time.Duration
	// blocked is what kept an ensure or the step from being done.
	blocked []plan.Blocked
	// err is a failure: the status tells it, and it is tried again after failedRetry.
	err error
}

// act does the ensures and then the step. An ensure that fails does not hold up the step: where the step relies on
// one, the plan waits until it observes its effect.
func (r *EtcdClusterReconciler) act(ctx context.Context, c *state.Cluster, d plan.Decision) outcome {
	var o outcome
	for _, s := range d.Ensures {
		if r.do(ctx, c, s, &o) && newsworthy(c, s) {
			o.news = append(o.news, s)
		}
	}
	if d.Step != nil {
		o.done = r.do(ctx, c, d.Step, &o)
	}
	return o
}

func (r *EtcdClusterReconciler) do(ctx context.Context, c *state.Cluster, s plan.Step, o *outcome) bool {
	err := r.Executor.Do(ctx, c, s)
	after, later := act.Later(err)
	r.Metrics.step(s, err, later)
	var refused *act.RefusedError
	switch {
	case err == nil:
		return true
	case errors.As(err, &refused):
		o.blocked = append(o.blocked, refused.Blocked...)
		o.later = soonest(o.later, poll)
	case errors.Is(err, act.ErrConflict):
		o.blocked = append(o.blocked, plan.Blocked{Reason: v1alpha1.ReasonOwnershipConflict, Message: err.Error()})
		o.later = soonest(o.later, poll)
	case later:
		log.FromContext(ctx).V(1).Info("Not possible yet", "step", s.String(), "cause", err.Error())
		o.later = soonest(o.later, after)
	default:
		o.blocked = append(o.blocked, plan.Blocked{Reason: v1alpha1.ReasonActionFailed, Message: err.Error()})
		o.err = errors.Join(o.err, err)
		o.later = soonest(o.later, failedRetry)
	}
	return false
}

// next is when to look again although no event may come.
func next(d plan.Decision, o outcome) time.Duration {
	after := poll + rand.N(poll) //nolint:gosec // spreads the load, protects nothing
	if d.Wake > 0 {
		after = soonest(after, d.Wake)
	}
	after = soonest(o.later, after)
	if o.done {
		after = again
	}
	return after
}

// soonest of two durations, of which zero means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// forget drops everything that is held in memory for a cluster that is gone.
func (r *EtcdClusterReconciler) forget(ctx context.Context, req ctrl.Request) error {
	r.Etcd.Retain(req.String(), nil)
	r.Observer.Forget(req.String())
	r.Executor.Forget(req.String())
	r.Metrics.forget(req.NamespacedName)
	return r.Expect.Forget(ctx, req.NamespacedName)
}
