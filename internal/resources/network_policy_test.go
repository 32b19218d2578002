package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// peersOf selects Pods with the label app, in the cluster's namespace.
func peersOf(apps ...string) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, app := range apps {
		peers = append(peers, networkingv1.NetworkPolicyPeer{
			PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		})
	}
	return peers
}

func networkPolicy(clients, monitoring []networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicy {
	return NetworkPolicy(cluster(func(c *v1alpha1.EtcdCluster) {
		c.Spec.NetworkPolicy = &v1alpha1.NetworkPolicySpec{Clients: clients, Monitoring: monitoring}
	}))
}

func TestNetworkPolicyObjects(t *testing.T) {
	golden(t, "network-policy-closed", networkPolicy(nil, nil))
	golden(t, "network-policy-open-to-some", networkPolicy(peersOf("shop", "audit"), []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "monitoring"}},
	}}))
}

func TestWhoMayReachMembers(t *testing.T) {
	const members, operator = "members", "operator"
	for name, tc := range map[string]struct {
		clients, monitoring []networkingv1.NetworkPolicyPeer
		want                map[int32][]string
	}{
		"nobody is named: members and the operator only": {
			want: map[int32][]string{PeerPort: {members, operator}, ClientPort: {members, operator}, MetricsPort: {operator}},
		},
		"empty lists are the same as none": {
			clients: []networkingv1.NetworkPolicyPeer{}, monitoring: []networkingv1.NetworkPolicyPeer{},
			want: map[int32][]string{PeerPort: {members, operator}, ClientPort: {members, operator}, MetricsPort: {operator}},
		},
		"clients reach the port of clients only": {
			clients: peersOf("shop", "audit"),
			want: map[int32][]string{
				PeerPort: {members, operator}, ClientPort: {members, operator, "shop", "audit"}, MetricsPort: {operator},
			},
		},
		"who monitors reaches the port of metrics only": {
			monitoring: peersOf("prometheus"),
			want: map[int32][]string{
				PeerPort: {members, operator}, ClientPort: {members, operator}, MetricsPort: {operator, "prometheus"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := networkPolicy(tc.clients, tc.monitoring)
			got := map[int32][]string{}
			for _, rule := range policy.Spec.Ingress {
				// In a NetworkPolicy, a rule without peers lets everybody in, and one without ports opens all of them.
				if len(rule.From) == 0 || len(rule.Ports) == 0 {
					t.Errorf("a rule is open to everybody or for all ports: %+v", rule)
				}
				for _, port := range rule.Ports {
					got[port.Port.IntVal] = append(got[port.Port.IntVal], peerNames(rule.From)...)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("who reaches which port (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, policy.Spec.PolicyTypes); diff != "" {
				t.Errorf("policy types (-want +got):\n%s", diff)
			}
		})
	}
}

// peerNames names members, operator, and others by their label app.
func peerNames(peers []networkingv1.NetworkPolicyPeer) []string {
	var names []string
	for _, p := range peers {
		switch of := p.PodSelector.MatchLabels; {
		case of[LabelCluster] == "demo" && p.NamespaceSelector == nil:
			names = append(names, "members")
		case of[ComponentLabel] == operatorComponent && p.NamespaceSelector != nil:
			names = append(names, "operator")
		default:
			names = append(names, of["app"])
		}
	}
	return names
}

func TestANetworkPolicyConcernsTheMembersOfItsClusterOnly(t *testing.T) {
	selector, err := metav1.LabelSelectorAsSelector(&networkPolicy(nil, nil).Spec.PodSelector)
	if err != nil {
		t.Fatal(err)
	}
	other := cluster(func(c *v1alpha1.EtcdCluster) { c.Name = "demo-1" })
	for _, tc := range []struct {
		what    string
		cluster *v1alpha1.EtcdCluster
		voter   bool
		want    bool
	}{
		{"a voter", cluster(), true, true},
		{"a learner", cluster(), false, true},
		{"a voter of demo-1", other, true, false},
	} {
		pod := Pod(tc.cluster, bootstrapped(tc.cluster, 0, "3.6.16"), state.Start{InitialCluster: "list", Voter: tc.voter})
		if got := selector.Matches(labels.Set(pod.Labels)); got != tc.want {
			t.Errorf("the policy of demo concerns %s: %t, want %t", tc.what, got, tc.want)
		}
	}
}
