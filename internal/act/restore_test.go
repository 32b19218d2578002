package act

import (
	"bytes"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func TestALostAuthorityIsRestoredFromWhatMembersTrust(t *testing.T) {
	old, next := pkitest.CA(t, "old", now.Add(-2*time.Hour)), pkitest.CA(t, "next", now)
	for name, tc := range map[string]struct {
		rotating func(*resources.Authority)
		change   []func(client.Object) client.Object
		noPods   bool
		// signs is who signed the certificate that is published; trusted is what the members trust.
		signs   func(signer pki.Pair) pki.Pair
		trusted func(signer pki.Pair) []pki.Pair
	}{
		"at rest": {
			change:  []func(client.Object) client.Object{kubetest.Without(peerCA)},
			signs:   func(s pki.Pair) pki.Pair { return s },
			trusted: func(s pki.Pair) []pki.Pair { return []pki.Pair{s} },
		},
		"whose Secret is damaged": {
			change:  []func(client.Object) client.Object{kubetest.Changing(peerCA, garbage("tls.key"))},
			signs:   func(s pki.Pair) pki.Pair { return s },
			trusted: func(s pki.Pair) []pki.Pair { return []pki.Pair{s} },
		},
		"while the next one was introduced": {
			rotating: func(a *resources.Authority) { a.Next = next },
			change:   []func(client.Object) client.Object{kubetest.Without(peerCA)},
			signs:    func(s pki.Pair) pki.Pair { return s },
			trusted:  func(s pki.Pair) []pki.Pair { return []pki.Pair{s, next} },
		},
		"while the previous one was trusted still": {
			rotating: func(a *resources.Authority) { a.Previous = pkitest.Bundle(t, old) },
			change:   []func(client.Object) client.Object{kubetest.Without(peerCA)},
			signs:    func(s pki.Pair) pki.Pair { return s },
			trusted:  func(s pki.Pair) []pki.Pair { return []pki.Pair{s, old} },
		},
		"not from a certificate that somebody else put in the place of the published one": {
			change: []func(client.Object) client.Object{
				kubetest.Without(peerCA), kubetest.Changing("demo-peer-tls", func(s *corev1.Secret) {
					foreign := pkitest.CA(t, "foreign", now)
					s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey] = foreign.Cert, foreign.Key
					s.Data["ca.crt"] = foreign.Cert
				}),
			},
			signs:   func(s pki.Pair) pki.Pair { return s },
			trusted: func(s pki.Pair) []pki.Pair { return []pki.Pair{s} },
		},
		"of a cluster without Pods, from what is published": {
			change:  []func(client.Object) client.Object{kubetest.Without(peerCA)},
			noPods:  true,
			signs:   func(s pki.Pair) pki.Pair { return s },
			trusted: func(s pki.Pair) []pki.Pair { return []pki.Pair{s} },
		},
		"together with the certificate": {
			rotating: func(a *resources.Authority) { a.Previous = pkitest.Bundle(t, old) },
			change:   []func(client.Object) client.Object{kubetest.Without(peerCA, "demo-peer-tls")},
			signs:    func(pki.Pair) pki.Pair { return old },
			trusted:  func(s pki.Pair) []pki.Pair { return []pki.Pair{s, old} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			signer := kept.CAs[state.PeerSide]
			if tc.rotating != nil {
				a := kept.Authorities[state.PeerSide]
				tc.rotating(&a)
				kept.Authorities[state.PeerSide] = a
			}
			w := newWorld(t, kept, tc.change...)
			if !tc.noPods {
				w.create(podOf(kept.Cluster, 0, kept.Trust().Name))
			}
			if err := w.do(w.observe(), change(state.PeerSide, plan.RestoreAuthority)); err != nil {
				t.Fatal(err)
			}
			a := w.authority(state.PeerSide)
			if len(a.Signer.Key) > 0 || !bytes.Equal(a.Signer.Cert, tc.signs(signer).Cert) {
				t.Errorf("%s signs, want %s without its key", a.Signer, tc.signs(signer))
			}
			if len(a.Next.Key) == 0 || bytes.Equal(a.Next.Cert, next.Cert) || bytes.Equal(a.Next.Cert, signer.Cert) {
				t.Errorf("%s takes its place, want a new one with its key", a.Next)
			}
			requireBundle(t, "trusted", trustedIn(t, a), append(tc.trusted(signer), a.Next)...)
		})
	}
}

// The source still has the authority that signed, so that there is nothing to rotate to.
func TestTheAuthorityOfASourceIsRestoredWithoutARotation(t *testing.T) {
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
		w := newWorld(t, kept, kubetest.Without(resources.AuthorityName("demo", side))).
			create(podOf(kept.Cluster, 0, kept.Trust().Name))
		if err := w.do(w.observe(), change(side, plan.RestoreAuthority)); err != nil {
			t.Fatal(err)
		}
		a := w.authority(side)
		if !bytes.Equal(a.Signer.Cert, kept.CAs[side].Cert) || len(a.Signer.Key) > 0 || len(a.Next.Cert) > 0 {
			t.Errorf("the %s CA was restored as %s, with %s next", side, a.Signer, a.Next)
		}
	}
}

func TestWhatAnyMemberTrustsIsTrustedAfterARestore(t *testing.T) {
	kept := managed(t)
	first := kept.Trust()
	a := kept.Authorities[state.PeerSide]
	a.Next = pkitest.CA(t, "next", now)
	kept.Authorities[state.PeerSide] = a
	second := kept.Trust()
	w := newWorld(t, kept, kubetest.Without(peerCA)).
		create(first, podOf(kept.Cluster, 0, first.Name), podOf(kept.Cluster, 1, second.Name), podOf(kept.Cluster, 2, "demo-trust-gone"))
	if err := w.do(w.observe(), change(state.PeerSide, plan.RestoreAuthority)); err != nil {
		t.Fatal(err)
	}
	restored := w.authority(state.PeerSide)
	requireBundle(t, "trusted", trustedIn(t, restored), kept.CAs[state.PeerSide], a.Next, restored.Next)
}

func TestNothingIsRestoredFromNothing(t *testing.T) {
	kept := managed(t)
	for name, w := range map[string]*world{
		"no Pod and no certificate is left": newWorld(t, kept, kubetest.Without(peerCA, "demo-peer-tls")),
		"the Pods trust what is gone": newWorld(t, kept, kubetest.Without(peerCA, "demo-peer-tls", kept.Trust().Name)).
			create(podOf(kept.Cluster, 0, kept.Trust().Name)),
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.unchanged(w.do(w.observe(), change(state.PeerSide, plan.RestoreAuthority)), observeAgain)
		})
	}
}
