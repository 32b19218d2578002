package observe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// takeHelper takes Pods that are no member's: those that read what a lost quorum has left. It tells whether it is one.
func takeHelper(c *state.Cluster, pod *corev1.Pod, found *objects) bool {
	component := pod.Labels[resources.ComponentLabel]
	if component != resources.ComponentInspection && component != resources.ComponentSalvage {
		return false
	}
	switch owner := controllerOf(pod); {
	case owner != "" && owner != c.Object.UID: // an orphan was left by a predecessor, as the volumes were
		foreign(c, "Pod", pod.Name, nil)
	case component == resources.ComponentInspection:
		c.Inspections = append(c.Inspections, resources.ParseInspection(pod))
		slices.SortFunc(c.Inspections, func(a, b state.Inspection) int { return cmp.Compare(a.Pod, b.Pod) })
	default:
		if found.salvages == nil {
			found.salvages = map[string]state.Salvage{}
		}
		found.salvages[pod.Name] = resources.ParseSalvage(pod)
	}
	return true
}

// readRecoveries reads the records of consents to recover.
func readRecoveries(ctx context.Context, reader client.Reader, c *state.Cluster, in []client.ListOption) error {
	var records corev1.ConfigMapList
	in = append(slices.Clone(in), client.MatchingLabels{
		resources.LabelCluster: c.Object.Name, resources.ComponentLabel: resources.ComponentRecovery,
	})
	if err := reader.List(ctx, &records, in...); err != nil {
		return fmt.Errorf("list the records of recoveries: %w", err)
	}
	for i := range records.Items {
		cm := &records.Items[i]
		r, err := resources.ParseRecovery(c.Object.Name, cm)
		owner := controllerOf(cm)
		switch {
		case err != nil:
			foreign(c, "ConfigMap", cm.Name, err)
		case owner != "" && owner != c.Object.UID, cm.DeletionTimestamp != nil:
			foreign(c, "ConfigMap", cm.Name, nil)
		default:
			c.Recoveries = append(c.Recoveries, r)
		}
	}
	slices.SortFunc(c.Recoveries, func(a, b *state.Recovery) int { return cmp.Compare(a.Object, b.Object) })
	return nil
}

// recovered gives the recoveries what belongs to them, and leaves that out of what belongs to the cluster: the volume
// of the new cluster before it has taken the lost one's place, and the volumes of the lost one after that.
func recovered(c *state.Cluster, o objects) objects {
	if c.Latch == nil {
		return o // nothing tells which of them is the cluster
	}
	for _, r := range c.Recoveries {
		name := resources.SalvageName(c.Object.Name, r.Loss.ID)
		if s, found := o.salvages[name]; found {
			r.Salvage = &s
			delete(o.salvages, name)
		}
		rest := objects{pods: o.pods, salvages: o.salvages}
		for _, v := range o.volumes {
			switch lineage := state.Lineage(v.Token); {
			case lineage == state.Lineage(c.Latch.Token):
				rest.volumes = append(rest.volumes, v)
			case lineage == state.Lineage(r.To):
				r.Volume = &v
			case lineage == state.Lineage(r.From) && !v.Retired:
				r.Former = append(r.Former, v)
			default:
				rest.volumes = append(rest.volumes, v)
			}
		}
		o = rest
	}
	for _, name := range slices.Sorted(maps.Keys(o.salvages)) {
		c.GivenUp = append(c.GivenUp, o.salvages[name])
	}
	return o
}

func controllerOf(obj client.Object) types.UID {
	if ref := metav1.GetControllerOf(obj); ref != nil {
		return ref.UID
	}
	return ""
}
