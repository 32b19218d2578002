package act

import (
	"bytes"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func trustedIn(t *testing.T, a resources.Authority) pki.Bundle {
	t.Helper()
	bundle, err := a.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func TestARotationStepByStep(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged, func(c *v1alpha1.EtcdCluster) {
		c.Spec.TLS.CARotation = new("before")
	}), now.Add(-time.Hour))
	w := newWorld(t, kept)
	kept.Cluster.Spec.TLS.CARotation = new("2026")
	old := kept.CAs[state.PeerSide]

	if err := w.do(w.observe(), change(state.PeerSide, plan.BeginRotation)); err != nil {
		t.Fatal(err)
	}
	begun := w.authority(state.PeerSide)
	next := begun.Next
	if !bytes.Equal(begun.Signer.Key, old.Key) || len(next.Key) == 0 || !begun.Previous.Empty() {
		t.Errorf("after the beginning %s signs, %s is next, %s is the previous one", begun.Signer, next, begun.Previous)
	}
	if begun.Rotation != "2026" || !begun.Since.Equal(now) {
		t.Errorf("the rotation %q since %s is recorded", begun.Rotation, begun.Since)
	}
	requireBundle(t, "trusted after the beginning", trustedIn(t, begun), old, next)

	if err := w.do(w.observe(), change(state.PeerSide, plan.SwitchAuthority)); err != nil {
		t.Fatal(err)
	}
	switched := w.authority(state.PeerSide)
	if !bytes.Equal(switched.Signer.Key, next.Key) || len(switched.Next.Cert)+len(switched.Next.Key) > 0 {
		t.Errorf("after the switch %s signs, and %s is next", switched.Signer, switched.Next)
	}
	requireBundle(t, "the previous one after the switch", switched.Previous, old)
	requireBundle(t, "trusted after the switch", trustedIn(t, switched), old, next)
	for key, value := range w.secret(peerCA).Data {
		if bytes.Contains(value, old.Key) {
			t.Errorf("the key of the CA that signs no more is kept in %s", key)
		}
	}

	if err := w.do(w.observe(), change(state.PeerSide, plan.FinishRotation)); err != nil {
		t.Fatal(err)
	}
	finished := w.authority(state.PeerSide)
	requireBundle(t, "trusted in the end", trustedIn(t, finished), next)
	if !bytes.Equal(finished.Signer.Key, next.Key) || !finished.Previous.Empty() {
		t.Errorf("in the end %s signs, and %s is the previous one", finished.Signer, finished.Previous)
	}
	requireBundle(t, "the other side", trustedIn(t, w.authority(state.ClientSide)), kept.CAs[state.ClientSide])
}

func TestARotationTakesTheSourcesNewAuthority(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), now)
	w := newWorld(t, kept)
	for i := range 2 { // the second one comes while the first is introduced, and takes its place
		next := pkitest.CA(t, "theirs", now)
		replaced := kept.Source("my-peer", pkitest.Leaf(t, next, now, "*.demo-peers.shop.svc"), next)
		if err := w.api.Update(t.Context(), replaced); err != nil {
			t.Fatal(err)
		}
		if err := w.do(w.observe(), change(state.PeerSide, plan.BeginRotation)); err != nil {
			t.Fatal(err)
		}
		a := w.authority(state.PeerSide)
		requireBundle(t, "trusted", trustedIn(t, a), kept.CAs[state.PeerSide], next)
		if len(a.Next.Key) > 0 || !bytes.Equal(a.Next.Cert, next.Cert) {
			t.Errorf("change %d: the next one is %s, want %s without its key", i+1, a.Next, next)
		}
	}
}

func TestAStepOfARotationThatCameTooLateChangesNothing(t *testing.T) {
	steps := []plan.AuthorityChange{plan.BeginRotation, plan.SwitchAuthority, plan.FinishRotation}
	for name, tc := range map[string]struct {
		since func(*world) error
		steps []plan.AuthorityChange
	}{
		"the Secret is gone": {func(w *world) error { return w.api.Delete(w.t.Context(), w.secret(peerCA)) }, steps},
		"the Secret was damaged": {func(w *world) error {
			s := w.secret(peerCA)
			s.Data["tls.key"] = []byte("garbage")
			return w.api.Update(w.t.Context(), s)
		}, steps},
		"another operator went on": {func(w *world) error {
			a := w.kept.Authorities[state.PeerSide]
			a.Next = pkitest.CA(w.t, "another", now)
			w.kept.Authorities[state.PeerSide] = a
			return w.api.Update(w.t.Context(), w.kept.Authority(state.PeerSide))
		}, steps},
		"another operator switched": {func(w *world) error {
			a := w.kept.Authorities[state.PeerSide]
			a.Previous = a.Previous.With(pkitest.Bundle(w.t, a.Signer))
			a.Signer, a.Next = a.Next, pki.Pair{}
			w.kept.Authorities[state.PeerSide] = a
			return w.api.Update(w.t.Context(), w.kept.Authority(state.PeerSide))
		}, []plan.AuthorityChange{plan.SwitchAuthority}},
	} {
		for _, step := range tc.steps {
			t.Run(name+", "+string(step), func(t *testing.T) {
				kept := managed(t)
				a := kept.Authorities[state.PeerSide]
				a.Next = pkitest.CA(t, "next", now)
				kept.Authorities[state.PeerSide] = a
				w := newWorld(t, kept)
				c := w.observe()
				if err := tc.since(w); err != nil {
					t.Fatal(err)
				}
				w.api.Writes = nil
				w.unchanged(w.do(c, change(state.PeerSide, step)), observeAgain)
			})
		}
	}
}

func TestAConcurrentChangeOfAnAuthorityWins(t *testing.T) {
	for _, step := range []plan.AuthorityChange{plan.BeginRotation, plan.SwitchAuthority, plan.FinishRotation} {
		kept := managed(t)
		a := kept.Authorities[state.PeerSide]
		a.Next, a.Previous = pkitest.CA(t, "next", now), pkitest.Bundle(t, pkitest.CA(t, "old", now))
		kept.Authorities[state.PeerSide] = a
		w := newWorld(t, kept)
		c, before := w.observe(), w.secret(peerCA)
		w.meanwhile(touch(peerCA))
		w.unchanged(w.do(c, change(state.PeerSide, step)), observeAgain)
		after := w.secret(peerCA)
		if after.Annotations["touched"] != "yes" || !bytes.Equal(before.Data["tls.key"], after.Data["tls.key"]) {
			t.Errorf("%s: it went over the change of somebody else", step)
		}
	}
}

// What cannot be taken back is confirmed by a live look: here at Pods that the cache does not show.
func TestASwitchIsDoneOnlyWhenTheLiveStateAsksForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		live    func(*kubetest.TLS) []client.Object
		refused bool
	}{
		"nobody is left who does not trust the new one": {func(*kubetest.TLS) []client.Object { return nil }, false},
		"a member trusts the old one only": {func(kept *kubetest.TLS) []client.Object {
			old := managed(t)
			old.CAs, old.Authorities[state.ClientSide] = kept.CAs, kept.Authorities[state.ClientSide]
			old.Authorities[state.PeerSide] = resources.Authority{Signer: kept.CAs[state.PeerSide], Since: now}
			return []client.Object{old.Trust(), podOf(kept.Cluster, 0, old.Trust().Name)}
		}, true},
		"what a member trusts is unknown": {func(kept *kubetest.TLS) []client.Object {
			return []client.Object{podOf(kept.Cluster, 0, "demo-trust-gone")}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			kept := managed(t)
			a := kept.Authorities[state.PeerSide]
			a.Next = pkitest.CA(t, "next", now)
			kept.Authorities[state.PeerSide] = a
			w := newWorld(t, kept)
			c := w.observe()
			step, ok := plan.Next(c).Step.(plan.SetAuthority)
			if !ok || step.Change != plan.SwitchAuthority {
				t.Fatalf("the plan is %v, the test needs a switch", plan.Next(c).Step)
			}
			w.create(tc.live(kept)...)
			err := w.operator.Do(t.Context(), c, step)
			if !tc.refused {
				if err != nil || !bytes.Equal(w.authority(state.PeerSide).Signer.Key, a.Next.Key) {
					t.Errorf("it was not done: %v", err)
				}
				return
			}
			if err == nil || len(w.api.Writes) > 0 {
				t.Errorf("it was done, and the member is cut off: %v, %v", w.api.Writes, err)
			}
		})
	}
}
