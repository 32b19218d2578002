package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// journey is something that has to bring a rotation about, which has to come to its end.
type journey struct {
	// cluster is at rest; then begin happens, and in some later pass each of meanwhile, in this order.
	cluster   func() *statetest.Builder
	begin     func(*world)
	meanwhile []func(*world)
	// anew are the sides whose authority has to be another one at the end; both when it is nil.
	anew []state.Side
	// starts is how many Pods have to be started on the way; 0 where that is not looked at.
	starts int
	// outage tells that there is no way without one: members cannot accept each other at every moment.
	outage bool
}

// histories of each journey: each has another fate.
const histories = 12

type journeys map[string]journey

func (js journeys) run(t *testing.T) {
	t.Helper()
	for name, j := range js {
		t.Run(name, func(t *testing.T) {
			for seed := range histories {
				if !j.travel(t, seed) {
					return
				}
			}
		})
	}
}

func formed(voters int) func() *statetest.Builder {
	return func() *statetest.Builder { return statetest.Formed(voters).Replicas(voters).TLS() }
}

func withoutVolumes(voters int) func() *statetest.Builder {
	return func() *statetest.Builder { return statetest.Ephemeral(voters).Replicas(voters).TLS() }
}

func from(mode v1alpha1.TLSMode) func() *statetest.Builder {
	return func() *statetest.Builder { return formed(3)().From(mode) }
}

// old is a cluster whose authorities are due, and whose certificates are new.
func old() *statetest.Builder {
	b := formed(3)()
	age := resources.CALifetime(b.Build().Object) / 4 * 3
	return b.Later(age).Issue(state.CertificateNames()...).Serve(0, 1, 2)
}

var peers, clients, none = []state.Side{state.PeerSide}, []state.Side{state.ClientSide}, []state.Side{}

func nothing(*world) {}

func request(text string) func(*world) {
	return func(w *world) { w.TLSSpec(func(s *v1alpha1.TLSSpec) { s.CARotation = ptr.To(text) }) }
}

func scale(replicas int) func(*world) { return func(w *world) { w.Replicas(replicas) } }

func loseKey(side state.Side) func(*world) { return func(w *world) { w.LoseKey(side) } }

func loseNextKey(w *world) {
	for _, side := range statetest.Sides() {
		w.Record(side, func(a *state.Authority) {
			if a.Next != nil {
				next := *a.Next
				next.Key, a.Next = false, &next
			}
		})
	}
}

func loseAuthority(sides ...state.Side) func(*world) {
	return func(w *world) { w.LoseAuthority(sides...) }
}

func loseCertificates(names ...state.CertificateName) func(*world) {
	return func(w *world) { w.LoseCertificates(names...) }
}

func loseTrusts(w *world) { w.LoseTrusts() }

// TestRotationComesToItsEnd follows rotations step by step, from several starts, while steps fail, are repeated or come
// late, and Pods, certificates and budgets take their time. Whoever runs must always accept everybody else.
func TestRotationComesToItsEnd(t *testing.T) {
	noGrace := func(w *world) {
		w.TLSSpec(func(s *v1alpha1.TLSSpec) { s.ClientGrace, s.CARotation = &metav1.Duration{}, ptr.To("at once") })
		w.client = credentials{}
	}
	journeys{
		"of three, on request":                          {cluster: formed(3), begin: request("1"), starts: 6},
		"of five":                                       {cluster: formed(5), begin: request("1")},
		"of a single member":                            {cluster: formed(1), begin: request("1")},
		"of three ephemeral members":                    {cluster: withoutVolumes(3), begin: request("1")},
		"because of age":                                {cluster: old, begin: nothing},
		"without grace, for clients that need none":     {cluster: formed(3), begin: noGrace},
		"requested anew meanwhile":                      {cluster: formed(3), begin: request("1"), meanwhile: several(request("2"), 1)},
		"while the cluster grows":                       {cluster: formed(3), begin: request("1"), meanwhile: several(scale(5), 1)},
		"while the cluster shrinks":                     {cluster: formed(5), begin: request("1"), meanwhile: several(scale(3), 1)},
		"while the cluster shrinks to a single member":  {cluster: formed(3), begin: request("1"), meanwhile: several(scale(1), 1)},
		"while an ephemeral cluster grows":              {cluster: withoutVolumes(3), begin: request("1"), meanwhile: several(scale(5), 1)},
		"of an ephemeral member that gets others":       {cluster: withoutVolumes(1), begin: request("1"), meanwhile: several(scale(3), 1)},
		"while members crash":                           {cluster: formed(3), begin: request("1"), meanwhile: several(crash, 4)},
		"while connections break":                       {cluster: formed(3), begin: request("1"), meanwhile: several(glitch, 4)},
		"while somebody deletes Pods":                   {cluster: formed(3), begin: request("1"), meanwhile: several(deletePod, 4)},
		"while the operator is restarted":               {cluster: formed(3), begin: request("1"), meanwhile: several(restartOperator, 4)},
		"while somebody deletes what is to be trusted":  {cluster: formed(3), begin: request("1"), meanwhile: several(loseTrusts, 3)},
		"while somebody deletes certificates":           {cluster: formed(3), begin: request("1"), meanwhile: several(loseCertificates(state.CertificateNames()...), 3)},
		"while the next one's key is lost":              {cluster: formed(3), begin: request("1"), meanwhile: several(loseNextKey, 3)},
		"while the keys that sign are lost":             {cluster: formed(3), begin: request("1"), meanwhile: append(several(loseKey(state.PeerSide), 2), loseKey(state.ClientSide))},
		"while a node is down":                          {cluster: formed(3), begin: request("1"), meanwhile: []func(*world){nodeFails(false), nodesReturn}},
		"while a Pod cannot be deleted":                 {cluster: formed(3), begin: request("1"), meanwhile: []func(*world){nodeFails(true), nodesReturn}},
		"while a Pod cannot be read":                    {cluster: formed(3), begin: request("1"), meanwhile: []func(*world){hide, show}},
		"while a lost member has to be scaled away":     {cluster: formed(5), begin: request("1"), meanwhile: []func(*world){loseVolume, scale(3)}},
		"while the Secrets of the authorities are lost": {cluster: formed(3), begin: request("1"), meanwhile: several(loseAuthority(statetest.Sides()...), 2)},
	}.run(t)
}

func TestRotationMendsWhatWasLost(t *testing.T) {
	journeys{
		"the peers' key":            {cluster: formed(3), begin: loseKey(state.PeerSide), anew: peers},
		"the clients' key":          {cluster: formed(3), begin: loseKey(state.ClientSide), anew: clients},
		"the peers' Secret":         {cluster: formed(3), begin: loseAuthority(state.PeerSide), anew: peers},
		"the clients' Secret":       {cluster: formed(3), begin: loseAuthority(state.ClientSide), anew: clients},
		"the Secrets of both sides": {cluster: formed(3), begin: loseAuthority(statetest.Sides()...)},
		"all Secrets at once, which the operator remembers": {cluster: formed(3), begin: func(w *world) {
			w.LoseAuthority(statetest.Sides()...).LoseCertificates(state.CertificateNames()...)
		}},
		"those of an ephemeral cluster": {cluster: withoutVolumes(3), begin: loseAuthority(statetest.Sides()...)},
		"the Secrets by others":         {cluster: formed(3), begin: putBack},
	}.run(t)
}

func TestRotationFollowsTheSources(t *testing.T) {
	moves := func(name string, sides ...state.Side) func(*world) {
		return func(w *world) {
			for _, side := range sides {
				w.SourceCA(side, w.CA(string(side)+name))
			}
		}
	}
	one := func(name state.CertificateName) func(*world) {
		return func(w *world) { w.Renew(name, w.CA("another")) }
	}
	both := statetest.Sides()
	journeys{
		"of cert-manager":              {cluster: from(v1alpha1.TLSCertManager), begin: moves("A", both...)},
		"that are given":               {cluster: from(v1alpha1.TLSSecrets), begin: moves("A", both...)},
		"of the peers only":            {cluster: from(v1alpha1.TLSSecrets), begin: moves("A", state.PeerSide), anew: peers},
		"to yet another":               {cluster: from(v1alpha1.TLSSecrets), begin: moves("A", both...), meanwhile: []func(*world){moves("B", both...)}},
		"to a third and fourth":        {cluster: from(v1alpha1.TLSCertManager), begin: moves("A", both...), meanwhile: []func(*world){moves("B", both...), moves("C", both...)}},
		"when there are none any more": {cluster: from(v1alpha1.TLSCertManager), begin: manage},
		"when there are some now": {cluster: formed(3), begin: func(w *world) {
			w.From(v1alpha1.TLSCertManager)
			moves("A", both...)(w)
		}},
		"there and back": {
			cluster: from(v1alpha1.TLSCertManager), begin: moves("A", both...), meanwhile: []func(*world){manage},
		},
		"that cannot be used for a while": {
			cluster: from(v1alpha1.TLSSecrets), begin: moves("A", both...), meanwhile: []func(*world){
				func(w *world) { w.SourceProblem(state.ServerCertificate, "Secret my-server does not exist") }, moves("B", both...),
			},
		},
		"one after the other": {
			cluster: from(v1alpha1.TLSCertManager), begin: one(state.ServerCertificate), anew: clients,
			meanwhile: []func(*world){one(state.OperatorCertificate), one(state.ClientCertificate)},
		},
	}.run(t)
}

// When nothing that was issued is accepted any more there is an outage; it has to end by itself.
func TestRotationEndsAnOutage(t *testing.T) {
	later := func(d time.Duration, then ...func(*world)) func(*world) {
		return func(w *world) {
			w.Later(d)
			for _, f := range then {
				f(w)
			}
		}
	}
	const years = 365 * 24 * time.Hour
	all := state.CertificateNames()
	everything := func(w *world) { w.LoseAuthority(statetest.Sides()...).LoseCertificates(all...) }
	journeys{
		"all has expired and nothing runs any more": {cluster: formed(3), begin: later(11*years, deletePods), outage: true},
		"all has expired and no connection is left": {cluster: formed(3), begin: later(11*years, glitch, restartOperator), outage: true},
		"all has expired but connections of before": {cluster: formed(3), begin: later(11 * years), meanwhile: several(glitch, 1), outage: true},
		"that of a single member":                   {cluster: formed(1), begin: later(11*years, restartOperator), outage: true},
		"certificates have expired and a key is lost": {
			cluster: formed(3), begin: later(2*years, loseKey(state.PeerSide), glitch, restartOperator), anew: peers, outage: true,
		},
		"certificates have expired and the other key is lost": {
			cluster: formed(3), begin: later(2*years, loseKey(state.ClientSide), glitch, restartOperator), anew: clients, outage: true,
		},
		"all Secrets are lost, and then the operator is restarted": {
			cluster: formed(3), begin: everything, meanwhile: several(restartOperator, 1), outage: true,
		},
		"all Secrets are lost, also in memory, and somebody deletes all Pods, as is advised": {
			cluster: formed(3), begin: func(w *world) { everything(w); clear(w.memory) }, outage: true,
		},
		"the clients' authority has expired": {
			cluster: formed(3), begin: later(11*years, renew(state.PeerSide)), anew: clients, outage: true,
		},
		"the clients' authority has expired and the operator is restarted again and again": {
			cluster: formed(3), begin: later(11*years, renew(state.PeerSide)), anew: clients, outage: true,
			meanwhile: several(restartOperator, 5),
		},
		"the peers' authority has expired": {
			cluster: formed(3), begin: later(11*years, renew(state.ClientSide)), anew: peers, outage: true,
			meanwhile: several(glitch, 5),
		},
	}.run(t)
}

// renew makes the side's authority and certificates as good as new, as rotations before have done.
func renew(side state.Side) func(*world) {
	return func(w *world) {
		w.Record(side, func(a *state.Authority) {
			a.Signer.NotAfter = w.c.Now.Add(resources.CALifetime(w.c.Object))
			a.Signer.RenewAt = a.Signer.NotAfter
		})
		for _, name := range state.CertificateNames() {
			if name.Side() == side {
				w.Issue(name)
			}
		}
		for _, p := range w.processes {
			p.certs = state.Serves{
				Peer:   w.c.TLS.Certificates[state.PeerCertificate].Fingerprint,
				Server: w.c.TLS.Certificates[state.ServerCertificate].Fingerprint,
			}
		}
	}
}

func several(f func(*world), times int) []func(*world) {
	var list []func(*world)
	for range times {
		list = append(list, f)
	}
	return list
}
