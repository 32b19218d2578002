package statetest

import (
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// Later lets time pass.
func (b *Builder) Later(d time.Duration) *Builder {
	b.c.Now = b.c.Now.Add(d)
	return b
}

// TLSSpec changes spec.tls.
func (b *Builder) TLSSpec(change func(*v1alpha1.TLSSpec)) *Builder {
	change(b.c.Object.Spec.TLS)
	return b
}

// LoseKey takes the private key away with which the side's authority signs.
func (b *Builder) LoseKey(side state.Side) *Builder {
	return b.Record(side, func(a *state.Authority) { a.Signer.Key = false })
}

// LoseAuthority deletes the Secrets of the sides' authorities.
func (b *Builder) LoseAuthority(sides ...state.Side) *Builder {
	for _, side := range sides {
		b.Record(side, func(a *state.Authority) { *a = state.Authority{} })
	}
	return b
}

// DamageAuthority makes the Secret of a side's authority one that cannot be read.
func (b *Builder) DamageAuthority(side state.Side, problem string) *Builder {
	return b.Record(side, func(a *state.Authority) { *a = state.Authority{Exists: true, Problem: problem} })
}

// LoseCertificates deletes the Secrets of certificates.
func (b *Builder) LoseCertificates(names ...state.CertificateName) *Builder {
	return b.certificates(names, func(_ state.CertificateName, cert *state.Certificate) {
		*cert = state.Certificate{Secret: cert.Secret, Wanted: cert.Wanted, Source: cert.Source}
	})
}

// DamageCertificate makes a certificate's Secret one that cannot be used.
func (b *Builder) DamageCertificate(name state.CertificateName, problem string) *Builder {
	return b.LoseCertificates(name).certificates([]state.CertificateName{name},
		func(_ state.CertificateName, cert *state.Certificate) { cert.Problem = problem })
}

// Differ makes a certificate another than the one that is wanted.
func (b *Builder) Differ(name state.CertificateName, how string) *Builder {
	return b.certificates([]state.CertificateName{name},
		func(_ state.CertificateName, cert *state.Certificate) { cert.Differs = how })
}

// LoseTrusts deletes the ConfigMaps with what is trusted.
func (b *Builder) LoseTrusts() *Builder {
	clear(b.c.TLS.Trusts)
	return b
}

// From has all certificates come from sources in this mode, and always to have come from there: from Secrets with a
// certificate of the CA that signs now.
func (b *Builder) From(mode v1alpha1.TLSMode) *Builder {
	former := b.c.TLS.Trust
	b.TakeFrom(mode, false)
	b.certificates(state.CertificateNames(), func(_ state.CertificateName, cert *state.Certificate) {
		if cert.Exists {
			cert.CommonName, b.commonNames[cert.Fingerprint] = cert.Source.CommonName, cert.Source.CommonName
		}
	})
	t := b.c.TLS
	if b.want(); t.Trust == former {
		return b
	}
	if trust, published := t.Trusts[former]; published {
		t.Trusts[t.Trust] = trust
		delete(t.Trusts, former)
	}
	for i := range b.c.Members {
		if m := &b.c.Members[i]; m.Pod != nil && m.Pod.Trust == former {
			b.Load(m.Slot)
		}
	}
	for i := range b.c.Leftovers.Pods {
		if p := &b.c.Leftovers.Pods[i]; p.Trust == former {
			p.Trust = t.Trust
		}
	}
	return b
}

// theirName is the common name of peers in certificates that are given in Secrets.
const theirName = "etcd.example.com"

// TakeFrom is an edit of the mode: the sources have the certificates that are published, or other ones, of the CAs that
// sign now.
func (b *Builder) TakeFrom(mode v1alpha1.TLSMode, others bool) *Builder {
	b.c.TLS.Managed = false
	b.TLSSpec(func(s *v1alpha1.TLSSpec) {
		s.Mode, s.Secrets, s.CertManager = ptr.To(mode), nil, nil
		if mode == v1alpha1.TLSSecrets {
			s.Secrets = &v1alpha1.SecretsTLS{Peer: "my-peer", Server: "my-server", Client: "my-client"}
		} else {
			s.CertManager = &v1alpha1.CertManagerTLS{
				PeerIssuer: v1alpha1.IssuerReference{Name: "peers"}, ClientIssuer: v1alpha1.IssuerReference{Name: "clients"},
			}
		}
	})
	b.certificates(state.CertificateNames(), func(name state.CertificateName, cert *state.Certificate) {
		cert.Wanted = resources.CertificateRequest(b.c.Object, name, nil, 0)
		cert.Source = &state.CertificateSource{
			Secret: resources.SourceSecretName(b.c.Object, name), Fingerprint: cert.Fingerprint,
			CommonName: cert.Wanted.CommonName, CA: b.c.TLS.Authority(name.Side()).Signer,
		}
		if name == state.PeerCertificate && mode == v1alpha1.TLSSecrets {
			cert.Source.CommonName = theirName
		}
		if others {
			b.serial++
			cert.Source.Fingerprint = fingerprint("certificate of a source", string(name), strings.Repeat("+", b.serial))
		}
	})
	for _, side := range Sides() {
		if b.c.TLS.Authority(side).Recorded {
			b.LoseKey(side)
		}
		b.SourceCA(side, b.c.TLS.Authority(side).Signer)
	}
	return b
}

// SourceCA has the sources of a side bring the certificates that were published, if they are of this CA, or new ones.
func (b *Builder) SourceCA(side state.Side, ca state.CA) *Builder {
	for _, name := range state.CertificateNames() {
		if name.Side() == side {
			b.Renew(name, ca)
		}
	}
	return b
}

// Renew has one source bring a certificate of the CA: a new one, unless what it has is of that CA.
func (b *Builder) Renew(name state.CertificateName, ca state.CA) *Builder {
	ca.Key = false
	return b.certificates([]state.CertificateName{name}, func(name state.CertificateName, cert *state.Certificate) {
		source := *cert.Source
		if source.CA.ID != ca.ID {
			b.serial++
			source.Fingerprint = fingerprint("certificate of a source", string(name), strings.Repeat("+", b.serial))
		}
		source.CA, source.Problem = ca, ""
		cert.Source = &source
	})
}

// Take publishes the certificate of its source.
func (b *Builder) Take(name state.CertificateName) *Builder {
	source := b.c.TLS.Certificates[name].Source
	b.put(name, source.Fingerprint, source.CommonName, source.CA)
	return b.Bundle(name)
}

// SourceProblem makes a source one that cannot be used.
func (b *Builder) SourceProblem(name state.CertificateName, problem string) *Builder {
	return b.certificates([]state.CertificateName{name}, func(_ state.CertificateName, cert *state.Certificate) {
		cert.Source = &state.CertificateSource{Secret: cert.Source.Secret, Problem: problem}
	})
}
