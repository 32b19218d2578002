package observe

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// readRoom looks, for members that are to have more than they have, or whose node can never give them the cpu and
// memory that the spec asks for, whether any node could that may run the Pod: only then is it of use to create it anew.
func (o *Observer) readRoom(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var nodes []corev1.Node
	for i := range c.Members {
		m := &c.Members[i]
		if m.Pod == nil || !m.Pod.Resize.Infeasible && !m.Pod.Resize.TooLarge && !asksForMore(c, m.Pod) {
			continue
		}
		if nodes == nil {
			var err error
			if nodes, err = o.listNodes(ctx, reader, c); err != nil {
				return err
			}
		}
		admitted, err := admitting(ctx, reader, c, m, nodes)
		if err != nil {
			return err
		}
		wanted := resources.Requests(c.Object)
		m.Pod.Resize.Room = slices.ContainsFunc(admitted, func(n corev1.Node) bool { return has(n, wanted) })
	}
	return nil
}

func asksForMore(c *state.Cluster, p *state.Pod) bool {
	return resources.Compare(p.Applied, resources.Applied(c.Object, p.Version)).More
}

// admitting are the nodes that are open for new Pods, and to which the member's volume can be attached, and that the
// spec admits.
func admitting(
	ctx context.Context, reader client.Reader, c *state.Cluster, m *state.Member, nodes []corev1.Node,
) ([]corev1.Node, error) {
	// A claim that is not bound yet can be wherever the Pod will.
	var hosts []string
	bound := m.Volume != nil && m.Volume.PersistentVolume != ""
	if bound {
		pv, err := boundDisk(ctx, reader, m.Volume)
		if err != nil || pv == nil {
			return nil, err
		}
		var disk state.Disk
		if err := findHosts(pv, nodes, &disk); err != nil {
			return nil, err
		}
		hosts = disk.Hosts
	}
	required := nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{})
	if t := c.Object.Spec.PodTemplate; t != nil && t.Spec != nil {
		required = nodeaffinity.NewRequiredNodeAffinity(t.Spec.NodeSelector, t.Spec.Affinity)
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n corev1.Node) bool {
		fits, err := required.Match(&n)
		s := c.Nodes[n.Name]
		open := s.Ready && !s.Unschedulable && !s.Repels
		return err != nil || !fits || !open || bound && !slices.Contains(hosts, n.Name)
	}), nil
}

// has tells that the node gives Pods as much of everything, all of them together.
func has(n corev1.Node, wanted corev1.ResourceList) bool {
	for name, quantity := range wanted {
		if allocatable := n.Status.Allocatable[name]; allocatable.Cmp(quantity) < 0 {
			return false
		}
	}
	return true
}
