package resources

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
)

func TestRequestObjects(t *testing.T) {
	requests := map[state.CertificateName]pki.Request{}
	for _, name := range state.CertificateNames() {
		requests[name] = CertificateRequest(cluster(), name, nil, 0)
	}
	golden(t, "certificate-requests", requests)
}

func TestCertificateRequest(t *testing.T) {
	given := func(sans ...string) *v1alpha1.EtcdCluster {
		return cluster(tlsGiven(func(s *v1alpha1.TLSSpec) { s.ExtraSANs = sans }))
	}
	server := func(c *v1alpha1.EtcdCluster, highest int, addresses ...string) pki.Request {
		return CertificateRequest(c, state.ServerCertificate, addresses, highest)
	}
	for name, tc := range map[string]struct {
		request  pki.Request
		has, not []string
	}{
		"a member is served under its own name in every form": {
			server(cluster(), 0), []string{"demo-0", "demo-0.shop", "demo-0.shop.svc", "demo-0.shop.svc.cluster.local"}, nil,
		},
		"slots that a cluster of seven will use are there before they are": {
			server(cluster(), 0), []string{"demo-7.shop.svc"}, []string{"demo-8.shop.svc"},
		},
		"a slot beyond the usual ones is added with its member": {
			server(cluster(), 11), []string{"demo-8.shop.svc", "demo-11.shop.svc"}, []string{"demo-12.shop.svc"},
		},
		"names of the spec are DNS names": {
			server(given("etcd.example.com", "*.etcd.example.com"), 0), []string{"etcd.example.com", "*.etcd.example.com"}, nil,
		},
		"addresses of the spec are addresses, in their shortest form": {
			server(given("192.0.2.1", "2001:DB8:0::1"), 0), []string{"192.0.2.1", "2001:db8::1"}, []string{"2001:DB8:0::1"},
		},
		"a load balancer is reached by its name and its address": {
			server(cluster(), 0, "lb.example.com", "198.51.100.1"), []string{"lb.example.com", "198.51.100.1"}, nil,
		},
		"peers are not reached through the names of clients": {
			CertificateRequest(given("etcd.example.com"), state.PeerCertificate, []string{"198.51.100.1"}, 0),
			[]string{"*.demo-peers.shop.svc"}, []string{"etcd.example.com", "198.51.100.1", "demo-0.shop.svc", "localhost"},
		},
		"clients have no names": {
			CertificateRequest(given("etcd.example.com"), state.ClientCertificate, []string{"198.51.100.1"}, 0),
			nil, []string{"etcd.example.com", "198.51.100.1", "localhost"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := slices.Concat(tc.request.DNSNames, tc.request.IPs)
			for _, want := range tc.has {
				if !slices.Contains(all, want) {
					t.Errorf("%s is not in %q", want, all)
				}
			}
			for _, unwanted := range tc.not {
				if slices.Contains(all, unwanted) {
					t.Errorf("%s is in %q", unwanted, all)
				}
			}
			for _, ip := range tc.request.DNSNames {
				if strings.Trim(ip, "0123456789.:") == "" {
					t.Errorf("the address %s is taken for a DNS name", ip)
				}
			}
		})
	}
}

// A request must not depend on the order in which something was listed: it decides on a renewal.
func TestARequestIsTheSameInEveryOrder(t *testing.T) {
	one := cluster(tlsGiven(func(s *v1alpha1.TLSSpec) { s.ExtraSANs = []string{"b.example", "a.example", "192.0.2.2"} }))
	two := cluster(tlsGiven(func(s *v1alpha1.TLSSpec) {
		s.ExtraSANs = []string{"192.0.2.2", "a.example", "b.example", "localhost", "192.0.2.1"}
	}))
	first := CertificateRequest(one, state.ServerCertificate, []string{"192.0.2.1", "192.0.2.2"}, 2)
	second := CertificateRequest(two, state.ServerCertificate, nil, 5)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("equal sets give different requests (-first +second):\n%s", diff)
	}
}

// What certificates are for, shown by certificates: names that clients use are matched, others are not.
func TestTheServerCertificateIsGoodForEveryWayToAMember(t *testing.T) {
	c := cluster(tlsGiven(func(s *v1alpha1.TLSSpec) { s.ExtraSANs = []string{"etcd.example.com", "192.0.2.1"} }))
	request := CertificateRequest(c, state.ServerCertificate, []string{"198.51.100.7"}, 0)
	cert := pkitest.Certificate(t, pkitest.Issue(t, pkitest.CA(t, "demo client", now), request, now))
	hosts := []string{
		"localhost", "127.0.0.1", "::1", "demo-client", "demo-client.shop.svc", "demo-client.shop.svc.cluster.local",
		"etcd.example.com", "192.0.2.1", "198.51.100.7",
	}
	for slot := range 7 {
		host, _, _ := strings.Cut(strings.TrimPrefix(ClientURL(c, slot), "https://"), ":")
		hosts = append(hosts, host, PeerHost(c.Namespace, c.Name, slot))
	}
	for _, host := range hosts {
		if err := cert.VerifyHostname(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{
		"demo-0.other.svc", "other-0.shop.svc", "demo-0.other-peers.shop.svc", "shop.svc", "192.0.2.2", "example.com",
	} {
		if cert.VerifyHostname(host) == nil {
			t.Errorf("the certificate is good for %s, which is somebody else", host)
		}
	}
}

func TestRequestsOfTheLongestNamesCanBeIssued(t *testing.T) {
	c := cluster(func(c *v1alpha1.EtcdCluster) {
		c.Name, c.Namespace = strings.Repeat("c", 45), strings.Repeat("n", 63)
	})
	ca := pkitest.CA(t, c.Name+" peer", now)
	for _, name := range state.CertificateNames() {
		pkitest.Issue(t, ca, CertificateRequest(c, name, nil, 99), now)
	}
}

func TestThePeersCommonName(t *testing.T) {
	of := func(namespace, name string, uid types.UID) string {
		return PeerCommonName(&v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid}})
	}
	same := of("shop", "demo", "a")
	if again := of("shop", "demo", "b"); again != same {
		t.Errorf("a re-created cluster demands %s of members that have %s", again, same)
	}
	for _, other := range []string{of("shop", "demo2", "a"), of("shop2", "demo", "a"), of("shopd", "emo", "a")} {
		if other == same {
			t.Errorf("another cluster has the common name %s as well", same)
		}
	}
}

func TestWhatTheModeDecides(t *testing.T) {
	type decided struct {
		speaksTLS, hasSource bool
		demandsName          bool
		sources              [4]string // of peer, server, client, operator
	}
	for mode, want := range map[v1alpha1.TLSMode]decided{
		v1alpha1.TLSManaged:  {speaksTLS: true, demandsName: true},
		v1alpha1.TLSDisabled: {},
		v1alpha1.TLSSecrets: {speaksTLS: true, hasSource: true, sources: [4]string{
			"my-peer", "my-server", "my-client", "my-client",
		}},
		v1alpha1.TLSCertManager: {speaksTLS: true, demandsName: true, hasSource: true, sources: [4]string{
			"demo-peer-issued", "demo-server-issued", "demo-client-issued", "demo-operator-issued",
		}},
	} {
		c := cluster(tlsMode(mode))
		got := decided{
			speaksTLS: SpeaksTLS(c), hasSource: HasSource(c), demandsName: DemandedCommonName(c) == PeerCommonName(c),
		}
		if !got.demandsName && DemandedCommonName(c) != "" {
			t.Errorf("mode %s demands the common name %q", mode, DemandedCommonName(c))
		}
		for i, name := range state.CertificateNames() {
			got.sources[i] = SourceSecretName(c, name)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(decided{})); diff != "" {
			t.Errorf("mode %s (-want +got):\n%s", mode, diff)
		}
	}
	if mode := TLSMode(cluster()); mode != v1alpha1.TLSManaged {
		t.Errorf("without spec.tls the mode is %s", mode)
	}
	if mode := TLSMode(cluster(tlsGiven(func(*v1alpha1.TLSSpec) {}))); mode != v1alpha1.TLSManaged {
		t.Errorf("without spec.tls.mode the mode is %s", mode)
	}
}

func TestLifetimes(t *testing.T) {
	type lifetimes struct {
		CA, Certificate, Grace time.Duration
		Rotation               string
	}
	of := func(c *v1alpha1.EtcdCluster) lifetimes {
		return lifetimes{CALifetime(c), CertificateLifetime(c), ClientGrace(c), CARotation(c)}
	}
	day := 24 * time.Hour
	if diff := cmp.Diff(lifetimes{3650 * day, 365 * day, day, ""}, of(cluster())); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	given := cluster(tlsGiven(func(s *v1alpha1.TLSSpec) {
		s.CALifetime = &metav1.Duration{Duration: time.Hour}
		s.CertificateLifetime = &metav1.Duration{Duration: 10 * time.Minute}
		s.ClientGrace = &metav1.Duration{}
		s.CARotation = new("2026-11-21")
	}))
	if diff := cmp.Diff(lifetimes{time.Hour, 10 * time.Minute, 0, "2026-11-21"}, of(given)); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
	if got := CertificateRequest(given, state.PeerCertificate, nil, 0).Lifetime; got != 10*time.Minute {
		t.Errorf("a certificate is requested for %s", got)
	}
}

func TestLoadBalancerAddresses(t *testing.T) {
	for name, tc := range map[string]struct {
		ingress []corev1.LoadBalancerIngress
		want    []string
	}{
		"none yet":                     {nil, nil},
		"an address":                   {[]corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}, []string{"192.0.2.1"}},
		"a name, which has no case":    {[]corev1.LoadBalancerIngress{{Hostname: "LB.example.com"}}, []string{"lb.example.com"}},
		"both":                         {[]corev1.LoadBalancerIngress{{IP: "192.0.2.1", Hostname: "a"}}, []string{"192.0.2.1", "a"}},
		"several, of both IP families": {[]corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}}, []string{"192.0.2.1", "2001:db8::1"}},
		"an entry that says nothing":   {[]corev1.LoadBalancerIngress{{}}, nil},
	} {
		svc := &corev1.Service{Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: tc.ingress}}}
		if diff := cmp.Diff(tc.want, LoadBalancerAddresses(svc)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNamesOfTLSObjects(t *testing.T) {
	for _, tc := range []struct{ what, got, want string }{
		{"peer CA", AuthorityName("demo", state.PeerSide), "demo-peer-ca"},
		{"client CA", AuthorityName("demo", state.ClientSide), "demo-client-ca"},
		{"peer certificate", CertificateSecretName("demo", state.PeerCertificate), "demo-peer-tls"},
		{"server certificate", CertificateSecretName("demo", state.ServerCertificate), "demo-server-tls"},
		{"client certificate", ClientSecretName("demo"), "demo-client-tls"},
		{"operator's certificate", CertificateSecretName("demo", state.OperatorCertificate), "demo-operator-tls"},
	} {
		if tc.got != tc.want {
			t.Errorf("the %s is in %q, want %q", tc.what, tc.got, tc.want)
		}
	}
}

// People acknowledge what clients have loaded: the name must change with everything that clients have to load.
func TestClientsLoadNamesTheBundleAndTheIssuer(t *testing.T) {
	names := map[string]string{}
	for _, load := range [][2]string{{"old", "old"}, {"old+new", "old"}, {"old+new", "new"}, {"new", "new"}, {"", ""}} {
		name := ClientsLoad(load[0], load[1])
		if before, taken := names[name]; taken {
			t.Errorf("%v has the same name as %s: %s", load, before, name)
		}
		names[name] = strings.Join(load[:], " by ")
	}
}
