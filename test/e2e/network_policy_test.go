//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// TestANetworkPolicyIsKeptAsTheSpecAsks looks at the object only: the network of the local Kubernetes enforces none.
func TestANetworkPolicyIsKeptAsTheSpecAsks(t *testing.T) {
	t.Parallel()
	clients := networkingv1.NetworkPolicyPeer{
		PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}},
	}
	c := newWorld(t).create("demo", spec(1, func(s *v1alpha1.EtcdClusterSpec) {
		s.NetworkPolicy = &v1alpha1.NetworkPolicySpec{Clients: []networkingv1.NetworkPolicyPeer{clients}}
	}))
	c.ready()
	policy := c.networkPolicy()
	c.must(c.Client.Get(c.ctx, client.ObjectKeyFromObject(policy), policy))
	if got := ingressPorts(policy); got != "2380 for 2, 2379 for 3, 2381 for 1" {
		t.Errorf("it lets in to %s, want 2380 for 2 (members, operator), 2379 for 3 (also clients), 2381 for 1 (operator)", got)
	}

	c.must(c.Edit(c.ctx, policy, func() { policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }))
	c.eventually("waiting until a policy that somebody opened is mended", settle, func(ctx context.Context) string {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
			return err.Error()
		}
		if got := ingressPorts(policy); got != "2380 for 2, 2379 for 3, 2381 for 1" {
			return "it lets in to " + got
		}
		return ""
	})

	old := policy.GetUID()
	c.must(c.Client.Delete(c.ctx, policy))
	c.eventually("waiting until a deleted policy is back", settle, func(ctx context.Context) string {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
			return err.Error()
		}
		if policy.GetUID() == old {
			return "the deleted one is still there"
		}
		return ""
	})

	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.NetworkPolicy = nil })
	ctx, cancel := c.within(settle)
	defer cancel()
	c.must(c.AwaitGone(ctx, c.networkPolicy()))
	c.ready()
}

func (c *cluster) networkPolicy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.namespace, Name: resources.NetworkPolicyName(c.key.Name),
	}}
}

// ingressPorts tells to how many peers each port is open; an open rule has neither.
func ingressPorts(p *networkingv1.NetworkPolicy) string {
	out := ""
	for i, rule := range p.Spec.Ingress {
		if i > 0 {
			out += ", "
		}
		port := "all ports"
		if len(rule.Ports) == 1 && rule.Ports[0].Port != nil {
			port = rule.Ports[0].Port.String()
		}
		out += fmt.Sprintf("%s for %d", port, len(rule.From))
	}
	return out
}
