package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// TestRotationSurvivesAnything lets random things happen in random order.
func TestRotationSurvivesAnything(t *testing.T) {
	mild := []func(*world){request("1"), request("2"), scale(3), scale(5), crash, glitch, restartOperator}
	severe := []func(*world){scale(1), deletePod, loseKey(state.PeerSide), loseKey(state.ClientSide), loseNextKey}
	losses := []func(*world){
		loseAuthority(state.PeerSide), loseAuthority(state.ClientSide), loseCertificates(state.PeerCertificate),
		loseCertificates(state.ServerCertificate), loseCertificates(state.ClientCertificate),
		loseCertificates(state.OperatorCertificate), putBack,
	}
	trusts := []func(*world){loseTrusts}
	for name, row := range map[string]struct {
		cluster func() *statetest.Builder
		events  []func(*world)
		outage  bool
	}{
		"of members with volumes": {formed(3), slices.Concat(mild, severe, trusts), false},
		"of ephemeral members":    {withoutVolumes(3), slices.Concat(mild, trusts), false},
		"but an outage when keys and certificates are lost together": {formed(3), slices.Concat(mild, severe, losses), true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range 4 * histories {
				d := dice(seed)
				j := journey{cluster: row.cluster, begin: request("0"), outage: row.outage}
				for range 6 {
					j.meanwhile = append(j.meanwhile, row.events[d.n(len(row.events))])
				}
				if !j.travel(t, seed) {
					return
				}
			}
		})
	}
}

// TestShortLivesNeedNoOutage goes through rotation after rotation, although clients are promised more time than there is.
func TestShortLivesNeedNoOutage(t *testing.T) {
	for seed := range 3 {
		b := statetest.Formed(3).TLSFor(v1alpha1.TLSSpec{
			CALifetime: &metav1.Duration{Duration: time.Hour}, CertificateLifetime: &metav1.Duration{Duration: 10 * time.Minute},
		})
		w := inhabit(b, seed)
		w.vouches, w.skips, w.second, w.client.certificate = false, false, 2*time.Second, ""
		first := w.c.TLS.Peer.Signer
		for w.c.Now.Before(statetest.Now.Add(4 * time.Hour)) {
			c, d := w.pass()
			w.load(d)
			w.live()
			if faults := append(faults(c, d), w.strangers()...); len(faults) > 0 {
				t.Fatalf("seed %d, after %s: %s\n%s\n%s", seed, w.c.Now.Sub(statetest.Now), strings.Join(faults, "\n"), w, tell(d))
			}
		}
		if w.made < 4 || slices.Contains(statetest.Trusted(w.c.TLS.Peer), first.Certificates[0]) {
			t.Errorf("seed %d: too few rotations in the time", seed)
		}
	}
}
