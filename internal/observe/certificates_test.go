package observe

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestTheStatesOfACertificate(t *testing.T) {
	const secret = "demo-server-tls"
	reissued := func(t *testing.T, kept *kubetest.TLS, change func(*pki.Request)) func(client.Object) client.Object {
		r := resources.CertificateRequest(kept.Cluster, state.ServerCertificate, nil, 0)
		change(&r)
		pair := pkitest.Issue(t, kept.CAs[state.ClientSide], r, statetest.Now)
		return kubetest.Changing(secret, func(s *corev1.Secret) {
			s.Data["tls.crt"], s.Data["tls.key"] = pair.Cert, pair.Key
		})
	}
	for name, tc := range map[string]struct {
		change           func(*testing.T, *kubetest.TLS) func(client.Object) client.Object
		exists           bool
		problem, differs string
	}{
		"deleted": {
			change: func(*testing.T, *kubetest.TLS) func(client.Object) client.Object { return kubetest.Without(secret) },
		},
		"without its private key": {
			change: func(*testing.T, *kubetest.TLS) func(client.Object) client.Object {
				return kubetest.Changing(secret, keyLost)
			}, problem: "lacks the key tls.key",
		},
		"damaged": {
			change: func(*testing.T, *kubetest.TLS) func(client.Object) client.Object {
				return kubetest.Changing(secret, garbage("tls.crt"))
			}, problem: "key tls.crt or tls.key: certificate: no PEM block",
		},
		"with the key of another": {
			change: func(_ *testing.T, kept *kubetest.TLS) func(client.Object) client.Object {
				return kubetest.Changing(secret, func(s *corev1.Secret) {
					s.Data["tls.key"] = kept.Certificates[state.ClientCertificate].Key
				})
			}, problem: "the private key does not belong to the certificate",
		},
		"that belongs to something else": {
			change: func(*testing.T, *kubetest.TLS) func(client.Object) client.Object {
				return kubetest.Changing(secret, somebodyElses)
			}, problem: resources.BelongsToOther,
		},
		"left by a deleted predecessor": {
			change: func(*testing.T, *kubetest.TLS) func(client.Object) client.Object {
				return kubetest.Changing(secret, ownerless)
			}, exists: true,
		},
		"with a name less": {
			change: func(t *testing.T, kept *kubetest.TLS) func(client.Object) client.Object {
				return reissued(t, kept, func(r *pki.Request) { r.DNSNames = r.DNSNames[1:] })
			}, exists: true, differs: `lacks the DNS name "*.demo-peers.shop.svc"`,
		},
		"with a name more": {
			change: func(t *testing.T, kept *kubetest.TLS) func(client.Object) client.Object {
				return reissued(t, kept, func(r *pki.Request) { r.DNSNames = append(r.DNSNames, "gone.example") })
			}, exists: true, differs: `has the unwanted DNS name "gone.example"`,
		},
		"that lives longer than is wanted by now": {
			change: func(t *testing.T, kept *kubetest.TLS) func(client.Object) client.Object {
				return reissued(t, kept, func(r *pki.Request) { r.Lifetime += time.Hour })
			}, exists: true, differs: "its life is longer than is wanted now",
		},
		"that lives shorter is renewed soon enough": {
			change: func(t *testing.T, kept *kubetest.TLS) func(client.Object) client.Object {
				return reissued(t, kept, func(r *pki.Request) { r.Lifetime = time.Hour })
			}, exists: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), statetest.Now)
			got := observedTLS(t, kept.Cluster, kept.Objects(tc.change(t, kept)))
			cert := got.Certificates[state.ServerCertificate]
			if cert.Exists != tc.exists || !strings.Contains(cert.Problem, tc.problem) || !strings.Contains(cert.Differs, tc.differs) ||
				(cert.Problem == "") != (tc.problem == "") || (cert.Differs == "") != (tc.differs == "") {
				t.Errorf("exists %t, problem %q, differs %q", cert.Exists, cert.Problem, cert.Differs)
			}
			if got.Usable() != tc.exists {
				t.Errorf("members can start: %t", got.Usable())
			}
			if !cert.Exists && (cert.Fingerprint != "" || !cert.NotAfter.IsZero() || got.Revision() != "") {
				t.Errorf("a certificate that cannot be read is told as %+v", cert)
			}
		})
	}
}

// A certificate that was just issued must not be due for renewal: the operator would issue without end.
func TestAFreshCertificateIsAsWantedWhateverItsLifetime(t *testing.T) {
	for _, lifetime := range []time.Duration{
		2 * time.Minute, 2*time.Minute + 300*time.Millisecond, 5 * time.Minute, 6*time.Minute + time.Millisecond, 8760 * time.Hour,
	} {
		for _, fraction := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond, 999 * time.Millisecond} {
			c := kubetest.Cluster(v1alpha1.TLSManaged, func(c *v1alpha1.EtcdCluster) {
				c.Spec.TLS.CertificateLifetime = &metav1.Duration{Duration: lifetime}
			})
			kept := kubetest.NewTLS(t, c, statetest.Now.Add(-time.Minute))
			for _, name := range state.CertificateNames() {
				kept.Certificates[name] = kept.Issue(name, statetest.Now.Add(-fraction))
			}
			got := observedTLS(t, c, kept.Objects())
			for _, name := range state.CertificateNames() {
				if cert := got.Certificates[name]; cert.Differs != "" || !cert.RenewAt.After(statetest.Now) {
					t.Errorf("lifetime %s, %s after a second: %s certificate: %q, to be renewed at %s",
						lifetime, fraction, name, cert.Differs, cert.RenewAt)
				}
			}
		}
	}
}

func TestWhatDecidesOnTheNamesOfTheServerCertificate(t *testing.T) {
	service := func(kind corev1.ServiceType) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "demo-client", Labels: map[string]string{resources.LabelCluster: "demo"},
			},
			Spec: corev1.ServiceSpec{Type: kind},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
				{IP: "198.51.100.7"}, {Hostname: "lb.example.com"},
			}}},
		}
	}
	wanted := func(kind corev1.ServiceType) func(*v1alpha1.EtcdCluster) {
		return func(c *v1alpha1.EtcdCluster) { c.Spec.ClientService = &v1alpha1.ClientServiceSpec{Type: &kind} }
	}
	volume := func(c *v1alpha1.EtcdCluster) client.Object {
		return resources.Volume(c, state.Incarnation{
			Slot: 9, Generation: 1, Token: "t", Size: 1, MemberID: 1, PeerURL: resources.PeerURL(c, 9), Version: "3.6.16",
		})
	}
	for name, tc := range map[string]struct {
		cluster *v1alpha1.EtcdCluster
		also    []client.Object
		want    string
	}{
		"a load balancer's address": {
			kubetest.Cluster(v1alpha1.TLSManaged, wanted(corev1.ServiceTypeLoadBalancer)),
			[]client.Object{service(corev1.ServiceTypeLoadBalancer)},
			`lacks the DNS name "lb.example.com"; lacks the address "198.51.100.7"`,
		},
		"no address yet": {
			kubetest.Cluster(v1alpha1.TLSManaged, wanted(corev1.ServiceTypeLoadBalancer)), nil, "",
		},
		"a Service that is no load balancer any more": {
			kubetest.Cluster(v1alpha1.TLSManaged, wanted(corev1.ServiceTypeClusterIP)),
			[]client.Object{service(corev1.ServiceTypeClusterIP)}, "",
		},
		"a member with a high slot": {
			kubetest.Cluster(v1alpha1.TLSManaged), []client.Object{volume(kubetest.Cluster(v1alpha1.TLSManaged))},
			`lacks the DNS names "demo-8"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := kubetest.NewTLS(t, tc.cluster, statetest.Now)
			got := observedTLS(t, tc.cluster, append(kept.Objects(), tc.also...)).Certificates[state.ServerCertificate]
			if !strings.Contains(got.Differs, tc.want) || (got.Differs == "") != (tc.want == "") {
				t.Errorf("the certificate differs: %q, want %q", got.Differs, tc.want)
			}
		})
	}
}
