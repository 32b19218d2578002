package statetest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// TLS turns what was built so far into a cluster that speaks TLS, in mode Managed: every URL is https, every
// certificate is new and valid, and all Pods trust and serve what is published. Where Kubernetes holds nothing of the
// cluster yet, it holds no certificates either.
func (b *Builder) TLS() *Builder {
	return b.TLSFor(v1alpha1.TLSSpec{Mode: ptr.To(v1alpha1.TLSManaged)})
}

// TLSFor is TLS with what the user wrote about it.
func (b *Builder) TLSFor(spec v1alpha1.TLSSpec) *Builder {
	c := b.c
	c.Object.Spec.TLS = &spec
	c.TLS = &state.TLS{
		Managed: true, Certificates: map[state.CertificateName]state.Certificate{}, Trusts: map[string]state.Trust{},
	}
	for _, name := range state.CertificateNames() {
		c.TLS.Certificates[name] = state.Certificate{
			Secret: resources.CertificateSecretName(Name, name), Wanted: resources.CertificateRequest(c.Object, name, nil, 0),
		}
	}
	if c.Latch == nil && len(c.Members) == 0 {
		return b
	}
	b.secure()
	for _, side := range Sides() {
		b.Record(side, func(a *state.Authority) {
			*a = state.Authority{Exists: true, Recorded: true, Signer: b.CA(string(side) + " 1"), Since: c.Now}
		})
	}
	b.Issue(state.CertificateNames()...).PublishTrust()
	for i := range c.Members {
		if c.Members[i].Pod != nil {
			b.Load(c.Members[i].Slot)
			b.Serve(c.Members[i].Slot)
		}
	}
	return b
}

// Sides are both sides of the traffic.
func Sides() []state.Side { return []state.Side{state.PeerSide, state.ClientSide} }

// CA is a new authority whose key the operator holds. Equal names make equal ones.
func (b *Builder) CA(name string) state.CA {
	ca := CAs(fingerprint("CA", name))
	ca.Key = true
	ca.NotBefore, ca.NotAfter = b.c.Now, b.c.Now.Add(resources.CALifetime(b.c.Object))
	ca.RenewAt = twoThirds(ca.NotBefore, ca.NotAfter)
	return ca
}

func twoThirds(from, to time.Time) time.Time { return from.Add(to.Sub(from) / 3 * 2) }

// CAs are certificates of authorities, by fingerprint, that are given together.
func CAs(certificates ...string) state.CA {
	slices.Sort(certificates)
	certificates = slices.Compact(certificates)
	return state.CA{ID: fingerprint("bundle", certificates...)[:16], Certificates: certificates}
}

// Record changes the record of a side's authority, and what follows from it: what is wanted to be trusted, and which of
// its CAs issued the certificates that are published.
func (b *Builder) Record(side state.Side, change func(*state.Authority)) *Builder {
	t := b.c.TLS
	a := &t.Peer
	if side == state.ClientSide {
		a = &t.Client
	}
	change(a)
	a.Bundle = ""
	if a.Recorded {
		a.Bundle = CAs(Trusted(*a)...).ID
	}
	b.want()
	for name, cert := range t.Certificates {
		cert.Issuer = issuer(t.Authority(name.Side()), b.issued[cert.Fingerprint])
		t.Certificates[name] = cert
	}
	return b
}

// want makes up what members are to trust and to demand.
func (b *Builder) want() {
	t, demanded := b.c.TLS, ""
	if !t.AnyPeerName {
		demanded = resources.DemandedCommonName(b.c.Object)
	}
	t.Trust = ""
	if t.Peer.Recorded && t.Client.Recorded {
		t.Trust = trustName(Trusted(t.Peer), Trusted(t.Client), demanded)
	}
}

// AnyPeerName has members that start from now on demand no common name, or again the one of the mode.
func (b *Builder) AnyPeerName(accepted bool) *Builder {
	b.c.TLS.AnyPeerName = accepted
	b.want()
	return b
}

// Trusted are the fingerprints of all CAs of a side that are to be trusted.
func Trusted(a state.Authority) []string {
	list := slices.Clone(a.Signer.Certificates)
	for _, ca := range []*state.CA{a.Next, a.Previous} {
		if ca != nil {
			list = append(list, ca.Certificates...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// BeginRotation records that a CA is to take the signer's place.
func (b *Builder) BeginRotation(side state.Side, next state.CA) *Builder {
	return b.Record(side, func(a *state.Authority) {
		a.Next, a.Since, a.Rotation = &next, b.c.Now, resources.CARotation(b.c.Object)
	})
}

// SwitchAuthority lets the next CA sign.
func (b *Builder) SwitchAuthority(side state.Side) *Builder {
	return b.Record(side, func(a *state.Authority) {
		former := a.Signer
		former.Key = false
		if a.Previous != nil {
			former = CAs(slices.Concat(a.Previous.Certificates, former.Certificates)...)
		}
		a.Previous, a.Signer, a.Next, a.Since = &former, *a.Next, nil, b.c.Now
	})
}

// FinishRotation ends the trust in the previous CA.
func (b *Builder) FinishRotation(side state.Side) *Builder {
	return b.Record(side, func(a *state.Authority) { a.Previous, a.Since = nil, b.c.Now })
}

// Issue publishes new certificates of the CAs that sign now.
func (b *Builder) Issue(names ...state.CertificateName) *Builder {
	for _, name := range names {
		b.serial++
		hash := fingerprint("certificate", string(name), strings.Repeat("+", b.serial))
		b.put(name, hash, b.c.TLS.Certificates[name].Wanted.CommonName, b.c.TLS.Authority(name.Side()).Signer)
	}
	return b.Bundle(names...)
}

// Publish publishes a certificate that was published before.
func (b *Builder) Publish(name state.CertificateName, former state.Certificate) *Builder {
	former.Since = b.c.Now
	b.c.TLS.Certificates[name] = former
	return b.Record(name.Side(), func(*state.Authority) {}).Bundle(name)
}

// put publishes a certificate of the CA, which may be one of a source.
func (b *Builder) put(name state.CertificateName, hash, commonName string, ca state.CA) {
	if b.issued == nil {
		b.issued, b.commonNames = map[string]string{}, map[string]string{}
	}
	b.issued[hash], b.commonNames[hash] = ca.Certificates[0], commonName
	cert := b.c.TLS.Certificates[name]
	if b.issued[cert.Fingerprint] != b.issued[hash] {
		cert.Since = b.c.Now
	}
	cert.Exists, cert.Remembered, cert.Problem, cert.Differs, cert.Fingerprint = true, false, "", "", hash
	cert.CommonName = commonName
	cert.Issuer = issuer(b.c.TLS.Authority(name.Side()), b.issued[hash])
	cert.NotBefore, cert.NotAfter = b.c.Now, b.c.Now.Add(resources.CertificateLifetime(b.c.Object))
	if cert.NotAfter.After(ca.NotAfter) && !ca.NotAfter.IsZero() {
		cert.NotAfter = ca.NotAfter
	}
	cert.RenewAt = twoThirds(cert.NotBefore, cert.NotAfter)
	b.c.TLS.Certificates[name] = cert
}

// Bundle publishes the CAs of their side with the certificates.
func (b *Builder) Bundle(names ...state.CertificateName) *Builder {
	return b.certificates(names, func(name state.CertificateName, cert *state.Certificate) {
		if bundle := b.c.TLS.Authority(name.Side()).Bundle; cert.Bundle != bundle {
			cert.Bundle, cert.Since = bundle, b.c.Now
		}
	})
}

// PublishTrust publishes what is wanted to be trusted.
func (b *Builder) PublishTrust() *Builder {
	t := b.c.TLS
	t.Trusts[t.Trust] = state.Trust{Peer: Trusted(t.Peer), Client: Trusted(t.Client), ResourceVersion: "1"}
	return b
}

// Load has the members' processes trust what is wanted now.
func (b *Builder) Load(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Trust, m.Pod.Args = b.c.TLS.Trust, b.Args(m.Slot, m.ID, m.Pod.Version)
	})
}

// Serve brings the published certificates to the members, and has those that run be seen to serve them.
func (b *Builder) Serve(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Certificates, m.Serves = b.c.TLS.Revision(), state.Serves{}
		if m.Pod.Running {
			m.Serves = b.served()
		}
	})
}

func (b *Builder) served() state.Serves {
	if b.c.TLS == nil {
		return state.Serves{}
	}
	certs := b.c.TLS.Certificates
	return state.Serves{
		Peer: certs[state.PeerCertificate].Fingerprint, Server: certs[state.ServerCertificate].Fingerprint,
	}
}

// Issuer is the fingerprint of the CA that issued a certificate.
func (b *Builder) Issuer(certificate string) string { return b.issued[certificate] }

// CommonName is that of a certificate, by its fingerprint.
func (b *Builder) CommonName(certificate string) string { return b.commonNames[certificate] }

// issuer is the ID of the CA, or of those given together, among which the one with the fingerprint is.
func issuer(a state.Authority, hash string) string {
	for _, ca := range []*state.CA{&a.Signer, a.Next, a.Previous} {
		if ca != nil && slices.Contains(ca.Certificates, hash) {
			return ca.ID
		}
	}
	return ""
}

// certificates changes published certificates.
func (b *Builder) certificates(
	names []state.CertificateName, change func(state.CertificateName, *state.Certificate),
) *Builder {
	for _, name := range names {
		cert := b.c.TLS.Certificates[name]
		change(name, &cert)
		b.c.TLS.Certificates[name] = cert
	}
	return b
}

// trustName is made from the content, as the real one is.
func trustName(peer, client []string, demanded string) string {
	content := slices.Concat(peer, []string{"/"}, client, []string{"/", demanded})
	return Name + "-trust-" + fingerprint("trust", content...)[:10]
}

func fingerprint(kind string, parts ...string) string {
	sum := sha256.Sum256([]byte(kind + "/" + strings.Join(parts, "/")))
	return hex.EncodeToString(sum[:])
}
