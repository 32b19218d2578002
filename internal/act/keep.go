package act

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// applyServices keeps the Services that are wanted and deletes the members' Services that are not.
func applyServices(ctx context.Context, w *writer, s plan.ApplyServices) error {
	desired := []*corev1.Service{resources.PeerService(w.cluster)}
	if s.Clients {
		desired = append(desired, resources.ClientService(w.cluster))
	}
	for _, slot := range s.Slots {
		desired = append(desired, resources.MemberService(w.cluster, slot))
	}
	wanted := map[string]bool{}
	var refused, waiting error // the clients' Service, as a user edited it, keeps no member from its own
	for _, d := range desired {
		wanted[d.Name] = true
		err, going := w.apply(ctx, keptService(d)), (*RefusedError)(nil)
		if errors.As(err, &going) {
			waiting = err
			continue
		}
		refused = errors.Join(refused, err)
	}
	if refused == nil {
		refused = waiting // one that is about to go must not hide what is wrong with another
	}
	if refused != nil || !s.Prune {
		return refused
	}
	var list corev1.ServiceList
	if err := w.List(ctx, &list, client.InNamespace(w.cluster.Namespace),
		client.MatchingLabels{resources.LabelCluster: w.cluster.Name}); err != nil {
		return fmt.Errorf("list the Services: %w", err)
	}
	for i := range list.Items {
		svc := &list.Items[i]
		if wanted[svc.Name] || !metav1.IsControlledBy(svc, w.cluster) || svc.DeletionTimestamp != nil {
			continue
		}
		if svc.Labels[resources.ComponentLabel] != resources.ComponentMemberService {
			continue
		}
		if err := w.remove(ctx, svc); err != nil {
			return err
		}
	}
	return nil
}

// keptService compares what the operator sets, and all of the ports. A node port that was allocated stays.
func keptService(d *corev1.Service) kept {
	seen := &corev1.Service{}
	return kept{
		desired: d, seen: seen,
		same: func() bool {
			return equality.Semantic.DeepDerivative(d.Spec, seen.Spec) && len(d.Spec.Ports) == len(seen.Spec.Ports) &&
				equality.Semantic.DeepEqual(d.Spec.Selector, seen.Spec.Selector)
		},
		mend: func() {
			nodePorts := map[string]int32{}
			for _, p := range seen.Spec.Ports {
				nodePorts[p.Name] = p.NodePort
			}
			seen.Spec.Ports = slices.Clone(d.Spec.Ports)
			for i := range seen.Spec.Ports {
				seen.Spec.Ports[i].NodePort = nodePorts[seen.Spec.Ports[i].Name]
			}
			seen.Spec.Selector, seen.Spec.Type = d.Spec.Selector, d.Spec.Type
			seen.Spec.PublishNotReadyAddresses = d.Spec.PublishNotReadyAddresses
		},
	}
}

func applyNetworkPolicy(ctx context.Context, w *writer, s plan.ApplyNetworkPolicy) error {
	seen := &networkingv1.NetworkPolicy{}
	if !s.Wanted {
		return w.removeOwn(ctx, resources.NetworkPolicyName(w.cluster.Name), seen)
	}
	d := resources.NetworkPolicy(w.cluster)
	return w.apply(ctx, kept{
		desired: d, seen: seen,
		same: func() bool { return equality.Semantic.DeepEqual(d.Spec, seen.Spec) },
		mend: func() { seen.Spec = *d.Spec.DeepCopy() },
	})
}

// removeOwn deletes an object that the cluster owns, if it is there.
func (w *writer) removeOwn(ctx context.Context, name string, seen client.Object) error {
	err := w.Get(ctx, clientKey(w.cluster.Namespace, name), seen)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read %s %s: %w", kindOf(seen), name, err)
	case !metav1.IsControlledBy(seen, w.cluster) || seen.GetDeletionTimestamp() != nil:
		return nil
	}
	return w.remove(ctx, seen)
}

// applyOwners makes the EtcdCluster own its volumes and latch, or nobody, as reclaimPolicy says. One that fails does
// not hold up the others.
func applyOwners(ctx context.Context, w *writer, c *state.Cluster, s plan.ApplyOwners) error {
	if s.Owned {
		if err := mayOwn(ctx, w); err != nil {
			return err
		}
	}
	volumes := slices.Clone(c.Leftovers.Volumes)
	for _, m := range c.Members {
		if m.Volume != nil {
			volumes = append(volumes, *m.Volume)
		}
	}
	var errs []error
	for _, v := range volumes {
		errs = append(errs, changeVolume(ctx, w, v.Name, func(claim *corev1.PersistentVolumeClaim) {
			resources.SetOwner(claim, w.cluster, s.Owned)
		}))
	}
	if c.Latch != nil {
		cm := &corev1.ConfigMap{}
		cm.Namespace, cm.Name = w.cluster.Namespace, resources.LatchName(w.cluster.Name)
		errs = append(errs, w.change(ctx, cm, c.Latch.UID, func() { resources.SetOwner(cm, w.cluster, s.Owned) }))
	}
	return errors.Join(errs...)
}

// mayOwn reads the EtcdCluster live: a reference to an owner that is gone, or no longer wants to own, would have the
// data collected.
func mayOwn(ctx context.Context, w *writer) error {
	live, err := liveOwner(ctx, w)
	if err != nil {
		return err
	}
	if !resources.OwnsData(live) {
		return fmt.Errorf("the EtcdCluster no longer owns its data: %w", errChanged)
	}
	return nil
}

// mayAdopt tells, before an object is written, that it has an owner already, or that the EtcdCluster still exists: a
// reference to one that is gone would have the object collected. An operator that has not seen yet that the EtcdCluster
// was deleted without its dependents, and created again, would lose the successor's CAs so.
func (w *writer) mayAdopt(ctx context.Context, seen client.Object) error {
	if metav1.GetControllerOf(seen) != nil {
		return nil
	}
	_, err := liveOwner(ctx, w)
	return err
}

// liveOwner is the EtcdCluster as the API server has it, if it is still the same and not being deleted.
func liveOwner(ctx context.Context, w *writer) (*v1alpha1.EtcdCluster, error) {
	var live v1alpha1.EtcdCluster
	if err := w.live.Get(ctx, w.key(), &live); err != nil {
		return nil, fmt.Errorf("read the EtcdCluster: %w", err)
	}
	if live.UID != w.cluster.UID || live.DeletionTimestamp != nil {
		return nil, fmt.Errorf("the EtcdCluster is being deleted: %w", errChanged)
	}
	return &live, nil
}
