package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/resources"
)

const (
	// reconcileTimeout bounds one reconcile, so that one sick cluster does not keep a worker: two rounds of etcd calls (an
	// observation, and a live one before something irreversible) with their own deadlines fit in. Writes that wait for a
	// webhook (up to 30 s each) may not.
	reconcileTimeout = 45 * time.Second
	// reportTimeout is for the status after that.
	reportTimeout = 10 * time.Second
)

// Options of the controllers.
type Options struct {
	// DefaultVersion is the etcd version of a new cluster without spec.version.
	DefaultVersion string
	// Nodes lets the operator read nodes: node failure is then taken into account.
	Nodes bool
	// OperatorImage is the image of this operator; empty when it is not known.
	OperatorImage string
	// Workers is how many clusters are reconciled at the same time.
	Workers int
}

// rateLimiter spaces out attempts that fail, but never further than a few polls: the default of a quarter of an hour
// would outlast what caused it, with all that waits for its time meanwhile.
func rateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, 2*poll)
}

// CacheOptions select what the operator caches: of each kind only its own objects, in the given namespaces (all when
// none is given), and of nodes only what Observer reads.
func CacheOptions(namespaces []string) cache.Options {
	own := cache.ByObject{
		Label:     ownObjects(),
		Transform: cache.TransformStripManagedFields(),
	}
	opts := cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.Pod{}: own, &corev1.PersistentVolumeClaim{}: own, &corev1.Service{}: own, &corev1.ConfigMap{}: own,
		&corev1.Secret{}:                own,
		&policyv1.PodDisruptionBudget{}: own, &networkingv1.NetworkPolicy{}: own, &corev1.Node{}: {Transform: stripNode},
		&corev1.PersistentVolume{}: {Transform: stripDisk},
	}}
	for _, ns := range namespaces {
		if opts.DefaultNamespaces == nil {
			opts.DefaultNamespaces = map[string]cache.Config{}
		}
		opts.DefaultNamespaces[ns] = cache.Config{}
	}
	return opts
}

// ownObjects selects by the label by which a cluster's objects are listed, so that cache and API server agree.
func ownObjects() labels.Selector {
	exists, err := labels.NewRequirement(resources.LabelCluster, selection.Exists, nil)
	if err != nil {
		panic(err) // the label's name is a constant
	}
	return labels.NewSelector().Add(*exists)
}

// SetupWithManager wires the reconciler of EtcdClusters to the manager.
func SetupWithManager(mgr ctrl.Manager, pool *etcd.Pool, credentials *etcd.Credentials, opts Options) error {
	observer := &observe.Observer{
		Etcd: pool, Now: time.Now, DefaultVersion: opts.DefaultVersion, Nodes: opts.Nodes, Live: mgr.GetAPIReader(),
		Credentials: credentials, Handshake: etcd.Served, ReadPeers: etcd.ReadPeers, OperatorImage: opts.OperatorImage,
		Operations: &etcd.Operations{Now: time.Now, Go: func(f func()) { go f() }, Ended: pool.Wake},
	}
	expect := act.NewExpectations(mgr.GetClient(), mgr.GetAPIReader(), time.Now)
	r := &EtcdClusterReconciler{
		Client: mgr.GetClient(), Etcd: pool, Observer: observer, Expect: expect,
		Executor: &act.Executor{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Etcd: pool, Observer: observer, Expect: expect,
			Operations: observer.Operations, NewToken: uuid.NewString,
		},
		Events:  mgr.GetEventRecorder("quorate"),
		Metrics: NewMetrics(metrics.Registry),
	}
	changes := connectionChanges{pool: pool, out: make(chan event.GenericEvent)}
	if err := mgr.Add(changes); err != nil {
		return fmt.Errorf("watch the connections to etcd: %w", err)
	}
	byLabel := handler.EnqueueRequestsFromMapFunc(clusterOfLabel)
	b := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.EtcdCluster{}, builder.WithPredicates(specOrAcknowledgement())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: opts.Workers, ReconciliationTimeout: reconcileTimeout, LogConstructor: logFor(mgr),
			RateLimiter: rateLimiter(),
		}).
		WatchesRawSource(source.Channel(changes.out, &handler.EnqueueRequestForObject{}))
	for _, obj := range []client.Object{
		&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &corev1.Service{}, &corev1.ConfigMap{}, &corev1.Secret{},
		&policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{},
	} {
		b = b.Watches(obj, byLabel)
	}
	if opts.Nodes {
		b = b.Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(clustersOnNode(mgr.GetClient())),
			builder.WithPredicates(nodeChanged()))
		b = b.Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(clusterOfDisk(mgr.GetClient())),
			builder.WithPredicates(diskChanged()))
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up the EtcdCluster controller: %w", err)
	}
	return nil
}

// specOrAcknowledgement drops the updates that change neither the spec nor an annotation that the operator reads.
func specOrAcknowledgement() predicate.Predicate {
	said := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		for _, name := range []string{
			v1alpha1.AnnotationClientsLoaded, v1alpha1.AnnotationReplaceMember, v1alpha1.AnnotationPreferredLeader,
		} {
			if before[name] != after[name] {
				return true
			}
		}
		return false
	}}
	return predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, said)
}

// logFor names the cluster in every line, once.
func logFor(mgr ctrl.Manager) func(*reconcile.Request) logr.Logger {
	return func(req *reconcile.Request) logr.Logger {
		if req == nil {
			return mgr.GetLogger()
		}
		return mgr.GetLogger().WithValues("cluster", req.String())
	}
}

// clusterOfLabel finds the cluster by the label, not by the owner: a retained volume has none, and an object of a
// deleted predecessor concerns the cluster that waits for its end.
func clusterOfLabel(_ context.Context, obj client.Object) []reconcile.Request {
	name := obj.GetLabels()[resources.LabelCluster]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}}}
}

// connectionChanges turns lost and new connections to members into reconciles.
type connectionChanges struct {
	pool *etcd.Pool
	out  chan event.GenericEvent
}

// Start runs until the manager stops, on the leader only: others hold no connections.
func (w connectionChanges) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, open := <-w.pool.Changed():
			if !open {
				return nil
			}
			select {
			case w.out <- event.GenericEvent{Object: clusterOfKey(key)}:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// clusterOfKey makes an object that stands for the cluster "namespace/name".
func clusterOfKey(key string) *v1alpha1.EtcdCluster {
	namespace, name, _ := strings.Cut(key, "/")
	return &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
