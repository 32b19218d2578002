package resources

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
)

func TestTrustRoundTrip(t *testing.T) {
	old, peer, client := pkitest.CA(t, "old", now), pkitest.CA(t, "peer", now), pkitest.CA(t, "client", now)
	cm := Trust(cluster(), pkitest.Bundle(t, old, peer), pkitest.Bundle(t, client), false)
	cm.ResourceVersion = "12"
	got, err := ParseTrust("demo", cm)
	if err != nil {
		t.Fatal(err)
	}
	want := state.Trust{
		Peer:   fingerprints(pkitest.Bundle(t, old, peer)),
		Client: fingerprints(pkitest.Bundle(t, client)), ResourceVersion: "12",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it came back otherwise (-want +got):\n%s", diff)
	}
	if cm.Immutable == nil || !*cm.Immutable {
		t.Error("it can be changed, and the Pods that name it would not notice")
	}
	if cm.Labels[LabelCluster] != "demo" || cm.Labels[ComponentLabel] != ComponentTrust {
		t.Errorf("it has the labels %v", cm.Labels)
	}
	if owner := metav1.GetControllerOf(cm); owner == nil || owner.UID != testUID {
		t.Errorf("it has the owners %v", cm.OwnerReferences)
	}
}

func TestTheNameOfATrustIsItsContent(t *testing.T) {
	a, b, c := pkitest.CA(t, "a", now), pkitest.CA(t, "b", now), pkitest.CA(t, "c", now)
	bundle := func(cas ...pki.Pair) pki.Bundle { return pkitest.Bundle(t, cas...) }
	name := TrustName("demo", bundle(a, b), bundle(c), "cn")
	if !strings.HasPrefix(name, "demo-trust-") || len(name) != len("demo-trust-")+16 {
		t.Errorf("the name is %q", name)
	}
	if again := TrustName("demo", bundle(b, a, b), bundle(c), "cn"); again != name {
		t.Errorf("the same set in another order is called %s, not %s", again, name)
	}
	for what, other := range map[string]string{
		"one peer CA less":      TrustName("demo", bundle(a), bundle(c), "cn"),
		"one client CA more":    TrustName("demo", bundle(a, b), bundle(c, a), "cn"),
		"the sides exchanged":   TrustName("demo", bundle(c), bundle(a, b), "cn"),
		"another common name":   TrustName("demo", bundle(a, b), bundle(c), "other"),
		"no common name":        TrustName("demo", bundle(a, b), bundle(c), ""),
		"another cluster":       TrustName("other", bundle(a, b), bundle(c), "cn"),
		"a CA of the same name": TrustName("demo", bundle(a, pkitest.CA(t, "b", now)), bundle(c), "cn"),
	} {
		if other == name {
			t.Errorf("%s is called %s as well", what, name)
		}
	}
	if name := TrustName("demo", pki.Bundle{}, bundle(c), "cn") + TrustName("demo", bundle(a), pki.Bundle{}, "cn"); name != "" {
		t.Errorf("with a CA missing it is called %q: nobody could be trusted", name)
	}
}

func TestATrustThatDoesNotHoldWhatItsNameSaysIsNone(t *testing.T) {
	peer, client, other := pkitest.CA(t, "peer", now), pkitest.CA(t, "client", now), pkitest.CA(t, "other", now)
	leaf := pkitest.Leaf(t, peer, now, "a.example")
	set := func(key, value string) func(*corev1.ConfigMap) {
		return func(cm *corev1.ConfigMap) { cm.Data[key] = value }
	}
	for name, tc := range map[string]struct {
		change func(*corev1.ConfigMap)
		want   string
	}{
		"nothing is in it":              {func(cm *corev1.ConfigMap) { cm.Data = nil }, "key peer-ca.crt: no PEM block: it is empty"},
		"the peers' CA is missing":      {func(cm *corev1.ConfigMap) { delete(cm.Data, "peer-ca.crt") }, "key peer-ca.crt: no PEM"},
		"the peers' CA is garbage":      {set("peer-ca.crt", "garbage"), "key peer-ca.crt: no PEM block"},
		"the clients' CA is missing":    {func(cm *corev1.ConfigMap) { delete(cm.Data, "client-ca.crt") }, "key client-ca.crt: no PEM"},
		"the clients' CA is garbage":    {set("client-ca.crt", "garbage"), "key client-ca.crt: no PEM block"},
		"a certificate that is no CA":   {set("client-ca.crt", string(leaf.Cert)), "key client-ca.crt: the certificate"},
		"a CA was added":                {set("peer-ca.crt", string(peer.Cert)+string(other.Cert)), "its name does not fit its content"},
		"a CA was exchanged":            {set("client-ca.crt", string(other.Cert)), "its name does not fit its content"},
		"the common name was taken off": {func(cm *corev1.ConfigMap) { delete(cm.Data, "peer-common-name") }, "its name does not fit"},
		"it was copied from elsewhere":  {func(cm *corev1.ConfigMap) { cm.Name = "other-trust" }, "its name does not fit its content"},
	} {
		t.Run(name, func(t *testing.T) {
			cm := Trust(cluster(), pkitest.Bundle(t, peer), pkitest.Bundle(t, client), false)
			tc.change(cm)
			got, err := ParseTrust("demo", cm)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
			if diff := cmp.Diff(state.Trust{}, got); diff != "" {
				t.Errorf("something came with the error:\n%s", diff)
			}
		})
	}
	if _, err := ParseTrust("demo2", Trust(cluster(), pkitest.Bundle(t, peer), pkitest.Bundle(t, client), false)); err == nil {
		t.Error("what another cluster trusts was taken")
	}
}

// The Pod of a mode without a demanded common name accepts other peers than that of one with it.
func TestAModeThatDemandsNoCommonNameTrustsOtherwise(t *testing.T) {
	peer, client := pkitest.Bundle(t, pkitest.CA(t, "peer", now)), pkitest.Bundle(t, pkitest.CA(t, "client", now))
	managed, secrets := Trust(cluster(), peer, client, false), Trust(cluster(tlsMode(v1alpha1.TLSSecrets)), peer, client, false)
	if managed.Name == secrets.Name {
		t.Errorf("both are called %s", managed.Name)
	}
	for _, cm := range []*corev1.ConfigMap{managed, secrets} {
		if _, err := ParseTrust("demo", cm); err != nil {
			t.Errorf("%s: %v", cm.Name, err)
		}
	}
}

func TestWantedTrust(t *testing.T) {
	peer, client := pkitest.CA(t, "peer", now), pkitest.CA(t, "client", now)
	parsed := func(ca pki.Pair) state.Authority {
		a, err := ParseAuthority(authoritySecret(t, Authority{Signer: ca, Since: now}))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	one, two := parsed(peer), parsed(client)
	for _, anyName := range []bool{false, true} {
		want := Trust(cluster(), pkitest.Bundle(t, peer), pkitest.Bundle(t, client), anyName).Name
		if got := WantedTrust(cluster(), one, two, anyName); got != want {
			t.Errorf("members are to trust %q, want %q", got, want)
		}
	}
	none := state.Authority{Exists: true}
	if got := WantedTrust(cluster(), none, two, false) + WantedTrust(cluster(), one, none, false); got != "" {
		t.Errorf("with an authority missing members are to trust %q, want nothing", got)
	}
}

func TestCertificateSecret(t *testing.T) {
	ca, next := pkitest.CA(t, "peer", now), pkitest.CA(t, "next", now)
	leaf := pkitest.Leaf(t, ca, now, "a.example")
	s := CertificateSecret(cluster(), state.ServerCertificate, leaf, pkitest.Bundle(t, ca, next), now)
	if s.Name != "demo-server-tls" || s.Type != corev1.SecretTypeTLS || s.Labels[ComponentLabel] != ComponentCertificate {
		t.Errorf("it is %s of type %s with the labels %v", s.Name, s.Type, s.Labels)
	}
	pair, cert, bundle, err := CertificateIn(s)
	if err != nil {
		t.Fatal(err)
	}
	if !samePair(pair, leaf) || !cert.Equal(pkitest.Certificate(t, leaf)) || !sameBundles(bundle, pkitest.Bundle(t, ca, next)) {
		t.Error("the certificate, its key or the CAs came back otherwise")
	}
}

func TestADamagedCertificateIsToldByItsKey(t *testing.T) {
	ca := pkitest.CA(t, "peer", now)
	leaf, other := pkitest.Leaf(t, ca, now, "a.example"), pkitest.Leaf(t, ca, now, "b.example")
	for name, tc := range map[string]struct {
		key   string
		value []byte
		want  string
	}{
		"no certificate":          {"tls.crt", nil, "lacks the key tls.crt"},
		"no private key":          {"tls.key", nil, "lacks the key tls.key"},
		"no CA":                   {"ca.crt", nil, "lacks the key ca.crt"},
		"a certificate of others": {"tls.crt", other.Cert, "key tls.crt or tls.key: the private key does not belong"},
		"a key of others":         {"tls.key", other.Key, "key tls.crt or tls.key: the private key does not belong"},
		"a damaged certificate":   {"tls.crt", []byte("garbage"), "key tls.crt or tls.key: certificate: no PEM block"},
		"a damaged key":           {"tls.key", leaf.Key[:50], "key tls.crt or tls.key: private key: PEM block 1 is damaged"},
		"a damaged CA":            {"ca.crt", []byte("garbage"), "key ca.crt: no PEM block"},
		"a CA that is none":       {"ca.crt", leaf.Cert, "key ca.crt: the certificate"},
	} {
		s := CertificateSecret(cluster(), state.ServerCertificate, leaf, pkitest.Bundle(t, ca), now)
		s.Data[tc.key] = tc.value
		_, cert, bundle, err := CertificateIn(s)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tc.want)
			continue
		}
		if cert != nil || !bundle.Empty() {
			t.Errorf("%s: a certificate or a CA came with the error", name)
		}
		expectNoKey(t, err.Error(), ca, leaf, other)
	}
}
