//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

func (c *cluster) service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
}

func (c *cluster) budget() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: c.key.Name}}
}

func TestDeletedServicesAndBudgetsComeBack(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	w := c.write()
	for _, obj := range []client.Object{
		c.service(resources.PeerServiceName("demo")), c.service(resources.ClientServiceName("demo")),
		c.service(resources.MemberServiceName("demo", 1)), c.budget(),
	} {
		key := client.ObjectKeyFromObject(obj)
		c.must(c.Client.Get(c.ctx, key, obj))
		old := obj.GetUID()
		c.must(c.Client.Delete(c.ctx, obj))
		c.eventually(fmt.Sprintf("waiting until %T %s is back", obj, key.Name), settle, func(ctx context.Context) string {
			if err := c.Client.Get(ctx, key, obj); err != nil {
				return err.Error()
			}
			if obj.GetUID() == old {
				return "the deleted one is still there"
			}
			return ""
		})
	}
	c.ready()
	c.isProtectedFromEvictions(2)
	c.answersAtEndpoints(3)
	w.nothingLost()
}

func TestEditedServicesAndBudgetsAreRepaired(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	clients := c.service(resources.ClientServiceName("demo"))
	c.must(c.Edit(c.ctx, clients, func() {
		clients.Spec.Selector[resources.LabelRole] = "nobody"
		clients.Spec.Ports[0].Port = 4001
	}))
	peers := c.service(resources.PeerServiceName("demo"))
	c.must(c.Edit(c.ctx, peers, func() { peers.Spec.PublishNotReadyAddresses = false }))
	budget := c.budget()
	c.must(c.Edit(c.ctx, budget, func() { budget.Spec.MinAvailable = ptr.To(intstr.FromInt32(0)) }))

	c.eventually("waiting until the Services are repaired", settle, func(ctx context.Context) string {
		for _, svc := range []*corev1.Service{clients, peers} {
			if err := c.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
				return err.Error()
			}
		}
		if role := clients.Spec.Selector[resources.LabelRole]; role != resources.RoleVoter {
			return fmt.Sprintf("%s selects the role %q, want %q", clients.Name, role, resources.RoleVoter)
		}
		if len(clients.Spec.Ports) != 1 || clients.Spec.Ports[0].Port != resources.ClientPort {
			return fmt.Sprintf("%s has the ports %v, want only %d", clients.Name, clients.Spec.Ports, resources.ClientPort)
		}
		if !peers.Spec.PublishNotReadyAddresses {
			return peers.Name + " does not publish addresses of members that are not ready"
		}
		return ""
	})
	c.isProtectedFromEvictions(2)
	c.answersAtEndpoints(3)
}

func TestTheClientServiceFollowsTheSpec(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	const ours, theirs = "example.com/of-the-spec", "example.com/of-somebody-else"
	svc := c.service(resources.ClientServiceName("demo"))
	c.must(c.Edit(c.ctx, svc, func() { metav1.SetMetaDataAnnotation(&svc.ObjectMeta, theirs, "stays") }))
	follows := func(what string, annotation string, kind corev1.ServiceType) {
		t.Helper()
		c.eventually(what, settle, func(ctx context.Context) string {
			if err := c.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
				return err.Error()
			}
			if svc.Annotations[ours] != annotation || svc.Spec.Type != kind || svc.Annotations[theirs] != "stays" {
				return fmt.Sprintf("type %s and annotations %v, want type %s, %s=%q and %s=stays", svc.Spec.Type,
					svc.Annotations, kind, ours, annotation, theirs)
			}
			return ""
		})
	}
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.ClientService = &v1alpha1.ClientServiceSpec{
			Type: ptr.To(corev1.ServiceTypeNodePort), Annotations: map[string]string{ours: "set"},
		}
	})
	follows("waiting until type and annotation are added", "set", corev1.ServiceTypeNodePort)
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.ClientService = nil })
	follows("waiting until type and annotation are removed", "", corev1.ServiceTypeClusterIP)
	c.ready()
}

func TestObjectsOfOthersAreReportedAndNeverOverwritten(t *testing.T) {
	t.Parallel()
	foreign := map[string]string{"app": "of-somebody-else"}
	tests := map[string]func(namespace string) client.Object{
		"the Service of the peers": func(ns string) client.Object {
			return &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: resources.PeerServiceName("demo"), Labels: foreign},
				Spec:       corev1.ServiceSpec{Selector: foreign, Ports: []corev1.ServicePort{{Port: 80}}},
			}
		},
		"the ConfigMap that records the bootstrap": func(ns string) client.Object {
			return &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: resources.LatchName("demo"), Labels: foreign},
				Data:       map[string]string{"key": "value"},
			}
		},
		"the Service of a member": func(ns string) client.Object {
			return &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: resources.MemberServiceName("demo", 0), Labels: foreign},
				Spec:       corev1.ServiceSpec{Selector: foreign, Ports: []corev1.ServicePort{{Port: 80}}},
			}
		},
		"a Pod of a member's name": func(ns string) client.Object {
			return &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: resources.MemberName("demo", 0), Labels: foreign},
				Spec: corev1.PodSpec{
					NodeSelector: unschedulable,
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532),
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					Containers: []corev1.Container{{
						Name: "app", Image: "localhost:1/app",
						SecurityContext: &corev1.SecurityContext{
							AllowPrivilegeEscalation: ptr.To(false),
							Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
						},
					}},
				},
			}
		},
		"a disruption budget of the cluster's name": func(ns string) client.Object {
			return &policyv1.PodDisruptionBudget{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: resources.DisruptionBudgetName("demo"), Labels: foreign},
				Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1))},
			}
		},
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			obj := object(w.namespace)
			w.must(w.Client.Create(w.ctx, obj))
			created := obj.GetUID()
			c := w.create("demo", spec(3))
			c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOwnershipConflict)
			c.event(v1alpha1.ReasonOwnershipConflict)
			w.must(w.Client.Get(w.ctx, client.ObjectKeyFromObject(obj), obj))
			if obj.GetUID() != created || len(obj.GetOwnerReferences()) > 0 || !maps.Equal(obj.GetLabels(), foreign) {
				t.Errorf("%T %s was taken over: %v", obj, obj.GetName(), obj)
			}
			w.must(w.Client.Delete(w.ctx, obj, client.GracePeriodSeconds(0)))
			c.ready()
			c.holds(c.fill())
		})
	}
}
