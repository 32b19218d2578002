package act

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

const peerCA = "demo-peer-ca"

// unpublished takes all certificates away.
func unpublished() func(client.Object) client.Object {
	return kubetest.Without("demo-peer-tls", "demo-server-tls", "demo-client-tls", "demo-operator-tls")
}

func change(side state.Side, what plan.AuthorityChange) plan.SetAuthority {
	return plan.SetAuthority{Side: side, Change: what, Why: "the test wants it"}
}

func TestTheFirstAuthorityIsMade(t *testing.T) {
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged, func(c *v1alpha1.EtcdCluster) {
			c.Spec.TLS.CALifetime, c.Spec.TLS.CARotation = &metav1.Duration{Duration: time.Hour}, new("2026")
		}), now)
		name := resources.AuthorityName("demo", side)
		w := newWorld(t, kept, kubetest.Without(peerCA, "demo-client-ca"), unpublished())
		if err := w.do(w.observe(), change(side, plan.CreateAuthority)); err != nil {
			t.Fatal(err)
		}
		requireWrites(t, w.api, "create Secret "+name)
		a := w.authority(side)
		cert := pkitest.Certificate(t, a.Signer)
		if !cert.NotAfter.Equal(now.Add(time.Hour)) || !strings.HasPrefix(cert.Subject.CommonName, "demo "+string(side)) {
			t.Errorf("the %s CA is %s, until %s", side, cert.Subject, cert.NotAfter)
		}
		if len(a.Next.Cert) > 0 || !a.Previous.Empty() || !a.Since.Equal(now) || a.Rotation != "2026" {
			t.Errorf("the %s CA is recorded as since %s, rotation %q", side, a.Since, a.Rotation)
		}
		s := w.secret(name)
		if s.Labels[resources.LabelCluster] != "demo" || !metav1.IsControlledBy(s, kept.Cluster) {
			t.Errorf("its Secret has the labels %v and the owners %v", s.Labels, s.OwnerReferences)
		}
	}
}

func TestTheAuthorityOfASourceIsTakenWithoutAKey(t *testing.T) {
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSCertManager, v1alpha1.TLSSecrets} {
		for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
			kept := kubetest.NewTLS(t, kubetest.Cluster(mode), now)
			w := newWorld(t, kept, kubetest.Without(resources.AuthorityName("demo", side)), unpublished())
			if err := w.do(w.observe(), change(side, plan.CreateAuthority)); err != nil {
				t.Fatal(err)
			}
			a := w.authority(side)
			if len(a.Signer.Key) > 0 || !bytes.Equal(a.Signer.Cert, kept.CAs[side].Cert) {
				t.Errorf("mode %s: the %s CA that was taken is %s, want %s", mode, side, a.Signer, kept.CAs[side])
			}
		}
	}
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
	w := newWorld(t, kept, kubetest.Without(peerCA), kubetest.Changing("my-peer", garbage("ca.crt")), unpublished())
	err := w.do(w.observe(), change(state.PeerSide, plan.CreateAuthority))
	w.unchanged(err, failed)
	if !strings.Contains(err.Error(), "Secret my-peer") || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("the error does not name Secret and key: %v", err)
	}
}

// What exists already is never written over, unless it is the cluster's own and damaged.
func TestAnExistingAuthorityIsNotWrittenOver(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*corev1.Secret)
		failure failure
	}{
		"of another controller":                     {somebodyElses, conflict},
		"of somebody who has nothing to do with us": {unlabelled, conflict},
		"of another cluster": {
			func(s *corev1.Secret) { s.Labels[resources.LabelCluster] = "other" }, conflict,
		},
		"about to be deleted":                               {beingDeleted, observeAgain},
		"whole, made by another operator since it was seen": {func(*corev1.Secret) {}, observeAgain},
	} {
		for _, what := range []plan.AuthorityChange{plan.CreateAuthority, plan.RestoreAuthority} {
			t.Run(name+", "+string(what), func(t *testing.T) {
				kept := managed(t)
				empty := newWorld(t, kept, kubetest.Without(peerCA)).create(podOf(kept.Cluster, 0, kept.Trust().Name))
				seen := empty.observe()
				w := newWorld(t, kept, kubetest.Changing(peerCA, tc.change)).create(podOf(kept.Cluster, 0, kept.Trust().Name))
				before := w.secret(peerCA)
				w.unchanged(w.do(seen, change(state.PeerSide, what)), tc.failure)
				if !bytes.Equal(before.Data["tls.key"], w.secret(peerCA).Data["tls.key"]) {
					t.Error("the CA was replaced by a second one")
				}
			})
		}
	}
}

func TestADamagedAuthorityOfAClusterWithoutMembersIsMadeAnew(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept, kubetest.Changing(peerCA, garbage("tls.crt")), unpublished())
	if err := w.do(w.observe(), change(state.PeerSide, plan.CreateAuthority)); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "update Secret "+peerCA)
	if a := w.authority(state.PeerSide); len(a.Signer.Key) == 0 || bytes.Equal(a.Signer.Cert, kept.CAs[state.PeerSide].Cert) {
		t.Errorf("the CA is %s", a.Signer)
	}
}

// Whoever looked before there was one must not make another: what is published would be worthless.
func TestBesideCertificatesThatArePublishedNoFirstAuthorityIsMade(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept, kubetest.Without(peerCA))
	w.unchanged(w.do(w.observe(), change(state.PeerSide, plan.CreateAuthority)), observeAgain)
	w.unchanged(w.do(w.observe(), change(state.ClientSide, plan.CreateAuthority)), observeAgain)
}

// Such as one of a deleted EtcdCluster of the same name, that is about to go.
func TestSomebodyElsesCertificateIsNoReasonToMakeNoAuthority(t *testing.T) {
	w := newWorld(t, managed(t), kubetest.Without(peerCA), kubetest.Changing("demo-peer-tls", somebodyElses))
	if err := w.do(w.observe(), change(state.PeerSide, plan.CreateAuthority)); err != nil {
		t.Fatal(err)
	}
	requireWrites(t, w.api, "create Secret "+peerCA)
}

func TestOfTwoOperatorsThatMakeTheFirstAuthorityOneLoses(t *testing.T) {
	kept := managed(t)
	w := newWorld(t, kept, kubetest.Without(peerCA), unpublished())
	c := w.observe()
	w.meanwhile(func(ctx context.Context, behind client.WithWatch) error {
		return behind.Create(ctx, kept.Authority(state.PeerSide))
	})
	w.unchanged(w.do(c, change(state.PeerSide, plan.CreateAuthority)), observeAgain)
	requireBundle(t, "what is trusted", trustedIn(t, w.authority(state.PeerSide)), kept.CAs[state.PeerSide])
}
