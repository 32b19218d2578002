package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
)

// awayFrom chooses a follower on another node than the operator's, which is to see the loss and not to be lost itself.
func awayFrom(node string, followers []member) (member, error) {
	for _, m := range followers {
		if m.pod.Spec.NodeName != node {
			return m, nil
		}
	}
	return member{}, fmt.Errorf("all %d followers run on %s, the operator's node", len(followers), node)
}

// lose takes the Pod's node away for good, as when a machine breaks and a cloud's controller deletes its Node.
// Kubernetes must have noticed before: what became of a Pod that is still called ready, nobody knows. It returns when
// the Node was gone.
func (s *stage) lose(ctx context.Context, pod *corev1.Pod) (time.Time, error) {
	node := pod.Spec.NodeName
	if err := s.env.Node(ctx, "kill", node); err != nil {
		return time.Time{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := framework.Eventually(waiting, func(ctx context.Context) string {
		var now corev1.Pod
		switch err := s.env.Client.Get(ctx, client.ObjectKeyFromObject(pod), &now); {
		case err != nil:
			return err.Error()
		case framework.PodReady(&now):
			return "Pod " + pod.Name + " is still ready by its last status"
		default:
			return ""
		}
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("lose %s: %w", node, err)
	}
	at := time.Now()
	if err := s.env.Client.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}); err != nil {
		return time.Time{}, fmt.Errorf("lose %s: %w", node, err)
	}
	return at, nil
}

// bringBack boots the node and waits until it can run Pods again, also when ctx was cancelled.
func bringBack(ctx context.Context, e *framework.Environment, node string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := e.Node(ctx, "start", node)
	if err == nil {
		err = framework.Eventually(ctx, func(ctx context.Context) string { return notBack(ctx, e, node) })
	}
	if err != nil {
		return fmt.Errorf("bring %s back (\"make kube-down kube-up\" starts afresh): %w", node, err)
	}
	return nil
}

// notBack says what the node lacks to run Pods: to be ready, and DNS, which each node has of its own.
func notBack(ctx context.Context, e *framework.Environment, node string) string {
	var n corev1.Node
	if err := e.Client.Get(ctx, client.ObjectKey{Name: node}, &n); err != nil {
		return err.Error()
	}
	if !nodeReady(&n) || len(n.Spec.Taints) > 0 {
		return "it is not ready"
	}
	var dns corev1.PodList
	err := e.Client.List(ctx, &dns, client.InNamespace(metav1.NamespaceSystem),
		client.MatchingLabels{"k8s-app": "kube-dns"})
	if err != nil {
		return err.Error()
	}
	for _, p := range dns.Items {
		if p.Spec.NodeName == node && running(&p) && ready(&p) {
			return ""
		}
	}
	return "its DNS is not ready"
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
