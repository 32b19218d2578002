package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestServiceObjects(t *testing.T) {
	golden(t, "service-peers", PeerService(cluster()))
	golden(t, "service-client-default", ClientService(cluster()))
	golden(t, "service-client-load-balancer", ClientService(cluster(func(c *v1alpha1.EtcdCluster) {
		c.Spec.ClientService = &v1alpha1.ClientServiceSpec{
			Type:              new(corev1.ServiceTypeLoadBalancer),
			Labels:            map[string]string{"team": "a"},
			Annotations:       map[string]string{"cloud.example/internal": "true"},
			LoadBalancerClass: new("cloud.example/l4"),
		}
	})))
	golden(t, "service-member", MemberService(cluster(), 1))
	golden(t, "disruption-budget", DisruptionBudget(cluster(), 2))
}

func TestWhoIsSelected(t *testing.T) {
	pod := func(c *v1alpha1.EtcdCluster, slot int, voter bool) labels.Set {
		return Pod(c, bootstrapped(c, slot, "3.6.16"), state.Start{InitialCluster: "list", Voter: voter}).Labels
	}
	c := cluster()
	prefixed := cluster(func(c *v1alpha1.EtcdCluster) { c.Name = "demo-1" })
	candidates := map[string]labels.Set{
		"voter 0":           pod(c, 0, true),
		"voter 1":           pod(c, 1, true),
		"learner 2":         pod(c, 2, false),
		"voter of demo-1":   pod(prefixed, 1, true),
		"learner of demo-1": pod(prefixed, 0, false),
	}
	pdb, err := metav1.LabelSelectorAsSelector(DisruptionBudget(c, 2).Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	of := func(s *corev1.Service) labels.Selector { return labels.Set(s.Spec.Selector).AsSelector() }
	for name, tc := range map[string]struct {
		selector labels.Selector
		want     []string
	}{
		"Selector":             {Selector("demo").AsSelector(), []string{"voter 0", "voter 1", "learner 2"}},
		"peer Service":         {of(PeerService(c)), []string{"voter 0", "voter 1", "learner 2"}},
		"client Service":       {of(ClientService(c)), []string{"voter 0", "voter 1"}},
		"member Service 1":     {of(MemberService(c, 1)), []string{"voter 1"}},
		"member Service 2":     {of(MemberService(c, 2)), nil},
		"disruption budget":    {pdb, []string{"voter 0", "voter 1"}},
		"Selector of demo-1":   {Selector("demo-1").AsSelector(), []string{"voter of demo-1", "learner of demo-1"}},
		"client Svc of demo-1": {of(ClientService(prefixed)), []string{"voter of demo-1"}},
	} {
		wanted := map[string]bool{}
		for _, w := range tc.want {
			wanted[w] = true
		}
		for candidate, set := range candidates {
			if got := tc.selector.Matches(set); got != wanted[candidate] {
				t.Errorf("%s selects %s: %t, want %t", name, candidate, got, wanted[candidate])
			}
		}
	}
}

func TestNoTwoClustersOfANamespaceShareAnObjectName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"demo", "demo-0", "demo-1", "demo-0-0", "demo-client", "demo-peers", "demo-latch", "client",
	} {
		c := cluster(func(c *v1alpha1.EtcdCluster) { c.Name = name })
		names := map[string]string{
			"Service " + PeerServiceName(name):                      "peers",
			"Service " + ClientServiceName(name):                    "client",
			"ConfigMap " + LatchName(name):                          "latch",
			"PodDisruptionBudget " + DisruptionBudgetName(name):     "budget",
			"Pod " + MemberName(name, 0):                            "Pod 0",
			"Pod " + MemberName(name, 1):                            "Pod 1",
			"Service " + MemberServiceName(name, 0):                 "Service 0",
			"Service " + MemberServiceName(name, 1):                 "Service 1",
			"Claim " + VolumeName(name, 0, 1):                       "claim 0",
			"Claim " + Volume(c, bootstrapped(c, 1, "3.6.16")).Name: "claim 1",
		}
		for key, what := range names {
			if other, taken := seen[key]; taken {
				t.Errorf("%s is both %s of %s and %s", key, what, name, other)
			}
			seen[key] = what + " of " + name
		}
	}
}

func TestServicesAndBudgetAreOwnedWhateverTheReclaimPolicy(t *testing.T) {
	c := cluster(reclaim(v1alpha1.ReclaimRetain))
	for _, obj := range []metav1.Object{PeerService(c), ClientService(c), MemberService(c, 0), DisruptionBudget(c, 2)} {
		if owner := metav1.GetControllerOf(obj); owner == nil || owner.UID != testUID {
			t.Errorf("%s has the owners %v", obj.GetName(), obj.GetOwnerReferences())
		}
	}
}
