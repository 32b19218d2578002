package act

import (
	"bytes"
	"context"
	"strings"
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

func TestASourceThatDoesNotFitIsNotCopied(t *testing.T) {
	other := pkitest.CA(t, "other", now)
	for name, tc := range map[string]struct {
		change  func(client.Object) client.Object
		failure failure
		tells   string
	}{
		"of an authority that not everybody trusts yet": {
			kubetest.Changing("my-server", func(s *corev1.Secret) {
				leaf := pkitest.Leaf(t, other, now, "localhost")
				s.Data["tls.crt"], s.Data["tls.key"], s.Data["ca.crt"] = leaf.Cert, leaf.Key, other.Cert
			}), observeAgain, "the server certificate",
		},
		"damaged": {kubetest.Changing("my-server", garbage("tls.crt")), failed, "Secret my-server key tls.crt"},
		"gone":    {kubetest.Without("my-server"), observeAgain, "my-server"},
	} {
		t.Run(name, func(t *testing.T) {
			kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
			w := newWorld(t, kept, tc.change)
			err := w.do(w.observe(), renewal)
			w.unchanged(err, tc.failure)
			if err != nil && !strings.Contains(err.Error(), tc.tells) {
				t.Errorf("the error lacks %q: %v", tc.tells, err)
			}
		})
	}
}

func TestACertificateIsNotPublishedWhen(t *testing.T) {
	secretExists := func(change func(*corev1.Secret)) func(*world) error {
		return func(w *world) error {
			s := w.kept.Certificate(state.ServerCertificate)
			change(s)
			if err := w.api.Delete(w.t.Context(), w.secret(serverTLS)); err != nil {
				return err
			}
			return w.api.Create(w.t.Context(), s)
		}
	}
	authority := func(change func(*world, *resources.Authority)) func(*world) error {
		return func(w *world) error {
			a := w.kept.Authorities[state.ClientSide]
			change(w, &a)
			w.kept.Authorities[state.ClientSide] = a
			return w.api.Update(w.t.Context(), w.kept.Authority(state.ClientSide))
		}
	}
	for name, tc := range map[string]struct {
		since   func(*world) error
		steps   []plan.PublishCertificate
		failure failure
		tells   string
	}{
		"its Secret belongs to another controller": {
			secretExists(somebodyElses), []plan.PublishCertificate{renewal, republication}, conflict,
			"Secret demo-server-tls belongs to something else: delete or rename it",
		},
		"its Secret is somebody's who has nothing to do with us": {
			secretExists(unlabelled), []plan.PublishCertificate{renewal, republication}, conflict,
			"Secret demo-server-tls belongs to something else",
		},
		"its Secret is gone, and only the CAs were to be changed": {
			func(w *world) error { return w.api.Delete(w.t.Context(), w.secret(serverTLS)) },
			[]plan.PublishCertificate{republication}, observeAgain, "the server certificate is gone",
		},
		"the authority is gone": {
			func(w *world) error { return w.api.Delete(w.t.Context(), w.secret("demo-client-ca")) },
			[]plan.PublishCertificate{renewal, republication}, observeAgain, "the client CA is gone",
		},
		"the authority is damaged": {
			func(w *world) error {
				s := w.secret("demo-client-ca")
				garbage("tls.key")(s)
				return w.api.Update(w.t.Context(), s)
			},
			[]plan.PublishCertificate{renewal, republication}, observeAgain, "the client CA: key tls.crt: private key",
		},
		"a rotation began meanwhile": {
			authority(func(w *world, a *resources.Authority) { a.Next = pkitest.CA(w.t, "next", now) }),
			[]plan.PublishCertificate{renewal, republication}, observeAgain, "the client CA",
		},
		"the key of the authority was lost meanwhile, and the last certificate is not remembered": {
			authority(func(w *world, a *resources.Authority) {
				a.Signer.Key = nil
				w.operator.Observer.Forget("shop/demo")
			}),
			[]plan.PublishCertificate{renewal}, failed, "issue the server certificate: CA: private key",
		},
		"the authority has expired": {
			authority(func(w *world, a *resources.Authority) {
				expired, err := pki.NewCA("expired", now.Add(-2*time.Hour), time.Hour)
				if err != nil {
					w.t.Fatal(err)
				}
				a.Signer = expired
			}), []plan.PublishCertificate{renewal}, observeAgain, "the client CA",
		},
	} {
		for _, step := range tc.steps {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, managed(t))
				c := w.observe()
				if err := tc.since(w); err != nil {
					t.Fatal(err)
				}
				w.api.Writes = nil
				err := w.do(c, step)
				w.unchanged(err, tc.failure)
				if err != nil && !strings.Contains(err.Error(), tc.tells) {
					t.Errorf("the error lacks %q: %v", tc.tells, err)
				}
			})
		}
	}
}

func TestAConcurrentChangeOfACertificateWins(t *testing.T) {
	for _, step := range []plan.PublishCertificate{renewal, republication} {
		kept := managed(t)
		w := newWorld(t, kept)
		c := w.observe()
		w.meanwhile(touch(serverTLS))
		w.unchanged(w.do(c, step), observeAgain)
		pair, _ := w.publishedIn(serverTLS)
		if !bytes.Equal(pair.Key, kept.Certificates[state.ServerCertificate].Key) || w.secret(serverTLS).Annotations["touched"] != "yes" {
			t.Error("it went over the change of somebody else")
		}
	}
	kept := managed(t)
	w := newWorld(t, kept, kubetest.Without(serverTLS))
	c := w.observe()
	w.meanwhile(func(ctx context.Context, behind client.WithWatch) error {
		return behind.Create(ctx, kept.Certificate(state.ServerCertificate))
	})
	w.unchanged(w.do(c, renewal), observeAgain)
}
