package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// switched is a cluster in which the side's next authority signs, and everybody shows certificates of it.
func switched(side state.Side) *statetest.Builder {
	b := introduced(side).SwitchAuthority(side)
	for _, name := range state.CertificateNames() {
		if name.Side() == side {
			b.Issue(name)
		}
	}
	return b.Serve(0, 1, 2)
}

func TestFormerAuthorityIsDroppedWhenNobodyUsesIt(t *testing.T) {
	peer, client := state.PeerSide, state.ClientSide
	drop := func(side state.Side) plan.Step { return set(side, plan.FinishRotation, "nobody uses the former one") }
	serves := func(side, who string) string {
		return "RotatingCA: the " + side + " CA is rotated: waiting until certificates of the new one are served by " + who
	}
	renewed := func(who string) string {
		return "CertificateRenewing: waiting until renewed certificates are served by " + who
	}
	another := statetest.Fresh().CA("another")
	mustLoad := []string{"RotatingCA: or wait until 2026-11-22T12:00:00Z"}
	keyless := func(a *state.Authority) { a.Signer.Key = false }
	former := func(m *state.Member) { m.Serves.Peer = formed(3)().Build().Members[1].Serves.Peer }
	signsFor := func(d time.Duration) func(*state.Authority) {
		return func(a *state.Authority) {
			a.Signer.RenewAt, a.Signer.NotAfter = statetest.Now.Add(d), statetest.Now.Add(2*d)
		}
	}
	const observed = "RotatingCA: waiting until the disruption controller observes minAvailable 3"
	outdated := func(slot int) func(*state.Member) {
		return func(m *state.Member) { m.Pod.Trust = formed(3)().Build().TLS.Trust }
	}
	published := func(b *statetest.Builder) *statetest.Builder {
		t := formed(3)().Build().TLS
		return b.With(func(c *state.Cluster) { c.TLS.Trusts[t.Trust] = t.Trusts[t.Trust] })
	}
	together := []string{"RotatingCA: the peer CA is rotated: waiting for the rotation of the other one, so that members " +
		"restart only once more for both"}
	both := func(b *statetest.Builder) *statetest.Builder {
		return b.BeginRotation(peer, b.CA("next of peers")).SwitchAuthority(peer).Issue(state.PeerCertificate).PublishTrust().
			Load(0, 1, 2).Serve(0, 1, 2).With(func(c *state.Cluster) {
			for name := range c.TLS.Trusts {
				if name != c.TLS.Trust {
					delete(c.TLS.Trusts, name)
				}
			}
		})
	}
	scenarios{
		"peers need nobody else": {cluster: switched(peer), step: drop(peer)},
		"not before certificates of the new one are published": {
			cluster: introduced(peer).SwitchAuthority(peer), pending: []string{serves("peer", "Secret demo-peer-tls")},
			ensures: []plan.Step{plan.PublishCertificate{
				Name: state.PeerCertificate, Renew: true, Why: "it is of another certificate authority",
			}},
		},
		"not before a member is seen to serve it": {
			cluster: switched(peer).Member(1, former), wake: time.Second,
			pending: []string{serves("peer", "demo-1"), renewed("demo-1")},
		},
		"not while a member that does not run may still show the former": {
			cluster: switched(peer).Crash(1), pending: []string{serves("peer", "demo-1")},
			blocked: []string{"StartingMember: demo-1"},
		},
		"a member without a Pod shows what is published when it starts": {cluster: switched(peer).NoPod(1), step: drop(peer)},
		"not while a Pod cannot be read": {
			cluster: switched(peer).NoPod(1).With(unreadablePod),
			pending: []string{"RotatingCA: the peer CA is rotated: waiting until all members trust the new one: demo-1"},
			blocked: []string{"OwnershipConflict: Pod demo-1 (no version)", "StartingMember: demo-1"},
		},
		"not while a Pod trusts only the former one, which has expired": {
			cluster: published(switched(peer)).Member(1, outdated(1)),
			pending: []string{"RotatingCA: the peer CA is rotated: waiting until all members trust the new one: demo-1"},
			blocked: []string{observed, "RotatingCA: left: demo-1"},
		},
		"clients have to load what their Secret holds by then": {
			cluster: switched(client), pending: mustLoad, mustLoad: load(switched(client)), wake: 24 * time.Hour,
		},
		"which somebody may vouch for": {cluster: switched(client).With(loaded(load(switched(client)))), step: drop(client)},
		"what was said of the former Secret does not count": {
			cluster: switched(client).With(loaded(load(introduced(client)))), pending: mustLoad, mustLoad: load(switched(client)),
			wake: 24 * time.Hour,
		},
		"or for which they had their time": {cluster: switched(client).Later(24 * time.Hour), step: drop(client)},
		"clients get less when the new one has to be replaced before": {
			cluster:  switched(client).Record(client, signsFor(time.Hour)),
			pending:  []string{"RotatingCA: or wait until 2026-11-21T13:00:00Z"},
			mustLoad: load(switched(client)), wake: time.Hour,
		},
		"peers wait for the clients', so that members restart only once more for both": {
			cluster: both(introduced(client)), pending: append(slices.Clone(together), "RotatingCA: or wait until 2026-11-22"),
			mustLoad: load(introduced(client)),
		},
		"also while those load what their Secret holds by then": {
			cluster: both(switched(client)), pending: append(slices.Clone(together), "RotatingCA: or wait until 2026-11-22"),
			mustLoad: load(switched(client)),
		},
		"and then do not wait for each other": {
			cluster: both(switched(client)).With(loaded(load(switched(client)))), step: drop(peer),
		},
		"another request waits until it is dropped": {
			cluster: switched(peer).TLSSpec(func(s *v1alpha1.TLSSpec) { s.CARotation = new("again") }).
				Record(client, func(a *state.Authority) { a.Rotation = "again" }),
			step: drop(peer), absent: noChange,
		},
		"but not the loss of the key that signs now": {
			cluster: introduced(peer).SwitchAuthority(peer).Record(peer, keyless),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "its private key is not there")},
			pending: []string{"RotatingCA: the peer CA is rotated: its private key is not there"},
			absent:  []plan.Step{plan.PublishCertificate{}},
		},
		"nor a source that brings yet another": {
			cluster: introduced(peer).SwitchAuthority(peer).From(v1alpha1.TLSSecrets).SourceCA(peer, another),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "the source of the certificates has another one")},
			pending: []string{"RotatingCA: the peer CA is rotated: the source of the certificates has another one"},
		},
		"nor the end of the new one": {
			cluster: introduced(peer).SwitchAuthority(peer).Record(peer, signsFor(time.Hour)).Later(90 * time.Minute),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "two thirds of its life are over")},
			pending: []string{"RotatingCA: the peer CA is rotated: two thirds of its life are over"},
		},
	}.run(t)
}
