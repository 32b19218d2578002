package act

import (
	"bytes"
	"testing"

	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// Somebody may have put the Secret of another CA into the place of the one that members trust. To an operator whose
// cache is behind, that of a rotation looks like this: its key would be lost for ever.
func TestAnAuthorityIsSupplantedOnlyWhenNoPodTrustsItNow(t *testing.T) {
	kept := managed(t)
	former := kept.Trust()
	a := kept.Authorities[state.PeerSide]
	a.Signer = pkitest.CA(t, "another", now)
	kept.Authorities[state.PeerSide] = a
	latch := resources.NewLatch(kept.Cluster, 1, "token-1", 3, statetest.Version)
	latch.Launched = []uint64{resources.LatchMembers(kept.Cluster, latch)[0].MemberID}
	claim := resources.Volume(kept.Cluster, resources.LatchMembers(kept.Cluster, latch)[0])
	trusting := func(trust string) *world {
		return newWorld(t, kept).create(podOf(kept.Cluster, 0, trust), claim.DeepCopy(), resources.Latch(kept.Cluster, latch))
	}
	outdated := trusting(former.Name).create(former)
	seen := outdated.observe()
	supplant := plan.SetAuthority{
		Side: state.PeerSide, Change: plan.SupplantAuthority, Why: "no member trusts the one that is recorded",
	}
	if d := plan.Next(seen); !d.Proposes(supplant) {
		t.Fatalf("planned are %v, want %v", d.Ensures, supplant)
	}

	current := trusting(kept.Trust().Name)
	before := current.secret(peerCA)
	if err := current.operator.Do(t.Context(), seen, supplant); err == nil {
		t.Error("an outdated plan was carried out")
	}
	if !bytes.Equal(before.Data["tls.key"], current.secret(peerCA).Data["tls.key"]) {
		t.Error("the CA that members trust was supplanted")
	}

	if err := outdated.operator.Do(t.Context(), seen, supplant); err != nil {
		t.Fatal(err)
	}
	if now := outdated.authority(state.PeerSide); bytes.Equal(now.Signer.Cert, a.Signer.Cert) || len(now.Next.Key) == 0 {
		t.Errorf("%s signs, and %s is the next one", now.Signer, now.Next)
	}
}
