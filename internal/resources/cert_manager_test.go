package resources

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestCertManagerObjects(t *testing.T) {
	c := cluster(tlsMode(v1alpha1.TLSCertManager))
	for _, name := range []state.CertificateName{state.PeerCertificate, state.OperatorCertificate} {
		golden(t, "cert-manager-"+string(name), CertManagerCertificate(c, name, CertificateRequest(c, name, nil, 0)).Object)
	}
}

func TestWhatIsAskedOfCertManager(t *testing.T) {
	c := cluster(tlsMode(v1alpha1.TLSCertManager), tlsGiven(func(s *v1alpha1.TLSSpec) {
		s.CertManager.ClientIssuer = v1alpha1.IssuerReference{
			Name: "vault", Kind: new("ClusterIssuer"), Group: new("issuers.example.com"),
		}
		s.CertificateLifetime = &metav1.Duration{Duration: 90 * time.Minute}
		s.ExtraSANs = []string{"etcd.example.com", "192.0.2.1"}
	}))
	ask := func(name state.CertificateName) *unstructured.Unstructured {
		return CertManagerCertificate(c, name, CertificateRequest(c, name, []string{"198.51.100.1"}, 0))
	}
	field := func(u *unstructured.Unstructured, path ...string) any {
		value, found, err := unstructured.NestedFieldCopy(u.Object, append([]string{"spec"}, path...)...)
		if err != nil || !found {
			return nil
		}
		return value
	}
	for name, tc := range map[string]struct{ got, want any }{
		"peers come from their own issuer, by default an Issuer of cert-manager": {
			field(ask(state.PeerCertificate), "issuerRef"),
			map[string]any{"name": "peers", "kind": "Issuer", "group": "cert-manager.io"},
		},
		"the members' certificate for clients comes from the clients' issuer": {
			field(ask(state.ServerCertificate), "issuerRef"),
			map[string]any{"name": "vault", "kind": "ClusterIssuer", "group": "issuers.example.com"},
		},
		"the operator's comes from the clients' issuer": {
			field(ask(state.OperatorCertificate), "issuerRef", "name"), "vault",
		},
		"it lives as long as the spec says":          {field(ask(state.PeerCertificate), "duration"), "1h30m0s"},
		"it is renewed after two thirds of its life": {field(ask(state.PeerCertificate), "renewBefore"), "30m0s"},
		"members accept peers of one common name":    {field(ask(state.PeerCertificate), "commonName"), PeerCommonName(c)},
		"a peer is server and client": {
			field(ask(state.PeerCertificate), "usages"), []any{"digital signature", "server auth", "client auth"},
		},
		"a client is no server": {
			field(ask(state.ClientCertificate), "usages"), []any{"digital signature", "client auth"},
		},
		"a client has no names":     {field(ask(state.ClientCertificate), "dnsNames"), nil},
		"a client has no addresses": {field(ask(state.ClientCertificate), "ipAddresses"), nil},
		"addresses are asked for as addresses": {
			field(ask(state.ServerCertificate), "ipAddresses"), []any{"127.0.0.1", "192.0.2.1", "198.51.100.1", "::1"},
		},
		"the Secret is found by its label, so that changes of it are noticed": {
			field(ask(state.ServerCertificate), "secretTemplate", "labels", LabelCluster), "demo",
		},
		"the Secret is a source, not what members use": {
			field(ask(state.ServerCertificate), "secretName"), "demo-server-issued",
		},
		"each renewal has a new key": {field(ask(state.ServerCertificate), "privateKey", "rotationPolicy"), "Always"},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
