package act

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

const serverTLS = "demo-server-tls"

var (
	renewal       = plan.PublishCertificate{Name: state.ServerCertificate, Renew: true, Why: "the test wants it"}
	republication = plan.PublishCertificate{Name: state.ServerCertificate, Why: "the test wants it"}
)

// publishedIn is what a Secret holds, which must be whole.
func (w *world) publishedIn(name string) (pki.Pair, pki.Bundle) {
	w.t.Helper()
	pair, _, bundle, err := resources.CertificateIn(w.secret(name))
	if err != nil {
		w.t.Fatalf("Secret %s: %v", name, err)
	}
	return pair, bundle
}

func TestACertificateIsIssuedAsItIsWanted(t *testing.T) {
	for _, name := range state.CertificateNames() {
		secret := resources.CertificateSecretName("demo", name)
		for what, change := range map[string]func(client.Object) client.Object{
			"when there is none":           kubetest.Without(secret),
			"when it is damaged":           kubetest.Changing(secret, garbage("tls.key")),
			"in place of the former":       kubetest.Without(),
			"when a predecessor's is left": kubetest.Changing(secret, func(s *corev1.Secret) { s.OwnerReferences = nil }),
		} {
			t.Run(string(name)+" "+what, func(t *testing.T) {
				kept := managed(t)
				w := newWorld(t, kept, change)
				c := w.observe()
				if err := w.do(c, plan.PublishCertificate{Name: name, Renew: true}); err != nil {
					t.Fatal(err)
				}
				pair, bundle := w.publishedIn(secret)
				cert := pkitest.Certificate(t, pair)
				if differs := pki.Differs(cert, c.TLS.Certificates[name].Wanted); differs != "" {
					t.Errorf("it differs from what is wanted: %s", differs)
				}
				ca := pkitest.Bundle(t, kept.CAs[name.Side()])
				if ca.Issuer(cert) == nil || bundle.Hash() != ca.Hash() {
					t.Errorf("it is of %s and comes with %s, want %s", cert.Issuer, bundle, ca)
				}
				if bytes.Equal(pair.Key, kept.Certificates[name].Key) {
					t.Error("it has the key of the former one")
				}
				s := w.secret(secret)
				if s.Type != corev1.SecretTypeTLS || !metav1.IsControlledBy(s, kept.Cluster) || len(s.Data) != 3 {
					t.Errorf("its Secret is of type %s, with %d keys and the owners %v", s.Type, len(s.Data), s.OwnerReferences)
				}
			})
		}
	}
}

func TestACertificateIsPublishedAgainWithOtherCAs(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept)
	next := pkitest.CA(t, "next", now)
	a := kept.Authorities[state.ClientSide]
	a.Next = next
	kept.Authorities[state.ClientSide] = a
	if err := w.api.Update(t.Context(), kept.Authority(state.ClientSide)); err != nil {
		t.Fatal(err)
	}
	w.api.Writes = nil
	if err := w.do(w.observe(), republication); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "update Secret "+serverTLS)
	pair, bundle := w.publishedIn(serverTLS)
	requireBundle(t, "published", bundle, kept.CAs[state.ClientSide], next)
	if !bytes.Equal(pair.Cert, kept.Certificates[state.ServerCertificate].Cert) {
		t.Error("the certificate was changed as well")
	}
}

func TestAfterASwitchTheNewAuthoritySigns(t *testing.T) {
	kept := managed(t)
	former, signer := kept.CAs[state.ClientSide], pkitest.CA(t, "new", now)
	kept.Authorities[state.ClientSide] = resources.Authority{
		Signer: signer, Previous: pkitest.Bundle(t, former), Since: now,
	}
	w := newWorld(t, kept)
	if err := w.do(w.observe(), renewal); err != nil {
		t.Fatal(err)
	}
	pair, bundle := w.publishedIn(serverTLS)
	if pkitest.Bundle(t, signer).IssuerOf(pair.Cert) == nil {
		t.Error("the former authority signed")
	}
	requireBundle(t, "published", bundle, former, signer)
}

func TestACertificateIsCopiedFromItsSource(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
	renewed := kept.Issue(state.ServerCertificate, now)
	source := kept.Source("my-server", renewed, kept.CAs[state.ClientSide])
	w := newWorld(t, kept, func(obj client.Object) client.Object {
		if obj.GetName() == source.Name {
			return source
		}
		return obj
	})
	if err := w.do(w.observe(), renewal); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "update Secret "+serverTLS)
	pair, _ := w.publishedIn(serverTLS)
	if diff := cmp.Diff(string(renewed.Cert), string(pair.Cert)); diff != "" || !bytes.Equal(pair.Key, renewed.Key) {
		t.Errorf("another certificate was published (-source +published):\n%s", diff)
	}
}

// Clients get the time of clientGrace from then on: a renewal must not begin it anew, and anything that they have to load
// must.
func TestSinceWhenClientsCouldLoadWhatIsPublished(t *testing.T) {
	hourAgo := now.Add(-time.Hour)
	recorded := func(s *corev1.Secret) {
		s.Annotations = map[string]string{"quorate.dev/since": hourAgo.Format(time.RFC3339)}
	}
	next := pkitest.CA(t, "next", now)
	for name, tc := range map[string]struct {
		rotating func(signer pki.Pair) resources.Authority
		change   func(*corev1.Secret)
		step     plan.PublishCertificate
		want     time.Time
	}{
		"a renewal":        {change: recorded, step: renewal, want: hourAgo},
		"not recorded yet": {change: func(s *corev1.Secret) { s.Annotations = nil }, step: renewal, want: now},
		"recorded as what is no time": {
			change: func(s *corev1.Secret) { s.Annotations = map[string]string{"quorate.dev/since": "soon"} }, step: renewal, want: now,
		},
		"damaged before": {
			change: func(s *corev1.Secret) { recorded(s); garbage("tls.key")(s) }, step: renewal, want: now,
		},
		"the next CA is added": {
			rotating: func(signer pki.Pair) resources.Authority {
				return resources.Authority{Signer: signer, Next: next, Since: now}
			},
			change: recorded, step: republication, want: now,
		},
		"the next CA signs": {
			rotating: func(signer pki.Pair) resources.Authority {
				return resources.Authority{Signer: next, Previous: pkitest.Bundle(t, signer), Since: now}
			},
			change: func(s *corev1.Secret) {
				recorded(s)
				former, err := pki.ParseBundle(s.Data["ca.crt"])
				if err != nil {
					t.Fatal(err)
				}
				s.Data["ca.crt"] = former.With(pkitest.Bundle(t, next)).PEM()
			}, step: renewal, want: now,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			published := kept.Certificate(state.ServerCertificate)
			if tc.rotating != nil {
				kept.Authorities[state.ClientSide] = tc.rotating(kept.CAs[state.ClientSide])
			}
			w := newWorld(t, kept, kubetest.Changing(serverTLS, func(s *corev1.Secret) { *s = *published.DeepCopy(); tc.change(s) }))
			if err := w.do(w.observe(), tc.step); err != nil {
				t.Fatal(err)
			}
			got, recorded := resources.PublishedSince(w.secret(serverTLS))
			if !recorded || !got.Equal(tc.want) {
				t.Errorf("it is recorded since %s, %t; want %s", got, recorded, tc.want)
			}
		})
	}
}

// All Secrets were deleted at once: the key of the CA is gone with the certificates that it signed.
func TestTheLastCertificateIsPublishedAgainWhileNobodyCanIssueOne(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept)
	w.observe()
	for _, name := range []string{"demo-client-ca", serverTLS} {
		if err := w.api.Delete(t.Context(), w.secret(name)); err != nil {
			t.Fatal(err)
		}
	}
	kept.Authorities[state.ClientSide] = resources.Authority{
		Signer: pki.Pair{Cert: kept.CAs[state.ClientSide].Cert}, Next: pkitest.CA(t, "next", now), Since: now,
	}
	w.create(kept.Authority(state.ClientSide))
	if err := w.do(w.observe(), renewal); err != nil {
		t.Fatal(err)
	}
	pair, bundle := w.publishedIn(serverTLS)
	if !bytes.Equal(pair.Key, kept.Certificates[state.ServerCertificate].Key) {
		t.Error("another certificate was published")
	}
	requireBundle(t, "published", bundle, kept.CAs[state.ClientSide], kept.Authorities[state.ClientSide].Next)
}

// The API server keeps the type of a Secret for ever.
func TestASecretOfAnotherTypeMakesRoomFirst(t *testing.T) {
	w := newWorld(t, managed(t), kubetest.Changing(serverTLS, func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }))
	for range 2 {
		if err := w.do(w.observe(), renewal); err != nil {
			t.Fatal(err)
		}
	}
	requireWrites(t, w.api, "delete Secret "+serverTLS, "create Secret "+serverTLS)
	if s := w.secret(serverTLS); s.Type != corev1.SecretTypeTLS {
		t.Errorf("it is of type %s", s.Type)
	}
}

func TestLabelsAndAnnotationsOfOthersStay(t *testing.T) {
	w := newWorld(t, managed(t), kubetest.Changing(serverTLS, func(s *corev1.Secret) {
		s.Labels["team"], s.Annotations = "a", map[string]string{"note": "b"}
		delete(s.Labels, resources.ComponentLabel)
	}))
	if err := w.do(w.observe(), renewal); err != nil {
		t.Fatal(err)
	}
	s := w.secret(serverTLS)
	if s.Labels["team"] != "a" || s.Annotations["note"] != "b" || s.Labels[resources.ComponentLabel] != resources.ComponentCertificate {
		t.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
}

// Until the cache shows it, nothing else is decided.
func TestAWrittenSecretIsWaitedFor(t *testing.T) {
	w := newWorld(t, managed(t), kubetest.Without(peerCA), unpublished())
	e := w.operator
	stale := kubetest.New(t) // the cache before the write
	e.Expect = NewExpectations(stale, w.api, func() time.Time { return now })
	if err := e.Do(t.Context(), w.observe(), change(state.PeerSide, plan.CreateAuthority)); err != nil {
		t.Fatal(err)
	}
	unsettled, err := e.Expect.Unsettled(t.Context(), client.ObjectKeyFromObject(w.kept.Cluster))
	if err != nil || unsettled != "Secret demo-peer-ca" {
		t.Errorf("waits for %q, %v; want the Secret that was created", unsettled, err)
	}
}
