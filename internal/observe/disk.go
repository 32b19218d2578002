package observe

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// readDisks reads the PersistentVolumes of the members, and, for those that are not healthy or whose node is gone, the
// nodes to which they can be attached; for all members where the spec limits the nodes.
func (o *Observer) readDisks(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var nodes []corev1.Node
	for i := range c.Members {
		m := &c.Members[i]
		if m.Volume == nil || m.Volume.PersistentVolume == "" {
			continue
		}
		pv, err := o.readDisk(ctx, reader, m.Volume)
		if err != nil {
			return err
		}
		if pv == nil || m.Health == state.Healthy && !onMissingNode(c, m) && !limitsNodes(c.Object) {
			continue
		}
		if nodes == nil {
			if nodes, err = o.listNodes(ctx, reader, c); err != nil {
				return err
			}
		}
		if err := findHosts(pv, nodes, m.Volume.Disk); err != nil {
			return fmt.Errorf("volume %s of claim %s: %w", pv.Name, m.Volume.Name, err)
		}
		m.Volume.Disk.Unfit = unfit(c.Object, nodes, m.Volume.Disk.Hosts)
	}
	return nil
}

func onMissingNode(c *state.Cluster, m *state.Member) bool {
	if m.Pod == nil || m.Pod.Node == "" {
		return false
	}
	_, exists := c.Nodes[m.Pod.Node]
	return !exists
}

// readDisk reads a PersistentVolume; nil when it is gone, or is another one of the same name. What seems to be gone is
// looked for live: the cache may show that a claim is bound before it shows its PersistentVolume.
func (o *Observer) readDisk(
	ctx context.Context, reader client.Reader, v *state.Volume,
) (*corev1.PersistentVolume, error) {
	pv, err := boundDisk(ctx, reader, v)
	if err == nil && pv == nil {
		pv, err = boundDisk(ctx, o.Live, v)
	}
	if err != nil {
		return nil, err
	}
	v.Disk = &state.Disk{Gone: pv == nil, Terminating: pv != nil && pv.DeletionTimestamp != nil}
	return pv, nil
}

// boundDisk is the claim's PersistentVolume; nil when there is none.
func boundDisk(ctx context.Context, reader client.Reader, v *state.Volume) (*corev1.PersistentVolume, error) {
	var pv corev1.PersistentVolume
	err := reader.Get(ctx, client.ObjectKey{Name: v.PersistentVolume}, &pv)
	switch ref := pv.Spec.ClaimRef; {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // no volume is an answer
	case err != nil:
		return nil, fmt.Errorf("read volume %s: %w", v.PersistentVolume, err)
	case ref != nil && ref.UID != "" && ref.UID != v.UID:
		return nil, nil //nolint:nilnil // it is another one of the name
	}
	return &pv, nil
}

// nodePage is how many nodes are read live at once: each comes with all its images.
const nodePage = 250

// listNodes lists all nodes, and adds them to those that are known.
func (o *Observer) listNodes(ctx context.Context, reader client.Reader, c *state.Cluster) ([]corev1.Node, error) {
	var nodes []corev1.Node
	opts := client.ListOptions{}
	live := reader == o.Live // a cache has all at once, and knows no pages
	if live {
		opts.Limit = nodePage
	}
	for {
		var list corev1.NodeList
		if err := reader.List(ctx, &list, &opts); err != nil {
			return nil, fmt.Errorf("list the nodes: %w", err)
		}
		for i := range list.Items {
			node := SlimNode(&list.Items[i])
			c.Nodes[node.Name] = nodeFor(c, node)
			nodes = append(nodes, *node)
		}
		if opts.Continue = list.Continue; !live || opts.Continue == "" {
			return nodes, nil
		}
	}
}

// findHosts finds the nodes that the volume's affinity admits, as the scheduler does.
func findHosts(pv *corev1.PersistentVolume, nodes []corev1.Node, into *state.Disk) error {
	into.Searched = true
	for i := range nodes {
		if affinity := pv.Spec.NodeAffinity; affinity != nil && affinity.Required != nil {
			matches, err := nodeaffinity.NewLazyErrorNodeSelector(affinity.Required).Match(&nodes[i])
			if err != nil {
				return fmt.Errorf("its node affinity: %w", err)
			}
			if !matches {
				continue
			}
		}
		into.Hosts = append(into.Hosts, nodes[i].Name)
	}
	slices.Sort(into.Hosts)
	return nil
}

// readMemberServices reads for which slots clients find a Service.
func readMemberServices(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var services corev1.ServiceList
	err := reader.List(ctx, &services, client.InNamespace(c.Object.Namespace), client.MatchingLabels{
		resources.LabelCluster: c.Object.Name, resources.ComponentLabel: resources.ComponentMemberService,
	})
	if err != nil {
		return fmt.Errorf("list the Services: %w", err)
	}
	for i := range services.Items {
		slot, ok := resources.ParseSlot(c.Object.Name, services.Items[i].Name)
		if ok && services.Items[i].DeletionTimestamp == nil {
			c.MemberServices = append(c.MemberServices, slot)
		}
	}
	slices.Sort(c.MemberServices)
	return nil
}
