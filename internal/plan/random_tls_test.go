package plan_test

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// certificates are at some point of a rotation, of which some members have seen less than others, and some are lost.
func (d *dice) certificates(b *statetest.Builder) string {
	t := b.Build().TLS
	if t == nil || !t.Peer.Recorded {
		return ""
	}
	story := ", TLS"
	if d.one(4) {
		mode := []v1alpha1.TLSMode{v1alpha1.TLSCertManager, v1alpha1.TLSSecrets}[d.n(2)]
		b.From(mode)
		story += " of " + string(mode)
	}
	for _, side := range statetest.Sides() {
		story += fmt.Sprintf(" (%s %s)", side, d.rotation(b, side))
	}
	d.losses(b)
	b.With(func(c *state.Cluster) {
		for i := range c.Members {
			if m := &c.Members[i]; m.Pod != nil && !d.one(4) {
				b.Serve(m.Slot)
			}
		}
		if d.one(12) {
			b.Later(time.Duration(d.n(12)) * 365 * 24 * time.Hour)
		}
	})
	return story
}

// rotation takes the side to some phase.
func (d *dice) rotation(b *statetest.Builder, side state.Side) string {
	phase := d.n(8)
	if phase == 7 {
		b.BeginRotation(side, b.CA(string(side)+" 2")).SwitchAuthority(side).PublishTrust()
		for _, name := range state.CertificateNames() {
			if name.Side() == side {
				b.Issue(name)
			}
		}
		if d.one(2) {
			b.NotServing()
		}
		return "after all had expired"
	}
	if phase > 0 {
		next := b.CA(string(side) + " 2")
		if b.Build().TLS.Certificates[state.PeerCertificate].Source != nil {
			b.SourceCA(side, next)
		}
		b.BeginRotation(side, next)
	}
	if phase > 1 {
		b.PublishTrust()
	}
	if phase > 2 {
		d.load(b, phase == 3)
	}
	if phase > 3 {
		b.SwitchAuthority(side)
	}
	for _, name := range state.CertificateNames() {
		switch source := b.Build().TLS.Certificates[name].Source; {
		case phase < 5 || name.Side() != side || phase == 5 && d.one(2):
		case source != nil:
			b.Take(name)
		default:
			b.Issue(name)
		}
	}
	if phase == 6 && d.one(2) {
		b.FinishRotation(side).PublishTrust()
	}
	if d.one(6) {
		b.LoseKey(side)
	}
	if d.one(20) {
		b.LoseAuthority(side)
	}
	if d.one(30) {
		other := b.CA("another cluster's")
		b.Record(side, func(a *state.Authority) { a.Signer, a.Next, a.Previous = other, nil, nil })
	}
	return fmt.Sprintf("in phase %d", phase)
}

// load has the Pods trust what is wanted, perhaps only some of them.
func (d *dice) load(b *statetest.Builder, some bool) {
	for _, m := range b.Build().Members {
		if m.Pod != nil && (!some || !d.one(2)) {
			b.Load(m.Slot)
		}
	}
	b.With(func(c *state.Cluster) {
		for i := range c.Leftovers.Pods {
			if !some || d.one(2) {
				c.Leftovers.Pods[i].Trust = c.TLS.Trust
			}
		}
	})
}

func (d *dice) losses(b *statetest.Builder) {
	for _, name := range state.CertificateNames() {
		switch d.n(24) {
		case 0:
			b.LoseCertificates(name)
		case 1:
			b.Differ(name, "lacks the DNS name x")
		case 2:
			b.DamageCertificate(name, "lacks the key tls.key")
		case 3:
			if b.Build().TLS.Certificates[name].Source != nil {
				b.SourceProblem(name, "Secret x does not exist")
			}
		}
	}
	if d.one(20) {
		b.LoseTrusts()
	}
}
