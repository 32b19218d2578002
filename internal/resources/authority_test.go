package resources

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
)

func TestAuthorityRoundTrip(t *testing.T) {
	old, signer, next := pkitest.CA(t, "old", now.Add(-time.Hour)), pkitest.CA(t, "signer", now), pkitest.CA(t, "next", now)
	for name, tc := range map[string]struct {
		authority Authority
		keys      []string
	}{
		"at rest":                             {Authority{Signer: signer}, []string{"ca.crt", "tls.crt", "tls.key"}},
		"with the rotation that was honoured": {Authority{Signer: signer, Rotation: "x"}, []string{"ca.crt", "tls.crt", "tls.key"}},
		"while the next one is introduced": {
			Authority{Signer: signer, Next: next}, []string{"ca.crt", "next.crt", "next.key", "tls.crt", "tls.key"},
		},
		"while the previous one is trusted": {
			Authority{Signer: signer, Previous: pkitest.Bundle(t, old)}, []string{"ca.crt", "previous.crt", "tls.crt", "tls.key"},
		},
		"with all three": {
			Authority{Signer: signer, Next: next, Previous: pkitest.Bundle(t, old)},
			[]string{"ca.crt", "next.crt", "next.key", "previous.crt", "tls.crt", "tls.key"},
		},
		"whose key is lost, with one that will take its place": {
			Authority{Signer: certOnly(signer), Next: next}, []string{"ca.crt", "next.crt", "next.key", "tls.crt"},
		},
		"of somebody else, who gives two CAs together": {
			Authority{Signer: certOnly(old, signer)}, []string{"ca.crt", "tls.crt"},
		},
		"of somebody else, who changes it": {
			Authority{Signer: certOnly(signer), Next: certOnly(next)}, []string{"ca.crt", "next.crt", "tls.crt"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.authority.Since = now
			s := authoritySecret(t, tc.authority)
			if diff := cmp.Diff(tc.keys, slices.Sorted(maps.Keys(s.Data))); diff != "" {
				t.Errorf("keys of the Secret (-want +got):\n%s", diff)
			}
			got, err := ReadAuthority(s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.authority, got, cmp.Comparer(sameBundles), cmp.Comparer(samePair)); diff != "" {
				t.Errorf("it came back otherwise (-want +got):\n%s", diff)
			}
			bundle, err := got.Bundle()
			if err != nil || !bytes.Equal(bundle.PEM(), s.Data["ca.crt"]) {
				t.Errorf("ca.crt does not hold the bundle: %v", err)
			}
		})
	}
}

func sameBundles(a, b pki.Bundle) bool { return a.Hash() == b.Hash() }

func samePair(a, b pki.Pair) bool { return bytes.Equal(a.Cert, b.Cert) && bytes.Equal(a.Key, b.Key) }

func TestTheSecretOfAnAuthorityIsTheClusters(t *testing.T) {
	s := authoritySecret(t, Authority{Signer: pkitest.CA(t, "signer", now), Since: now, Rotation: "2026"})
	if s.Name != "demo-peer-ca" || s.Namespace != "shop" || s.Type != corev1.SecretTypeOpaque {
		t.Errorf("it is %s/%s of type %s", s.Namespace, s.Name, s.Type)
	}
	if s.Labels[LabelCluster] != "demo" || s.Labels[ComponentLabel] != ComponentAuthority {
		t.Errorf("it has the labels %v", s.Labels)
	}
	if owner := metav1.GetControllerOf(s); owner == nil || owner.UID != testUID {
		t.Errorf("it has the owners %v", s.OwnerReferences)
	}
	if s.Annotations[annotationSince] != "2026-11-21T12:00:00Z" || s.Annotations[annotationRotation] != "2026" {
		t.Errorf("it has the annotations %v", s.Annotations)
	}
}

func TestParseAuthorityTellsEverythingButTheKeys(t *testing.T) {
	old, signer, next := pkitest.CA(t, "old", now.Add(-time.Hour)), pkitest.CA(t, "signer", now), pkitest.CA(t, "next", now)
	described := func(ca pki.Pair) state.CA {
		cert := pkitest.Certificate(t, ca)
		return state.CA{
			ID: pkitest.Bundle(t, ca).Hash(), Certificates: []string{pki.Fingerprint(cert)}, Key: true,
			NotBefore: cert.NotBefore, RenewAt: pki.RenewAt(cert), NotAfter: cert.NotAfter,
		}
	}
	got, err := ParseAuthority(authoritySecret(t, Authority{
		Signer: signer, Next: next, Previous: pkitest.Bundle(t, old), Since: now, Rotation: "2026",
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantNext, previous := described(next), described(old)
	previous.Key = false
	want := state.Authority{
		Exists: true, Recorded: true, Signer: described(signer), Next: &wantNext, Previous: &previous,
		Bundle: pkitest.Bundle(t, old, signer, next).Hash(), Since: now, Rotation: "2026",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	lost, err := ParseAuthority(authoritySecret(t, Authority{Signer: certOnly(signer), Since: now}))
	if err != nil || lost.Signer.Key || !lost.Recorded || lost.Next != nil || lost.Previous != nil {
		t.Errorf("an authority without its key is told as %+v, %v", lost, err)
	}
}

func TestADamagedAuthorityIsToldInOneSentence(t *testing.T) {
	signer, next, old := pkitest.CA(t, "signer", now), pkitest.CA(t, "next", now), pkitest.CA(t, "old", now.Add(-time.Hour))
	leaf := pkitest.Leaf(t, signer, now, "a.example")
	set := func(key string, value []byte) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Data[key] = value }
	}
	unset := func(key string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { delete(s.Data, key) }
	}
	for name, tc := range map[string]struct {
		damage func(*corev1.Secret)
		want   string
	}{
		"nothing is left":                   {func(s *corev1.Secret) { s.Data = nil }, "key tls.crt: no PEM block: it is empty"},
		"the time is gone":                  {func(s *corev1.Secret) { s.Annotations = nil }, "annotation quorate.dev/since is no time"},
		"the time is none":                  {func(s *corev1.Secret) { s.Annotations[annotationSince] = "soon" }, "annotation quorate.dev/since is no time"},
		"the certificate is missing":        {unset("tls.crt"), "key tls.crt: no PEM block: it is empty"},
		"the certificate is garbage":        {set("tls.crt", []byte("garbage")), "key tls.crt: no PEM block"},
		"the certificate is cut":            {set("tls.crt", signer.Cert[:200]), "key tls.crt: PEM block 1 is damaged"},
		"the certificate is a key":          {set("tls.crt", signer.Key), "key tls.crt: PEM block 1 is a PRIVATE KEY, not a certificate"},
		"the certificate is no CA":          {set("tls.crt", leaf.Cert), `key tls.crt: the certificate "CN=test" is not a CA`},
		"the certificate is another one":    {set("tls.crt", next.Cert), "key tls.crt: the private key does not belong to the certificate"},
		"the certificate is encoded twice":  {set("tls.crt", []byte("LS0tLS1CRUdJTiBD")), "it is encoded in base64 once more"},
		"the key is garbage":                {set("tls.key", []byte("garbage")), "key tls.crt: private key: no PEM block"},
		"the key is cut":                    {set("tls.key", signer.Key[:100]), "private key: PEM block 1 is damaged"},
		"the key is another one":            {set("tls.key", next.Key), "the private key does not belong to the certificate"},
		"the key is a certificate":          {set("tls.key", signer.Cert), "the PEM block is a CERTIFICATE, not a private key"},
		"the next certificate is missing":   {unset("next.crt"), "key next.crt is missing"},
		"the next certificate is garbage":   {set("next.crt", []byte("garbage")), "key next.crt: no PEM block"},
		"the next certificate is no CA":     {set("next.crt", leaf.Cert), "key next.crt: the certificate"},
		"the next key is another one":       {set("next.key", signer.Key), "key next.crt: the private key does not belong"},
		"the next key is garbage":           {set("next.key", []byte("garbage")), "key next.crt: private key: no PEM block"},
		"the previous one is garbage":       {set("previous.crt", []byte("garbage")), "key previous.crt: no PEM block"},
		"the previous one is no CA":         {set("previous.crt", leaf.Cert), "key previous.crt: the certificate"},
		"the bundle is missing":             {unset("ca.crt"), "key ca.crt does not hold exactly the other certificates"},
		"the bundle is garbage":             {set("ca.crt", []byte("garbage")), "key ca.crt does not hold exactly"},
		"the bundle lacks one":              {set("ca.crt", pkitest.Bundle(t, signer, next).PEM()), "key ca.crt does not hold exactly"},
		"the bundle has one more":           {set("ca.crt", pkitest.Bundle(t, signer, next, old, pkitest.CA(t, "x", now)).PEM()), "ca.crt does not"},
		"a next one came beside the bundle": {unset("previous.crt"), "key ca.crt does not hold exactly"},
	} {
		t.Run(name, func(t *testing.T) {
			s := authoritySecret(t, Authority{Signer: signer, Next: next, Previous: pkitest.Bundle(t, old), Since: now})
			tc.damage(s)
			a, err := ParseAuthority(s)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got error %v, want one with %q", err, tc.want)
			}
			if len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message does not fit into a condition: %q", err)
			}
			expectNoKey(t, err.Error(), signer, next)
			if diff := cmp.Diff(state.Authority{}, a); diff != "" {
				t.Errorf("something came with the error:\n%s", diff)
			}
			if id := IssuerID(s, &corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert}}); id != "" {
				t.Errorf("a damaged authority is taken for the issuer %s", id)
			}
			if trust := WantedTrust(cluster(), a, state.Authority{Recorded: true}, false); trust != "" {
				t.Errorf("members are to trust %s, made from a damaged authority", trust)
			}
		})
	}
}

// A message that changes from look to look would be written into the status again and again.
func TestOfSeveralDamagesTheSameIsToldEveryTime(t *testing.T) {
	s := authoritySecret(t, Authority{Signer: pkitest.CA(t, "signer", now), Next: pkitest.CA(t, "next", now), Since: now})
	s.Data["tls.crt"], s.Data["next.crt"] = []byte("garbage"), []byte("garbage")
	_, first := ReadAuthority(s)
	for range 50 {
		if _, err := ReadAuthority(s); err.Error() != first.Error() {
			t.Fatalf("it was told %q, and then %q", first, err)
		}
	}
}

func TestIssuerID(t *testing.T) {
	old, signer, next := pkitest.CA(t, "old", now.Add(-time.Hour)), pkitest.CA(t, "signer", now), pkitest.CA(t, "next", now)
	authority := authoritySecret(t, Authority{Signer: signer, Next: next, Previous: pkitest.Bundle(t, old), Since: now})
	by := func(ca pki.Pair) *corev1.Secret {
		return &corev1.Secret{Data: map[string][]byte{"tls.crt": pkitest.Leaf(t, ca, now, "a.example").Cert}}
	}
	for name, tc := range map[string]struct {
		authority, certificate *corev1.Secret
		want                   string
	}{
		"signed by the one that signs":       {authority, by(signer), pkitest.Bundle(t, signer).Hash()},
		"signed by the next one":             {authority, by(next), pkitest.Bundle(t, next).Hash()},
		"signed by the previous one":         {authority, by(old), pkitest.Bundle(t, old).Hash()},
		"signed by another of the same name": {authority, by(pkitest.CA(t, "signer", now)), ""},
		"no certificate":                     {authority, &corev1.Secret{}, ""},
		"no authority":                       {nil, by(signer), ""},
	} {
		if got := IssuerID(tc.authority, tc.certificate); got != tc.want {
			t.Errorf("%s: the issuer is %q, want %q", name, got, tc.want)
		}
	}
}

func TestCAsThatAreGivenTogetherEndWithTheFirst(t *testing.T) {
	long, short := pkitest.CA(t, "long", now.Add(time.Hour)), pkitest.CA(t, "short", now)
	got, first := CAOf(pkitest.Bundle(t, long, short)), pkitest.Certificate(t, short)
	if !got.NotAfter.Equal(first.NotAfter) || !got.RenewAt.Equal(pki.RenewAt(first)) || len(got.Certificates) != 2 {
		t.Errorf("two CAs are told as %+v, want the end %s and two certificates", got, first.NotAfter)
	}
	if got := CAOf(pki.Bundle{}); got.ID != "" || len(got.Certificates) != 0 {
		t.Errorf("no CA is told as %+v", got)
	}
}
