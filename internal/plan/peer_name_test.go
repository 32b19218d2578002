package plan_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// take changes the mode; the sources have other certificates of the CAs that there are.
func take(mode v1alpha1.TLSMode) func(*world) { return func(w *world) { w.TakeFrom(mode, true) } }

// takeAnew changes the mode; the sources have certificates of other CAs.
func takeAnew(mode v1alpha1.TLSMode) func(*world) {
	return func(w *world) {
		w.TakeFrom(mode, true)
		for _, side := range statetest.Sides() {
			w.SourceCA(side, w.CA(string(side)+" of "+string(mode)))
		}
	}
}

// manageTooEarly is an edit after which one member demands what nobody shows, as a former release had it.
func manageTooEarly(w *world) {
	manage(w)
	w.Member(2, func(m *state.Member) {
		m.Pod.Args, m.Pod.Trust = w.Args(m.Slot, m.ID, m.Pod.Version), "demo-trust-too-early"
		w.c.TLS.Trusts[m.Pod.Trust] = w.processes[m.Pod.UID].trust
		w.processes[m.Pod.UID].demanded = resources.DemandedBy(*m.Pod)
		for uid, p := range w.processes {
			if uid == m.Pod.UID {
				p.peers = map[types.UID]bool{}
			}
			delete(p.peers, m.Pod.UID)
		}
	})
}

// TestTheModeIsChangedWithoutAnOutage goes from each mode with certificates to each other one.
func TestTheModeIsChangedWithoutAnOutage(t *testing.T) {
	given, issued := from(v1alpha1.TLSSecrets), from(v1alpha1.TLSCertManager)
	toGiven, toIssued := takeAnew(v1alpha1.TLSSecrets), takeAnew(v1alpha1.TLSCertManager)
	journeys{
		"from Secrets to Managed":                     {cluster: given, begin: manage, starts: 6},
		"from Secrets to CertManager":                 {cluster: given, begin: toIssued, starts: 6},
		"from Secrets to CertManager of the same CAs": {cluster: given, begin: take(v1alpha1.TLSCertManager), anew: none, starts: 3},
		"from CertManager to Secrets":                 {cluster: issued, begin: toGiven, starts: 6},
		"from CertManager to Secrets of the same CAs": {cluster: issued, begin: take(v1alpha1.TLSSecrets), anew: none, starts: 3},
		"from Managed to Secrets":                     {cluster: formed(3), begin: toGiven, starts: 6},
		"from Managed to CertManager":                 {cluster: formed(3), begin: toIssued, starts: 6},
		"from CertManager to Managed":                 {cluster: issued, begin: manage, starts: 6},
		"to Managed with a single member": {
			cluster: func() *statetest.Builder { return formed(1)().From(v1alpha1.TLSSecrets) }, begin: manage, starts: 2,
		},
		"to Managed with ephemeral members": {
			cluster: func() *statetest.Builder { return withoutVolumes(3)().From(v1alpha1.TLSSecrets) }, begin: manage,
		},
		"to Managed while members crash":      {cluster: given, begin: manage, meanwhile: several(crash, 4)},
		"to Managed while connections break":  {cluster: given, begin: manage, meanwhile: several(glitch, 4)},
		"to Managed while the cluster grows":  {cluster: given, begin: manage, meanwhile: several(scale(5), 1)},
		"to Managed while Pods are deleted":   {cluster: given, begin: manage, meanwhile: several(deletePod, 4)},
		"to Managed while trusts are deleted": {cluster: given, begin: manage, meanwhile: several(loseTrusts, 3)},
		"to Managed and back":                 {cluster: given, begin: manage, meanwhile: []func(*world){toGiven}, anew: none},
		"to Secrets and back":                 {cluster: formed(3), begin: toGiven, meanwhile: []func(*world){manage}, anew: none},
		"to Managed while a Pod cannot be read": {
			cluster: given, begin: manage, meanwhile: []func(*world){hide, show},
		},
		"to CertManager of the same CAs while Pods are deleted": {
			cluster: given, begin: take(v1alpha1.TLSCertManager), anew: none, meanwhile: several(deletePod, 4),
		},
		"to Managed where a former release has cut a member off": {cluster: given, begin: manageTooEarly, outage: true},
	}.run(t)
}

// Members that demand the common name are restarted for nothing else than a certificate that locks them out for good.
func TestWhetherMembersDemandTheCommonName(t *testing.T) {
	accepting := func(slots ...int) func(*state.Cluster) {
		return func(c *state.Cluster) {
			for i := range c.Members {
				if m := &c.Members[i]; slices.Contains(slots, m.Slot) {
					m.Pod.Args = slices.DeleteFunc(m.Pod.Args, func(string) bool { return resources.DemandedBy(*m.Pod) != "" })
				}
			}
		}
	}
	named := func(name string) func(*state.Cluster) {
		return func(c *state.Cluster) {
			cert := c.TLS.Certificates[state.PeerCertificate]
			cert.CommonName = name
			c.TLS.Certificates[state.PeerCertificate] = cert
		}
	}
	foreign := func(c *state.Cluster) {
		c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-3", Problem: "damaged"}}
	}
	unseen := func(m *state.Member) { m.Serves = state.Serves{} }
	next := statetest.Fresh().CA("next")
	rotating := func() *statetest.Builder {
		return formed(3)().BeginRotation(state.PeerSide, next).SwitchAuthority(state.PeerSide).PublishTrust()
	}
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		any     bool
	}{
		"they go on demanding it":                          {formed(3)(), false},
		"when none is seen":                                {formed(3)().Member(0, unseen).Member(1, unseen).Member(2, unseen), false},
		"when the certificate is lost":                     {formed(3)().LoseCertificates(state.PeerCertificate), false},
		"when the certificate and the key are lost":        {formed(3)().LoseCertificates(state.PeerCertificate).LoseKey(state.PeerSide), false},
		"when somebody puts another of the CA there":       {formed(3)().With(named("x")), false},
		"but not one that nobody can replace now":          {formed(3)().LoseKey(state.PeerSide).With(named("x")), true},
		"while a CA is rotated":                            {rotating(), false},
		"when one demands it that others do not yet":       {formed(3)().With(accepting(1, 2)), false},
		"nobody does so yet, and all show it":              {formed(3)().With(accepting(0, 1, 2)), false},
		"nobody does so yet, and one is not seen to":       {formed(3)().With(accepting(0, 1, 2)).Member(1, unseen), true},
		"nobody does so yet, and a Pod cannot be read":     {formed(3)().With(accepting(0, 1, 2)).With(foreign), true},
		"nobody does so yet, and the certificate is lost":  {formed(3)().With(accepting(0, 1, 2)).LoseCertificates(state.PeerCertificate), true},
		"nobody does so yet, and another is shown":         {formed(3)().With(accepting(0, 1, 2)).With(named("x")), true},
		"nobody does so before the rotation is over":       {rotating().With(accepting(0, 1, 2)), true},
		"in mode Secrets there is none":                    {from(v1alpha1.TLSSecrets)(), false},
		"nor without TLS":                                  {statetest.Formed(3), false},
		"nobody runs yet":                                  {statetest.Fresh().TLS(), false},
		"nobody runs, and the certificate has another one": {formed(3)().NoPod(0, 1, 2).With(named("x")), true},
	} {
		if got := resources.AcceptsAnyPeerName(row.cluster.Build()); got != row.any {
			t.Errorf("%s: any name is accepted: %t, want %t", name, got, row.any)
		}
	}
}

// demanding is a member of another mode.
func demanding(m *state.Member) {
	m.Pod.Trust, m.Pod.Args = "demo-trust-former", append(m.Pod.Args, "--peer-cert-allowed-cn=etcd-peer")
}

func TestAPeerCertificateIsTakenUnlessAMemberDemandsAnother(t *testing.T) {
	given := func() *statetest.Builder {
		b := from(v1alpha1.TLSSecrets)()
		signer := b.Build().TLS.Peer.Signer
		return b.Renew(state.PeerCertificate, b.CA("another")).Renew(state.PeerCertificate, signer)
	}
	blocked := []string{"RotatingCA: waiting until the disruption controller observes", "RotatingCA: left: demo-1"}
	taken := []plan.Step{publish(state.PeerCertificate, "its source my-peer has another one")}
	hidden := func(c *state.Cluster) {
		c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-7", Problem: "damaged"}}
	}
	named := func(name string) func(*state.Cluster) {
		return func(c *state.Cluster) {
			cert := c.TLS.Certificates[state.PeerCertificate]
			cert.CommonName = name
			c.TLS.Certificates[state.PeerCertificate] = cert
		}
	}
	scenarios{
		"nobody demands one": {cluster: given(), ensures: taken},
		"nobody demands one, although a restart is due for something else": {
			cluster: given().Member(1, func(m *state.Member) { m.Pod.Trust = "demo-trust-former" }), ensures: taken, blocked: blocked,
		},
		"one demands another": {cluster: given().Member(1, demanding), absent: taken, blocked: blocked},
		"of one nobody knows": {
			cluster: given().With(named("another")).With(hidden), absent: taken, blocked: []string{"OwnershipConflict: demo-7"},
		},
		"of one nobody knows, to whom the same name is shown as before": {
			cluster: given().With(hidden), ensures: taken, blocked: []string{"OwnershipConflict: demo-7"},
		},
	}.run(t)
}

// A certificate of the CA with another name, which somebody has put in the place of the published one, is replaced, and
// nobody is restarted.
func TestAStrangePeerCertificateRestartsNobody(t *testing.T) {
	b := formed(3)().From(v1alpha1.TLSCertManager).With(func(c *state.Cluster) {
		cert := c.TLS.Certificates[state.PeerCertificate]
		cert.CommonName, cert.Fingerprint = "x", "0123456789abcdef0123456789abcdef"
		c.TLS.Certificates[state.PeerCertificate] = cert
	})
	scenarios{
		"in mode CertManager": {
			cluster: b.AnyPeerName(resources.AcceptsAnyPeerName(b.Build())),
			ensures: []plan.Step{publish(state.PeerCertificate, "its source demo-peer-issued has another one")},
			absent:  []plan.Step{plan.DeletePod{}, plan.PublishTrust{}},
			pending: []string{"CertificateRenewing: waiting until renewed certificates are served by demo-0, demo-1, demo-2"},
		},
	}.run(t)
}
