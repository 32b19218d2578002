package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/resources"
)

// stripNode keeps of a node what the observer reads.
func stripNode(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	return observe.SlimNode(node), nil
}

// stripDisk keeps of a PersistentVolume what the observer reads.
func stripDisk(obj any) (any, error) {
	pv, ok := obj.(*corev1.PersistentVolume)
	if !ok {
		return obj, nil
	}
	return &corev1.PersistentVolume{
		TypeMeta: pv.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: pv.Name, UID: pv.UID, ResourceVersion: pv.ResourceVersion, DeletionTimestamp: pv.DeletionTimestamp,
		},
		Spec: corev1.PersistentVolumeSpec{NodeAffinity: pv.Spec.NodeAffinity, ClaimRef: pv.Spec.ClaimRef},
	}, nil
}

// clustersOnNode finds the clusters that have a Pod on the node, or a volume whose last Pod ran there.
func clustersOnNode(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, node client.Object) []reconcile.Request {
		var requests []reconcile.Request
		var pods corev1.PodList
		if err := reader.List(ctx, &pods); err != nil {
			return nil
		}
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName == node.GetName() {
				requests = append(requests, clusterOfLabel(ctx, &pods.Items[i])...)
			}
		}
		var claims corev1.PersistentVolumeClaimList
		if err := reader.List(ctx, &claims); err != nil {
			return requests
		}
		for i := range claims.Items {
			if claims.Items[i].Annotations[resources.AnnotationNode] == node.GetName() {
				requests = append(requests, clusterOfLabel(ctx, &claims.Items[i])...)
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

// clusterOfDisk finds the cluster of the claim that a PersistentVolume is bound to.
func clusterOfDisk(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		pv, ok := obj.(*corev1.PersistentVolume)
		if !ok || pv.Spec.ClaimRef == nil {
			return nil
		}
		var claim corev1.PersistentVolumeClaim
		key := client.ObjectKey{Namespace: pv.Spec.ClaimRef.Namespace, Name: pv.Spec.ClaimRef.Name}
		if err := reader.Get(ctx, key, &claim); err != nil {
			return nil // not a claim of ours, which are all that is cached
		}
		return clusterOfLabel(ctx, &claim)
	}
}

// diskChanged drops all updates of a PersistentVolume but the beginning of its deletion; claims tell the rest.
func diskChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
	}
}
