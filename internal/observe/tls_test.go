package observe

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestACompleteSetOfCertificatesAsItIsObserved(t *testing.T) {
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSManaged, v1alpha1.TLSCertManager, v1alpha1.TLSSecrets} {
		t.Run(string(mode), func(t *testing.T) {
			kept := kubetest.NewTLS(t, kubetest.Cluster(mode), statetest.Now)
			got := observedTLS(t, kept.Cluster, kept.Objects())
			managed := mode == v1alpha1.TLSManaged
			if got.Managed != managed || !got.Usable() || got.Revision() == "" {
				t.Errorf("managed %t, usable %t, revision %q", got.Managed, got.Usable(), got.Revision())
			}
			if _, published := got.Trusts[got.Trust]; !published || got.Trust != kept.Trust().Name || len(got.Trusts) != 1 {
				t.Errorf("members are to trust %q, of %v", got.Trust, got.Trusts)
			}
			for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
				a := got.Authority(side)
				if !a.Recorded || !a.Exists || a.Problem != "" || a.Signer.Key != managed || a.Bundle != kept.Bundle(side).Hash() {
					t.Errorf("the %s CA is told as %+v", side, a)
				}
				if !slices.Equal(got.Trusts[got.Trust].Of(side), a.Signer.Certificates) {
					t.Errorf("members trust %v on the %s side, want %v", got.Trusts[got.Trust].Of(side), side, a.Signer.Certificates)
				}
			}
			for _, name := range state.CertificateNames() {
				requireComplete(t, got, kept, name)
			}
		})
	}
}

func requireComplete(t *testing.T, got *state.TLS, kept *kubetest.TLS, name state.CertificateName) {
	t.Helper()
	a, cert := got.Authority(name.Side()), pkitest.Certificate(t, kept.Certificates[name])
	want := state.Certificate{
		Secret: "demo-" + string(name) + "-tls", Exists: true, Issuer: a.Signer.ID,
		Fingerprint: pki.Fingerprint(cert), CommonName: cert.Subject.CommonName,
		NotBefore: cert.NotBefore, RenewAt: pki.RenewAt(cert), NotAfter: cert.NotAfter, Bundle: a.Bundle, Since: statetest.Now,
		Wanted: resources.CertificateRequest(kept.Cluster, name, nil, 0),
	}
	if source := resources.SourceSecretName(kept.Cluster, name); source != "" {
		want.Source = &state.CertificateSource{Secret: source, Fingerprint: want.Fingerprint, CommonName: want.CommonName, CA: a.Signer}
	}
	if diff := cmp.Diff(want, got.Certificates[name]); diff != "" {
		t.Errorf("the %s certificate (-want +got):\n%s", name, diff)
	}
}

func TestAClusterThatSpeaksPlainTextHasNoCertificates(t *testing.T) {
	api := kubetest.New(t)
	reader := labelled{Reader: api, listErr: errors.New("nobody may list Secrets")}
	got, err := tlsObserver(api).Observe(t.Context(), reader, kubetest.Cluster(v1alpha1.TLSDisabled))
	if err != nil || got.TLS != nil {
		t.Errorf("got %+v, %v; want no certificates, and no Secret read", got.TLS, err)
	}
}

func TestANewClusterHasNothingYet(t *testing.T) {
	c := kubetest.Cluster(v1alpha1.TLSManaged)
	got := observedTLS(t, c, nil)
	if got.Usable() || got.Trust != "" || got.Revision() != "" || !got.Managed {
		t.Errorf("it is told as %+v", got)
	}
	if diff := cmp.Diff(state.Authority{}, got.Peer); diff != "" {
		t.Errorf("the peer CA:\n%s", diff)
	}
	for _, name := range state.CertificateNames() {
		want := state.Certificate{
			Secret: "demo-" + string(name) + "-tls", Wanted: resources.CertificateRequest(c, name, nil, 0),
		}
		if diff := cmp.Diff(want, got.Certificates[name]); diff != "" {
			t.Errorf("the %s certificate (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheStatesOfAnAuthority(t *testing.T) {
	for name, tc := range map[string]struct {
		change           func(client.Object) client.Object
		exists, recorded bool
		key              bool
		problem          string
	}{
		"deleted":                          {change: kubetest.Without("demo-peer-ca")},
		"without the label":                {change: kubetest.Changing("demo-peer-ca", unlabelled)},
		"whose key was lost":               {kubetest.Changing("demo-peer-ca", keyLost), true, true, false, ""},
		"left by a deleted predecessor":    {kubetest.Changing("demo-peer-ca", ownerless), true, true, true, ""},
		"whose key is garbage":             {kubetest.Changing("demo-peer-ca", garbage("tls.key")), true, false, false, "key tls.crt: private key: no PEM block"},
		"whose certificate is garbage":     {kubetest.Changing("demo-peer-ca", garbage("tls.crt")), true, false, false, "key tls.crt: no PEM block"},
		"whose bundle is another":          {kubetest.Changing("demo-peer-ca", garbage("ca.crt")), true, false, false, "key ca.crt does not hold exactly the other certificates"},
		"that belongs to something else":   {kubetest.Changing("demo-peer-ca", somebodyElses), true, false, false, resources.BelongsToOther},
		"that is about to be deleted":      {kubetest.Changing("demo-peer-ca", beingDeleted), true, false, false, resources.BelongsToOther},
		"that nobody touched, to compare":  {kubetest.Without(), true, true, true, ""},
		"of the other side does not count": {kubetest.Changing("demo-client-ca", garbage("ca.crt")), true, true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), statetest.Now)
			got := observedTLS(t, kept.Cluster, kept.Objects(tc.change))
			a := got.Peer
			if a.Exists != tc.exists || a.Recorded != tc.recorded || a.Signer.Key != tc.key || a.Problem != tc.problem {
				t.Errorf("exists %t, recorded %t, key %t, problem %q", a.Exists, a.Recorded, a.Signer.Key, a.Problem)
			}
			complete := got.Peer.Recorded && got.Client.Recorded
			if (got.Trust != "") != complete || got.Usable() != complete {
				t.Errorf("both are recorded: %t, but members are to trust %q, and can start: %t", complete, got.Trust, got.Usable())
			}
			if issuer := got.Certificates[state.PeerCertificate].Issuer; (issuer != "") != tc.recorded {
				t.Errorf("the issuer of the peers' certificate is %q", issuer)
			}
		})
	}
}

func TestARotationAsItIsObserved(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), statetest.Now)
	old, next := pkitest.CA(t, "old", statetest.Now.Add(-time.Hour)), pkitest.CA(t, "next", statetest.Now)
	a := kept.Authorities[state.PeerSide]
	a.Next, a.Previous, a.Rotation = next, pkitest.Bundle(t, old), "2026"
	kept.Authorities[state.PeerSide] = a
	kept.Certificates[state.PeerCertificate] = pkitest.Issue(t, old, pki.Request{
		CommonName: resources.PeerCommonName(kept.Cluster), DNSNames: []string{"a.example"}, Server: true, Client: true,
		Lifetime: time.Hour,
	}, statetest.Now)
	got := observedTLS(t, kept.Cluster, kept.Objects())
	if got.Peer.Next == nil || got.Peer.Next.ID != pkitest.Bundle(t, next).Hash() || !got.Peer.Next.Key ||
		got.Peer.Previous == nil || got.Peer.Previous.ID != pkitest.Bundle(t, old).Hash() || got.Peer.Rotation != "2026" {
		t.Errorf("the peer CA is told as %+v", got.Peer)
	}
	cert := got.Certificates[state.PeerCertificate]
	if cert.Issuer != got.Peer.Previous.ID || !strings.Contains(cert.Differs, "lacks the DNS name") {
		t.Errorf("a certificate of the previous CA, for another name, is told as %+v", cert)
	}
	trusted := got.Trusts[got.Trust].Peer
	for _, ca := range []state.CA{got.Peer.Signer, *got.Peer.Next, *got.Peer.Previous} {
		if !got.PodTrusts(state.Pod{Trust: got.Trust}, state.PeerSide, ca) {
			t.Errorf("members do not trust %s: %v", ca.ID, trusted)
		}
	}
}

func TestTrustsThatAreNone(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), statetest.Now)
	name := kept.Trust().Name
	for what, tc := range map[string]struct {
		change  func(*corev1.ConfigMap)
		damaged bool // as ours that may be deleted
	}{
		"its content was exchanged": {
			func(cm *corev1.ConfigMap) { cm.Data["peer-ca.crt"] = cm.Data["client-ca.crt"] }, true,
		},
		"its content is gone":            {func(cm *corev1.ConfigMap) { cm.Data = nil }, true},
		"it is a copy of another's name": {func(cm *corev1.ConfigMap) { cm.Name = "demo-trust-0000000000000000" }, true},
		"its label is gone":              {func(cm *corev1.ConfigMap) { delete(cm.Labels, resources.LabelCluster) }, false},
		"it belongs to something else":   {func(cm *corev1.ConfigMap) { cm.OwnerReferences[0].UID = "uid-x" }, false},
	} {
		objects := kept.Objects(func(obj client.Object) client.Object {
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				tc.change(cm)
			}
			return obj
		})
		got := observedTLS(t, kept.Cluster, objects)
		if len(got.Trusts) != 0 || got.Usable() || got.Trust != name {
			t.Errorf("%s: the trusts are %v, usable %t; want none, and %s to be published", what, got.Trusts, got.Usable(), name)
		}
		if damaged := len(got.Damaged) == 1; damaged != tc.damaged {
			t.Errorf("%s: damaged ones are %v", what, got.Damaged)
		}
	}
}
