package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// noCertificates are the ensures of a cluster whose certificates need nothing.
var noCertificates = append([]plan.Step{plan.SetAuthority{}}, certificateEnsures...)

func TestAtRestCertificatesNeedNothing(t *testing.T) {
	for _, voters := range []int{1, 3, 5} {
		for kind, plain := range map[string]func() *statetest.Builder{
			"":           func() *statetest.Builder { return statetest.Formed(voters).Replicas(voters) },
			" ephemeral": func() *statetest.Builder { return statetest.Ephemeral(voters).Replicas(voters) },
		} {
			for mode, certain := range map[string]func() *statetest.Builder{
				"its own CAs": func() *statetest.Builder { return plain().TLS() },
				"Secrets":     func() *statetest.Builder { return plain().TLS().From(v1alpha1.TLSSecrets) },
			} {
				t.Run(fmt.Sprintf("%d%s members with %s", voters, kind, mode), func(t *testing.T) {
					want, got := plan.Next(plain().Build()), plan.Next(certain().Build())
					got.Wake = 0
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the decision differs from that without TLS (-without +with):\n%s", diff)
					}
				})
			}
		}
	}
}

func publish(name state.CertificateName, why string) plan.Step {
	return plan.PublishCertificate{Name: name, Renew: true, Why: why}
}

func TestCertificate(t *testing.T) {
	const bundle = "the certificate authorities have changed"
	const third = 365 * 24 * time.Hour / 3
	longer := func(c *state.Cluster) {
		for _, name := range state.CertificateNames() {
			cert := c.TLS.Certificates[name]
			if name != state.ClientCertificate {
				cert.RenewAt = cert.NotAfter
			}
			c.TLS.Certificates[name] = cert
		}
	}
	expired := func(a *state.Authority) { a.Signer.NotAfter = statetest.Now }
	lost := "CertificateProblem: Secret demo-peer-tls is missing, damaged or of a foreign CA, and nobody can issue the certificate: members that " +
		"stop cannot start again before the peer CA is rotated, and it cannot be without an outage. Restore the Secret, or"
	scenarios{
		"that is missing is issued": {
			cluster: formed(3)().LoseCertificates(state.ServerCertificate),
			ensures: []plan.Step{publish(state.ServerCertificate, "there is none")},
		},
		"that is damaged is issued anew": {
			cluster: formed(3)().DamageCertificate(state.OperatorCertificate, "lacks the key tls.key"),
			ensures: []plan.Step{publish(state.OperatorCertificate, "its Secret lacks the key tls.key")},
		},
		"that lacks what is wanted is issued anew": {
			cluster: formed(3)().Differ(state.ServerCertificate, "lacks the DNS name etcd.example.com"),
			ensures: []plan.Step{publish(state.ServerCertificate, "lacks the DNS name etcd.example.com")},
		},
		"is renewed when two thirds of its life are over, and not before": {
			cluster: formed(3)().With(longer).Later(2 * third),
			ensures: []plan.Step{publish(state.ClientCertificate, "two thirds of its life are over")},
		},
		"is looked at again when it is to be renewed": {
			cluster: formed(3)().With(longer).Later(2*third - time.Minute), absent: noCertificates, wake: time.Minute,
		},
		"is published with the CAs that are trusted by now, as it is": {
			cluster: formed(3)().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")),
			ensures: []plan.Step{plan.PublishCertificate{Name: state.PeerCertificate, Why: bundle}},
			blocked: []string{"RotatingCA: could not start again: its certificates are not there yet", "RotatingCA: left: "},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that nobody can issue is used until the rotation has come so far": {
			cluster: introduced(state.PeerSide).LoseKey(state.PeerSide).Differ(state.PeerCertificate, "lacks the DNS name x"),
			step:    set(state.PeerSide, plan.SwitchAuthority, "everybody trusts the new one"),
			absent:  []plan.Step{plan.PublishCertificate{}},
		},
		"is not issued by an authority that has expired": {
			cluster: formed(3)().Differ(state.PeerCertificate, "lacks the DNS name x").Record(state.PeerSide, func(a *state.Authority) {
				a.Signer.RenewAt = statetest.Now
				expired(a)
			}),
			ensures: []plan.Step{set(state.PeerSide, plan.BeginRotation, "two thirds of its life are over")},
			absent:  []plan.Step{plan.PublishCertificate{}},
			pending: []string{"RotatingCA: the peer CA is rotated: two thirds of its life are over"},
		},
		"that nobody can issue is published again as the operator remembers it": {
			cluster: formed(3)().LoseKey(state.PeerSide).LoseCertificates(state.PeerCertificate).
				BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust().With(remembered),
			ensures: []plan.Step{publish(state.PeerCertificate,
				"it was lost with the key of its CA: the last one is published again until the CA is rotated")},
			blocked: []string{"RotatingCA: could not start again: its certificates are not there yet", "RotatingCA: left: "},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that members need and nobody can issue is told, and no running member is touched": {
			cluster: formed(3)().LoseKey(state.PeerSide).LoseCertificates(state.PeerCertificate).
				BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust(),
			blocked: []string{lost, "RotatingCA: could not start again: its certificates are not there yet", "RotatingCA: left: "},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that members need which keep their data in Pods: these must not be deleted": {
			cluster: statetest.Ephemeral(3).TLS().LoseKey(state.PeerSide).LoseCertificates(state.PeerCertificate).
				BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust(),
			blocked: []string{lost + " save the data with etcdctl snapshot save", "RotatingCA: members are moved",
				"RotatingCA: a member that takes the place of demo-2 is added first"},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that members need and nobody can issue makes the next authority sign when no majority serves": {
			cluster: formed(3)().LoseKey(state.PeerSide).LoseCertificates(state.PeerCertificate).Unlisted().
				BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust(),
			step: set(state.PeerSide, plan.SwitchAuthority,
				"the former one is worthless, because it has expired or its certificates are lost"),
			blocked: []string{lost, "QuorumLost: no majority serves", "StartingMember: demo-0"},
		},
		"that is of a foreign authority is as good as none: the one that is remembered is published again": {
			cluster: rotatingWithoutKey().With(foreign).With(remembered),
			ensures: []plan.Step{publish(state.PeerCertificate,
				"it was lost with the key of its CA: the last one is published again until the CA is rotated")},
			blocked: []string{"RotatingCA: but demo-0 would not accept it", "RotatingCA: left: "},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that is of a foreign authority is as good as none: it is told": {
			cluster: rotatingWithoutKey().With(foreign),
			blocked: []string{lost, "RotatingCA: but demo-0 would not accept it", "RotatingCA: left: "},
			pending: []string{"RotatingCA: waiting until all members trust"},
		},
		"that is of a foreign authority is as good as none: the next one signs when no majority serves": {
			cluster: rotatingWithoutKey().With(foreign).Unlisted(),
			step: set(state.PeerSide, plan.SwitchAuthority,
				"the former one is worthless, because it has expired or its certificates are lost"),
			blocked: []string{lost, "QuorumLost: no majority serves", "StartingMember: demo-0"},
		},
	}.run(t)
}

// rotatingWithoutKey is a cluster that lost the key of the CA of its peers, which is being rotated because of that.
func rotatingWithoutKey() *statetest.Builder {
	return formed(3)().LoseKey(state.PeerSide).BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust()
}

func foreign(c *state.Cluster) {
	cert := c.TLS.Certificates[state.PeerCertificate]
	cert.Issuer = ""
	c.TLS.Certificates[state.PeerCertificate] = cert
}

func remembered(c *state.Cluster) {
	cert := c.TLS.Certificates[state.PeerCertificate]
	cert.Remembered = true
	c.TLS.Certificates[state.PeerCertificate] = cert
}

func TestCertificateOfASource(t *testing.T) {
	sourced := func() *statetest.Builder { return formed(3)().From(v1alpha1.TLSSecrets) }
	managed := func() *statetest.Builder { return formed(3)().From(v1alpha1.TLSCertManager) }
	another := statetest.Fresh().CA("another")
	renewed := func(b *statetest.Builder, name state.CertificateName) *statetest.Builder {
		signer := b.Build().TLS.Authority(name.Side()).Signer
		return b.Renew(name, another).Renew(name, signer)
	}
	outdated := func(m *state.Member) { m.Pod.Trust = "demo-trust-former" }
	const restarting = "RotatingCA: waiting until the disruption controller observes"
	scenarios{
		"is taken when it is new": {
			cluster: renewed(sourced(), state.ServerCertificate),
			ensures: []plan.Step{publish(state.ServerCertificate, "its source my-server has another one")},
		},
		"is asked of cert-manager each time": {cluster: managed(), ensures: []plan.Step{plan.RequestCertificates{}}},
		"is taken from what cert-manager issued": {
			cluster: renewed(managed(), state.ClientCertificate), ensures: []plan.Step{plan.RequestCertificates{},
				publish(state.ClientCertificate, "its source demo-client-issued has another one")},
		},
		"is taken anew when what was published is lost": {
			cluster: sourced().LoseCertificates(state.PeerCertificate),
			ensures: []plan.Step{publish(state.PeerCertificate, "its source my-peer has another one")},
		},
		"of another authority is not taken before everybody trusts that": {
			cluster: sourced().SourceCA(state.PeerSide, another), absent: []plan.Step{plan.PublishCertificate{}},
			ensures: []plan.Step{set(state.PeerSide, plan.BeginRotation, "the source of the certificates has another one")},
			pending: []string{"RotatingCA: the peer CA is rotated: the source of the certificates has another one"},
		},
		"for peers is not taken while a member may still demand another common name": {
			cluster: renewed(sourced(), state.PeerCertificate).Member(1, demanding), absent: []plan.Step{plan.PublishCertificate{}},
			blocked: []string{restarting, "RotatingCA: left: demo-1"},
		},
		"for clients does not wait for that": {
			cluster: renewed(sourced(), state.ServerCertificate).Member(1, outdated),
			ensures: []plan.Step{publish(state.ServerCertificate, "its source my-server has another one")},
			blocked: []string{restarting, "RotatingCA: left: demo-1"},
		},
		"that cannot be used is told, with the end of what is used meanwhile": {
			cluster: sourced().SourceProblem(state.ServerCertificate, "Secret my-server: key tls.crt: has expired"),
			blocked: []string{"CertificateProblem: Secret my-server: key tls.crt: has expired. The former certificate is used " +
				"meanwhile, until 2027-11-21 12:00"},
		},
		"that cannot be used when there is none yet": {
			cluster: statetest.Bootstrap(1).Replicas(1).TLS().From(v1alpha1.TLSSecrets).LoseCertificates(state.PeerCertificate).
				SourceProblem(state.PeerCertificate, "Secret my-peer does not exist"),
			blocked: []string{"CertificateProblem: Secret my-peer does not exist. The members cannot start without it",
				"Bootstrapping: demo-0 cannot start: its certificates are not there yet", "Bootstrapping: "},
		},
		"is no reason to look again at a certain time": {cluster: sourced(), absent: noCertificates, wake: never},
	}.run(t)
}

func TestTrust(t *testing.T) {
	former := formed(3)().Build().TLS.Trust
	name := func(b *statetest.Builder) string { return b.Build().TLS.Trust }
	stale := func() *statetest.Builder {
		return formed(3)().With(func(c *state.Cluster) {
			c.TLS.Trusts["demo-trust-b"], c.TLS.Trusts["demo-trust-a"] = state.Trust{}, state.Trust{}
		})
	}
	fresh := introduced(state.PeerSide).LoseTrusts()
	scenarios{
		"is published first": {
			cluster: fresh, ensures: []plan.Step{plan.PublishTrust{Name: name(introduced(state.PeerSide))}},
			absent: []plan.Step{plan.PruneTrust{}}, pending: []string{"RotatingCA: demo-0, demo-1, demo-2"},
		},
		"is not published again": {cluster: formed(3)(), absent: noCertificates},
		"that no Pod mounts is deleted": {
			cluster: stale(), ensures: []plan.Step{plan.PruneTrust{Names: []string{"demo-trust-a", "demo-trust-b"}}},
		},
		"that a member's Pod mounts is kept: it could not start again without": {
			cluster: formed(3)().BeginRotation(state.PeerSide, statetest.Fresh().CA("next")).PublishTrust().
				Bundle(state.CertificateNames()...),
			absent: []plan.Step{plan.PruneTrust{}}, pending: []string{"RotatingCA: demo-0, demo-1, demo-2"},
			blocked: []string{"RotatingCA: disruption controller", "RotatingCA: left: demo-0, demo-1, demo-2"},
		},
		"that the Pod of a removed member mounts is kept": {
			cluster: stale().LeftoverPod(4).With(func(c *state.Cluster) {
				c.Leftovers.Pods[0].Trust, c.Leftovers.Pods[0].Terminating = "demo-trust-a", true
			}),
			ensures: []plan.Step{plan.PruneTrust{Names: []string{"demo-trust-b"}}}, blocked: []string{"ScalingDown: demo-4"},
		},
		"is kept while a Pod cannot be read, which may mount it": {
			cluster: stale().NoPod(1).With(unreadablePod), absent: []plan.Step{plan.PruneTrust{}},
			blocked: []string{"OwnershipConflict: Pod demo-1", "StartingMember: demo-1"},
		},
		"that is wanted is kept also when no Pod mounts it yet": {
			cluster: formed(3)().NoPod(0, 1, 2).Unlisted().With(func(c *state.Cluster) { delete(c.TLS.Trusts, "none") }),
			absent:  []plan.Step{plan.PruneTrust{}}, blocked: []string{"QuorumLost: no majority"},
			step: start(secured(resumed(3, 0), formed(3)()), secured(resumed(3, 1), formed(3)()), secured(resumed(3, 2), formed(3)())),
		},
	}.run(t)
	if former == name(introduced(state.PeerSide)) {
		t.Error("another authority does not change the name of what is trusted")
	}
}

// secured is the launch of a bootstrapped member in this cluster, which speaks TLS.
func secured(l plan.Launch, b *statetest.Builder) plan.Launch {
	c := b.Build()
	m := c.Members[l.Incarnation.Slot]
	l.Incarnation.MemberID, l.Incarnation.ClusterID = m.ID, c.Latch.ClusterID
	l.Incarnation.PeerURL, l.Incarnation.BootstrapList = resources.PeerURL(c.Object, m.Slot), c.Latch.InitialCluster
	l.Volume, l.VolumeUID = m.Volume.Name, m.Volume.UID
	l.Start.InitialCluster = b.List(m.Slot)
	l.Start.Trust, l.Start.Certificates = c.TLS.Trust, c.TLS.Revision()
	return l
}

func TestRenewedCertificatesAreBroughtToTheMembers(t *testing.T) {
	fresh := func() *statetest.Builder { return formed(3)().Issue(state.ServerCertificate) }
	bring := func(slot int) plan.Step {
		return plan.RefreshCertificates{Member: member(slot), PodUID: podUID(slot), Revision: fresh().Build().TLS.Revision()}
	}
	told := func(m *state.Member) { m.Pod.Certificates = fresh().Build().TLS.Revision() }
	const waiting = "CertificateRenewing: waiting until renewed certificates are served by "
	scenarios{
		"each Pod is told, and each member is watched": {
			cluster: fresh(), ensures: []plan.Step{bring(0), bring(1), bring(2)}, pending: []string{waiting + "demo-0, demo-1, demo-2"},
			wake: time.Second,
		},
		"a Pod is told once": {
			cluster: fresh().Member(0, told).Member(1, told).Member(2, told), absent: []plan.Step{plan.RefreshCertificates{}},
			pending: []string{waiting + "demo-0, demo-1, demo-2"}, wake: time.Second,
		},
		"until it is seen to serve them": {cluster: fresh().Serve(0, 1), ensures: []plan.Step{bring(2)},
			pending: []string{waiting + "demo-2"}, wake: time.Second},
		"a member that does not run is told, and not watched": {
			cluster: fresh().Serve(0, 2).Crash(1), ensures: []plan.Step{bring(1)}, blocked: []string{"StartingMember: demo-1"},
		},
		"a Pod that is being deleted is left alone": {
			cluster: fresh().Serve(0, 2).Terminate(1), absent: []plan.Step{plan.RefreshCertificates{}},
			blocked: []string{"StartingMember: demo-1"},
		},
		"and all is done when all serve them": {cluster: fresh().Serve(0, 1, 2), absent: noCertificates},
		"not while a certificate is missing": {
			cluster: formed(3)().LoseCertificates(state.PeerCertificate), absent: []plan.Step{plan.RefreshCertificates{}},
		},
	}.run(t)
}
