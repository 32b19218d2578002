package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func set(side state.Side, change plan.AuthorityChange, why string) plan.Step {
	return plan.SetAuthority{Side: side, Change: change, Why: why}
}

// noChange are the ensures that change an authority.
var noChange = []plan.Step{plan.SetAuthority{}}

func TestAuthorityIsMade(t *testing.T) {
	bootstrap := func() *statetest.Builder { return statetest.Bootstrap(3).TLS() }
	trusting := func() *statetest.Builder { return formed(3)() }
	create := func(side state.Side, why string) plan.Step { return set(side, plan.CreateAuthority, why) }
	restore := func(side state.Side, why string) plan.Step { return set(side, plan.RestoreAuthority, why) }
	const none = "there is none"
	const missing = "Bootstrapping: demo-0 cannot start: its certificates are not there yet"
	notYet := []string{missing, "Bootstrapping: demo-1", "Bootstrapping: demo-2", "Bootstrapping: waiting for a quorum"}
	everything := func(b *statetest.Builder) *statetest.Builder {
		return b.LoseAuthority(state.PeerSide).LoseCertificates(state.PeerCertificate)
	}
	unreadable := func(c *state.Cluster) {
		c.Members[0].Pod, c.Members[1].Pod, c.Members[2].Pod = nil, nil, nil
		c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-0", Problem: "no version"}}
	}
	scenarios{
		"for each side of a new cluster, along with the latch": {
			cluster: statetest.Fresh().TLS(), step: plan.CreateLatch{Size: 3, Version: statetest.Version},
			ensures: []plan.Step{create(state.PeerSide, none), create(state.ClientSide, none)},
			absent:  []plan.Step{plan.PublishCertificate{}, plan.PublishTrust{}},
		},
		"and no member is started before its certificates are there": {
			cluster: bootstrap().LoseAuthority(statetest.Sides()...).LoseCertificates(state.CertificateNames()...).LoseTrusts(),
			ensures: []plan.Step{create(state.PeerSide, none), create(state.ClientSide, none)}, blocked: notYet,
		},
		"in the place of one that is damaged and that nobody knew": {
			cluster: bootstrap().DamageAuthority(state.PeerSide, "key tls.crt is missing").LoseCertificates(state.PeerCertificate),
			ensures: []plan.Step{create(state.PeerSide, "its Secret is damaged: key tls.crt is missing")}, blocked: notYet,
		},
		"from what Pods trust when its Secret is lost: another would cut them off from each other": {
			cluster: trusting().LoseAuthority(state.PeerSide), ensures: []plan.Step{restore(state.PeerSide, none)},
			absent: []plan.Step{plan.PublishTrust{}, plan.PruneTrust{}},
		},
		"from what is published when no Pod is left": {
			cluster: bootstrap().LoseAuthority(state.ClientSide), ensures: []plan.Step{restore(state.ClientSide, none)},
			blocked: notYet,
		},
		"from what Pods trust when its Secret is damaged": {
			cluster: trusting().DamageAuthority(state.ClientSide, "key tls.key: no PEM"),
			ensures: []plan.Step{restore(state.ClientSide, "its Secret is damaged: key tls.key: no PEM")},
		},
		"anew when no Pod trusts the one that somebody put in its place": {
			cluster: trusting().Record(state.PeerSide, func(a *state.Authority) { a.Signer = statetest.Fresh().CA("other") }),
			ensures: []plan.Step{set(state.PeerSide, plan.SupplantAuthority, "no member trusts the one that is recorded")},
			absent:  []plan.Step{plan.PublishTrust{}, plan.PruneTrust{}, plan.PublishCertificate{}},
			blocked: []string{"CertificateProblem: no member trusts the CA in Secret demo-peer-ca: somebody has replaced it",
				"RotatingCA: left: demo-0, demo-1, demo-2"},
		},
		"not while the Secret's name is taken by somebody else's": {
			cluster: bootstrap().DamageAuthority(state.PeerSide, resources.BelongsToOther), absent: noChange,
			blocked: append([]string{"OwnershipConflict: Secret demo-peer-ca belongs to something else: delete or rename it"},
				notYet...),
		},
		"not while Pods run that trust one of which nothing is left": {
			cluster: everything(trusting()).LoseTrusts(), absent: noChange,
			blocked: []string{"CertificateProblem: Secret demo-peer-ca and the ConfigMaps with what the members trust are lost: " +
				"restore them, or delete all member Pods at once"},
		},
		"not while such Pods run, whose data a person must not delete": {
			cluster: everything(statetest.Ephemeral(3).TLS()).LoseTrusts(), absent: noChange,
			blocked: []string{"CertificateProblem: Secret demo-peer-ca and the ConfigMaps with what the members trust are lost: " +
				"restore them, or save the data with etcdctl snapshot save"},
		},
		"not while a Pod cannot be read, which may trust one": {
			cluster: everything(trusting()).With(unreadable), absent: noChange,
			blocked: []string{"OwnershipConflict: Pod demo-0 (no version)", "MemberUnhealthy: only 0 of 3", "StartingMember: certificates are not"},
		},
		"from the source, once it can be used": {
			cluster: bootstrap().From(v1alpha1.TLSSecrets).LoseAuthority(state.PeerSide).LoseCertificates(state.PeerCertificate),
			ensures: []plan.Step{create(state.PeerSide, none)}, blocked: notYet,
		},
		"not from a source that cannot be used": {
			cluster: bootstrap().From(v1alpha1.TLSSecrets).LoseAuthority(state.PeerSide).
				SourceProblem(state.PeerCertificate, "Secret my-peer does not exist"),
			absent: noChange, blocked: append([]string{"CertificateProblem: Secret my-peer does not exist"}, notYet...),
		},
	}.run(t)
}

func TestRotationBegins(t *testing.T) {
	begin := func(side state.Side, why string) []plan.Step { return []plan.Step{set(side, plan.BeginRotation, why)} }
	rotated := func(side, why string) []string { return []string{"RotatingCA: the " + side + " CA is rotated: " + why} }
	wants := func(s *v1alpha1.TLSSpec) { s.CARotation = ptr.To("2026") }
	const key, asked, source = "its private key is not there", "spec.tls.caRotation asks for it",
		"the source of the certificates has another one"
	const over = "two thirds of its life are over"
	due := func(b *statetest.Builder) *statetest.Builder {
		return b.Record(state.PeerSide, func(a *state.Authority) { a.Signer.RenewAt = statetest.Now })
	}
	another := statetest.Fresh().CA("another")
	sourced := func() *statetest.Builder { return formed(3)().From(v1alpha1.TLSSecrets) }
	scenarios{
		"when the private key is lost": {
			cluster: formed(3)().LoseKey(state.ClientSide), ensures: begin(state.ClientSide, key), pending: rotated("client", key),
		},
		"when two thirds of its life are over": {
			cluster: due(formed(3)()), ensures: begin(state.PeerSide, over), pending: rotated("peer", over),
		},
		"of both sides when the spec asks for it": {
			cluster: formed(3)().TLSSpec(wants),
			ensures: append(begin(state.PeerSide, asked), begin(state.ClientSide, asked)...),
			pending: append(rotated("peer", asked), rotated("client", asked)...),
		},
		"not again for what was asked": {
			cluster: formed(3)().TLSSpec(wants).Record(state.PeerSide, honoured).Record(state.ClientSide, honoured), absent: noChange,
			wake: 365 * 24 * time.Hour / 3 * 2,
		},
		"when its source brings another": {
			cluster: sourced().SourceCA(state.PeerSide, another), ensures: begin(state.PeerSide, source),
			pending: rotated("peer", source),
		},
		"not while the sources disagree, which is told": {
			cluster: sourced().Renew(state.OperatorCertificate, another), absent: noChange,
			blocked: []string{"CertificateProblem: Secret my-client: its ca.crt is another than that of the other Secrets"},
		},
		"not while a source cannot be used": {
			cluster: sourced().SourceCA(state.PeerSide, another).
				SourceProblem(state.PeerCertificate, "Secret my-peer does not exist"),
			absent: noChange, blocked: []string{"CertificateProblem: Secret my-peer does not exist. The former certificate is " +
				"used meanwhile, until 2027-11-21 12:00"},
		},
		"in mode Secrets not for the sake of age, nor because the spec asks": {
			cluster: due(sourced()).TLSSpec(wants), absent: noChange,
		},
	}.run(t)
}

func honoured(a *state.Authority) { a.Rotation = "2026" }

// introduced is a cluster in which all trust the side's next authority, and have its certificates at hand.
func introduced(side state.Side) *statetest.Builder {
	b := formed(3)()
	former := b.Build().TLS.Trust
	return b.BeginRotation(side, b.CA("next")).PublishTrust().Bundle(state.CertificateNames()...).Load(0, 1, 2).
		With(func(c *state.Cluster) { delete(c.TLS.Trusts, former) })
}

// load is what clients must have loaded now.
func load(b *statetest.Builder) string {
	cert := b.Build().TLS.Certificates[state.ClientCertificate]
	return resources.ClientsLoad(cert.Bundle, cert.Issuer)
}

func loaded(value string) func(*state.Cluster) {
	return func(c *state.Cluster) {
		metav1.SetMetaDataAnnotation(&c.Object.ObjectMeta, v1alpha1.AnnotationClientsLoaded, value)
	}
}

func grace(d time.Duration) func(*v1alpha1.TLSSpec) {
	return func(s *v1alpha1.TLSSpec) { s.ClientGrace = &metav1.Duration{Duration: d} }
}

func TestNextAuthoritySignsWhenEverybodyTrustsIt(t *testing.T) {
	peer, client := state.PeerSide, state.ClientSide
	take := func(side state.Side) plan.Step {
		return set(side, plan.SwitchAuthority, "everybody trusts the new one")
	}
	waits := func(side, who string) []string {
		return []string{"RotatingCA: the " + side + " CA is rotated: waiting until all members trust the new one as well: " + who}
	}
	mustLoad := func(until string) []string {
		return []string{"RotatingCA: the client CA is rotated: clients must load what Secret demo-client-tls holds now (restart " +
			"those that read it only once, such as kube-apiserver); then set the annotation quorate.dev/clients-loaded=" +
			load(introduced(client)) + ", or wait until " + until}
	}
	before := func(slot int) func(*state.Member) {
		return func(m *state.Member) { m.Slot, m.Pod.Trust = slot, formed(3)().Build().TLS.Trust }
	}
	signer := func(change func(*state.CA)) func(*state.Authority) {
		return func(a *state.Authority) { change(&a.Signer) }
	}
	next := func(change func(*state.CA)) func(*state.Authority) {
		return func(a *state.Authority) { anew := *a.Next; change(&anew); a.Next = &anew }
	}
	expired := func(ca *state.CA) { ca.NotAfter = statetest.Now }
	const restarting = "RotatingCA: waiting until the disruption controller observes minAvailable 3"
	scenarios{
		"peers need nobody else": {cluster: introduced(peer), step: take(peer)},
		"not while a Pod does not": {
			cluster: introduced(peer).Member(1, before(1)), blocked: []string{restarting, "RotatingCA: left: demo-1"},
			pending: waits("peer", "demo-1"),
		},
		"not while a Pod trusts nobody knows what": {
			cluster: introduced(peer).Member(1, func(m *state.Member) { m.Pod.Trust = "demo-trust-lost" }),
			blocked: []string{restarting, "RotatingCA: left: demo-1"}, pending: waits("peer", "demo-1"),
		},
		"not while a Pod of a removed member does not": {
			cluster: introduced(peer).LeftoverPod(4).With(func(c *state.Cluster) {
				c.Leftovers.Pods[0].Trust, c.Leftovers.Pods[0].Terminating = "demo-trust-lost", true
			}),
			blocked: []string{"ScalingDown: Pod demo-4 of a removed member"}, pending: waits("peer", "demo-4"),
		},
		"not while a Pod cannot be read": {
			cluster: introduced(peer).NoPod(1).With(unreadablePod), pending: waits("peer", "demo-1"),
			blocked: []string{"OwnershipConflict: Pod demo-1 (no version)", "StartingMember: demo-1"},
		},
		"a member without a Pod gets one that trusts it": {cluster: introduced(peer).NoPod(1), step: take(peer)},
		"clients have to load it as well": {
			cluster: introduced(client), pending: mustLoad("2026-11-22T12:00:00Z"), mustLoad: load(introduced(client)),
			wake: 24 * time.Hour,
		},
		"clients get the time that the spec gives": {
			cluster: introduced(client).TLSSpec(grace(time.Hour)), pending: mustLoad("2026-11-21T13:00:00Z"),
			mustLoad: load(introduced(client)), wake: time.Hour,
		},
		"clients get less when what signs now expires before": {
			cluster: introduced(client).Record(client, signer(func(ca *state.CA) {
				ca.RenewAt, ca.NotAfter = statetest.Now, statetest.Now.Add(20*time.Hour)
			})),
			pending: mustLoad("2026-11-21T22:00:00Z"), mustLoad: load(introduced(client)), wake: 10 * time.Hour,
		},
		"clients get less when certificates expire that nobody can renew": {
			cluster: introduced(client).LoseKey(client).With(func(c *state.Cluster) {
				cert := c.TLS.Certificates[state.ServerCertificate]
				cert.RenewAt, cert.NotAfter = statetest.Now, statetest.Now.Add(10*time.Hour)
				c.TLS.Certificates[state.ServerCertificate] = cert
			}),
			pending: mustLoad("2026-11-21T17:00:00Z"), mustLoad: load(introduced(client)), wake: 5 * time.Hour,
		},
		"it is enough that somebody vouches for them": {
			cluster: introduced(client).With(loaded(load(introduced(client)))), step: take(client),
		},
		"but not that somebody once did": {
			cluster: introduced(client).With(loaded("former")), pending: mustLoad("2026-11-22T12:00:00Z"),
			mustLoad: load(introduced(client)), wake: 24 * time.Hour,
		},
		"or that their time is over": {cluster: introduced(client).Later(24 * time.Hour), step: take(client)},
		"their time does not count before their Secret holds it": {
			cluster: introduced(client).Later(24 * time.Hour).With(func(c *state.Cluster) {
				cert := c.TLS.Certificates[state.ClientCertificate]
				cert.Bundle = "former"
				c.TLS.Certificates[state.ClientCertificate] = cert
			}),
			pending: []string{"RotatingCA: waiting until Secret demo-client-tls holds it"},
			ensures: []plan.Step{plan.PublishCertificate{Name: state.ClientCertificate, Why: "the certificate authorities have changed"}},
		},
		"nobody can load a Secret that is lost and cannot be made before": {
			cluster: introduced(client).LoseKey(client).LoseCertificates(state.ClientCertificate), step: take(client),
		},
		"nobody is waited for when nothing is accepted any more": {
			cluster: introduced(peer).Member(1, before(1)).Record(peer, signer(expired)),
			step: set(peer, plan.SwitchAuthority,
				"the former one is worthless, because it has expired or its certificates are lost"),
			blocked: []string{restarting, "RotatingCA: left: demo-1"},
		},
		"another takes its place when its key is lost": {
			cluster: introduced(peer).Record(peer, next(func(ca *state.CA) { ca.Key = false })),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "the private key of the next one is not there")},
		},
		"another takes its place when it has expired": {
			cluster: introduced(peer).Record(peer, next(expired)),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "the next one has expired")},
		},
		"another takes its place when its source brings yet another": {
			cluster: introduced(peer).From(v1alpha1.TLSSecrets).SourceCA(peer, statetest.Fresh().CA("another")),
			ensures: []plan.Step{set(peer, plan.BeginRotation, "the source of the certificates has yet another one")},
		},
	}.run(t)
}
