package observe

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
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// restored is the record of the peers' authority, made anew without its key after all Secrets were deleted.
func restored(t *testing.T, kept *kubetest.TLS) client.Object {
	t.Helper()
	after := kubetest.NewTLS(t, kept.Cluster, statetest.Now)
	after.Authorities[state.PeerSide] = resources.Authority{
		Signer: pki.Pair{Cert: kept.CAs[state.PeerSide].Cert}, Next: pkitest.CA(t, "next", statetest.Now), Since: statetest.Now,
	}
	return after.Authority(state.PeerSide)
}

func TestALostCertificateIsRememberedWhileItIsGood(t *testing.T) {
	const peerCA, peerTLS = "demo-peer-ca", "demo-peer-tls"
	allLost := kubetest.Without(peerCA, peerTLS)
	type objects = func(*testing.T, *kubetest.TLS) []client.Object
	for name, tc := range map[string]struct {
		mode   v1alpha1.TLSMode
		before objects // what the operator saw first; nil when it has just started
		now    objects
		later  time.Duration
		want   bool
	}{
		"all Secrets were deleted at once, and the record of the authority was restored": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(allLost), restored(t, kept))
			}, want: true,
		},
		"it was damaged": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(kubetest.Without(peerCA), kubetest.Changing(peerTLS, garbage("tls.key"))), restored(t, kept))
			}, want: true,
		},
		"one of a foreign authority is in its place": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				foreign := kubetest.NewTLS(t, kept.Cluster, statetest.Now).Certificates[state.PeerCertificate]
				return append(kept.Objects(kubetest.Without(peerCA), kubetest.Changing(peerTLS, func(s *corev1.Secret) {
					s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey] = foreign.Cert, foreign.Key
				})), restored(t, kept))
			}, want: true,
		},
		"it is still there": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now:    func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
		},
		"the operator has just started, and never saw it": {
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(allLost), restored(t, kept))
			},
		},
		"its Secret was never whole": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object {
				return kept.Objects(kubetest.Changing(peerTLS, garbage("tls.key")))
			},
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(allLost), restored(t, kept))
			},
		},
		"somebody else's Secret is in its place": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(kubetest.Without(peerCA), kubetest.Changing(peerTLS, somebodyElses)), restored(t, kept))
			},
		},
		"it has expired meanwhile": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				return append(kept.Objects(allLost), restored(t, kept))
			}, later: 366 * 24 * time.Hour,
		},
		"another authority signs by now": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				other := kubetest.NewTLS(t, kept.Cluster, statetest.Now)
				return append(kept.Objects(allLost), other.Authority(state.PeerSide))
			},
		},
		"it is of the previous authority": {
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now: func(t *testing.T, kept *kubetest.TLS) []client.Object {
				other := kubetest.NewTLS(t, kept.Cluster, statetest.Now)
				a := other.Authorities[state.PeerSide]
				a.Previous = pkitest.Bundle(t, kept.CAs[state.PeerSide])
				other.Authorities[state.PeerSide] = a
				return append(kept.Objects(allLost), other.Authority(state.PeerSide))
			},
		},
		"it is somebody else's, who has it still": {
			mode:   v1alpha1.TLSSecrets,
			before: func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects() },
			now:    func(_ *testing.T, kept *kubetest.TLS) []client.Object { return kept.Objects(kubetest.Without(peerTLS)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			mode := tc.mode
			if mode == "" {
				mode = v1alpha1.TLSManaged
			}
			kept := kubetest.NewTLS(t, kubetest.Cluster(mode), statetest.Now)
			o := tlsObserver(nil)
			var got *state.Cluster
			for i, objects := range []objects{tc.before, tc.now} {
				if objects == nil {
					continue
				}
				api := kubetest.New(t, objects(t, kept)...)
				o.Live, o.Now = api, func() time.Time { return statetest.Now.Add(time.Duration(i) * tc.later) }
				var err error
				if got, err = o.Observe(t.Context(), labelled{Reader: api}, kept.Cluster); err != nil {
					t.Fatal(err)
				}
			}
			if remembered := got.TLS.Certificates[state.PeerCertificate].Remembered; remembered != tc.want {
				t.Errorf("remembered: %t", remembered)
			}
			if last, known := o.LastPublished(got, state.PeerCertificate); tc.want &&
				(!known || !bytes.Equal(last.Key, kept.Certificates[state.PeerCertificate].Key)) {
				t.Errorf("the last one is %s, %t", last, known)
			}
			o.Forget("shop/demo")
			if last, known := o.LastPublished(got, state.PeerCertificate); known {
				t.Errorf("of a cluster that is gone %s is known", last)
			}
		})
	}
}
