package observe

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/state"
)

// readNodes reads the nodes on which members run, or last ran. A node that does not exist is left out.
func (o *Observer) readNodes(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	c.Nodes = map[string]state.Node{}
	for _, name := range nodesOf(c) {
		if _, done := c.Nodes[name]; done || name == "" {
			continue
		}
		var node corev1.Node
		err := reader.Get(ctx, client.ObjectKey{Name: name}, &node)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read node %s: %w", name, err)
		}
		c.Nodes[name] = nodeFor(c, &node)
	}
	return nil
}

func nodesOf(c *state.Cluster) []string {
	var names []string
	for _, m := range c.Members {
		if m.Pod != nil {
			names = append(names, m.Pod.Node)
		}
		if m.Volume != nil {
			names = append(names, m.Volume.Node)
		}
	}
	for _, p := range c.Leftovers.Pods {
		names = append(names, p.Node)
	}
	return names
}

// nodeFor is what matters of a node for the members of the cluster.
func nodeFor(c *state.Cluster, node *corev1.Node) state.Node {
	n := NodeState(node)
	n.Repels = repels(c, node)
	return n
}

// NodeState is what matters of a node, whoever runs on it.
func NodeState(node *corev1.Node) state.Node {
	n := state.Node{Unschedulable: node.Spec.Unschedulable}
	for _, cond := range node.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			n.Ready = cond.Status == corev1.ConditionTrue
			if !n.Ready {
				n.NotReadySince = cond.LastTransitionTime.Time
			}
		}
	}
	for _, taint := range node.Spec.Taints {
		n.OutOfService = n.OutOfService || taint.Key == corev1.TaintNodeOutOfService
	}
	return n
}

// SlimNode is a node with what is read of it alone: nodes carry large lists of images and change every few seconds.
func SlimNode(node *corev1.Node) *corev1.Node {
	slim := &corev1.Node{
		TypeMeta: node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, DeletionTimestamp: node.DeletionTimestamp,
			Labels: node.Labels,
		},
		Spec:   corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable, Taints: node.Spec.Taints},
		Status: corev1.NodeStatus{Allocatable: node.Status.Allocatable},
	}
	for _, cond := range node.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			slim.Status.Conditions = append(slim.Status.Conditions, corev1.NodeCondition{
				Type: cond.Type, Status: cond.Status, LastTransitionTime: cond.LastTransitionTime,
			})
		}
	}
	return slim
}
