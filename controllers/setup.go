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

// reconcileTimeout bounds one reconcile, so that one sick cluster does not keep a worker: two rounds of etcd calls (an
// observation, and a live one before something irreversible) with their own deadlines fit in.
const reconcileTimeout = 45 * time.Second

// Options of the controllers.
type Options struct {
	// DefaultVersion is the etcd version of a new cluster without spec.version.
	DefaultVersion string
	// Nodes lets the operator read nodes: node failure is then taken into account.
	Nodes bool
	// Workers is how many clusters are reconciled at the same time.
	Workers int
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

// stripNode keeps of a node what the observer reads: nodes carry large image lists and change every few seconds.
func stripNode(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	slim := &corev1.Node{
		TypeMeta: node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, DeletionTimestamp: node.DeletionTimestamp,
		},
		Spec: corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable, Taints: node.Spec.Taints},
	}
	for _, cond := range node.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			slim.Status.Conditions = append(slim.Status.Conditions, corev1.NodeCondition{Type: cond.Type, Status: cond.Status})
		}
	}
	return slim, nil
}

// SetupWithManager wires the reconciler of EtcdClusters to the manager.
func SetupWithManager(mgr ctrl.Manager, pool *etcd.Pool, credentials *etcd.Credentials, opts Options) error {
	observer := &observe.Observer{
		Etcd: pool, Now: time.Now, DefaultVersion: opts.DefaultVersion, Nodes: opts.Nodes, Live: mgr.GetAPIReader(),
		Credentials: credentials, Handshake: etcd.Served,
	}
	expect := act.NewExpectations(mgr.GetClient(), mgr.GetAPIReader(), time.Now)
	r := &EtcdClusterReconciler{
		Client: mgr.GetClient(), Etcd: pool, Observer: observer, Expect: expect,
		Executor: &act.Executor{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Etcd: pool, Observer: observer, Expect: expect,
			NewToken: uuid.NewString,
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
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("set up the EtcdCluster controller: %w", err)
	}
	return nil
}

// specOrAcknowledgement drops the updates that change neither the spec nor an annotation that the operator reads.
func specOrAcknowledgement() predicate.Predicate {
	acknowledged := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationClientsLoaded] !=
			e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationClientsLoaded]
	}}
	return predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, acknowledged)
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

// clustersOnNode finds the clusters that have a Pod on the node.
func clustersOnNode(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, node client.Object) []reconcile.Request {
		var pods corev1.PodList
		if err := reader.List(ctx, &pods); err != nil {
			return nil
		}
		var requests []reconcile.Request
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName == node.GetName() {
				requests = append(requests, clusterOfLabel(ctx, &pods.Items[i])...)
			}
		}
		return requests
	}
}

// nodeChanged drops the updates of a node that change nothing that matters.
func nodeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*corev1.Node)
		after, ok2 := e.ObjectNew.(*corev1.Node)
		return !ok1 || !ok2 || observe.NodeState(before) != observe.NodeState(after)
	}}
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
