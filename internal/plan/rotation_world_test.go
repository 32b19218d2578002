package plan_test

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// world is a small model of all that surrounds the plan while certificate authorities are rotated: what Kubernetes
// holds, what kubelets bring to the members, which processes talk to one another, and what clients have loaded.
type world struct {
	*statetest.Builder
	dice
	// c is what is true; observe makes of it what the operator sees.
	c *state.Cluster
	// processes that run, by the UID of their Pod; mounted is what each Pod found when it started first.
	processes map[types.UID]*process
	mounted   map[types.UID]state.Trust
	// leader is the ID of the member that leads; 0 without.
	leader uint64
	// operator and client are what the two hold in memory: the operator reads its Secret at each look, this client
	// only when it is told to.
	operator, client credentials
	// memory is what the operator knows of certificates that were published since it started.
	memory map[state.CertificateName]state.Certificate
	// expires is when a certificate, by fingerprint, expires; bundles are the CAs of every bundle that ever was.
	expires map[string]time.Time
	bundles map[string][]string
	// vouches tells that somebody acknowledges that clients have loaded what they must; skips, that else time passes
	// at once until their grace is over; and second is how long a pass takes.
	vouches, skips bool
	second         time.Duration
	// frozen are Pods on nodes that are down; hidden are those that the operator cannot read.
	frozen, hidden map[types.UID]bool
	// made counts CAs, Pods and members, so that each is another; starts counts Pods only.
	made, starts int
	// late are ensures that come to be done long after they were decided.
	late []decided
}

// process is an etcd that runs in a Pod.
type process struct {
	// trust is what it read at its start, and the certificates are those that its kubelet has brought.
	trust state.Trust
	certs state.Serves
	// demanded is the common name that it demands of peers; empty when it accepts any.
	demanded string
	// peers are the Pods whose processes it has a connection with, which outlives what it was made with.
	peers map[types.UID]bool
	// operator tells that it has a connection with the operator.
	operator bool
	// ready tells that it was part of a quorum since its start: it serves clients only then.
	ready bool
}

// credentials are a certificate's issuer and what is trusted, by fingerprint.
type credentials struct {
	certificate string
	trusted     []string
}

// inhabit is the world of a built cluster, in which all members run.
func inhabit(b *statetest.Builder, seed int) *world {
	w := &world{
		Builder: b, c: b.Build(), dice: dice(seed), processes: map[types.UID]*process{}, expires: map[string]time.Time{},
		mounted: map[types.UID]state.Trust{}, bundles: map[string][]string{}, memory: map[state.CertificateName]state.Certificate{}, frozen: map[types.UID]bool{}, hidden: map[types.UID]bool{}, vouches: seed%3 > 0, skips: true, second: time.Second,
	}
	w.remember()
	for _, m := range w.c.Members {
		if m.Pod != nil && m.Pod.Running {
			w.run(m)
		}
	}
	w.client = w.published(state.ClientCertificate)
	w.settle()
	return w
}

// remember notes what certificates and bundles there are.
func (w *world) remember() {
	for _, side := range statetest.Sides() {
		a := w.c.TLS.Authority(side)
		w.bundles[a.Bundle] = statetest.Trusted(a)
		for _, ca := range []*state.CA{&a.Signer, a.Next} {
			if ca != nil && len(ca.Certificates) == 1 {
				w.expires[ca.Certificates[0]] = ca.NotAfter
			}
		}
	}
	for name, cert := range w.c.TLS.Certificates {
		if cert.Exists {
			w.expires[cert.Fingerprint], w.memory[name] = cert.NotAfter, cert
		}
	}
}

func (w *world) published(name state.CertificateName) credentials {
	cert := w.c.TLS.Certificates[name]
	if !cert.Exists {
		return credentials{}
	}
	return credentials{cert.Fingerprint, w.bundles[cert.Bundle]}
}

// run starts the process of a member: it reads what it trusts once.
func (w *world) run(m state.Member) {
	t := w.c.TLS
	if _, before := w.mounted[m.Pod.UID]; !before {
		w.mounted[m.Pod.UID] = t.Trusts[m.Pod.Trust]
	}
	w.processes[m.Pod.UID] = &process{
		trust: w.mounted[m.Pod.UID], demanded: resources.DemandedBy(*m.Pod), peers: map[types.UID]bool{},
		certs: state.Serves{
			Peer:   t.Certificates[state.PeerCertificate].Fingerprint,
			Server: t.Certificates[state.ServerCertificate].Fingerprint,
		},
	}
}

// stop ends a process and its connections.
func (w *world) stop(pod types.UID) {
	delete(w.processes, pod)
	for _, p := range w.processes {
		delete(p.peers, pod)
	}
}

// accepts tells that whoever trusts these CAs accepts the certificate now.
func (w *world) accepts(trusted []string, certificate string) bool {
	return slices.Contains(trusted, w.Issuer(certificate)) && w.c.Now.Before(w.expires[certificate]) &&
		w.c.Now.Before(w.expires[w.Issuer(certificate)])
}

// settle makes the connections that can be made, and elects a leader where there is none.
func (w *world) settle() {
	w.remember()
	if credentials := w.published(state.OperatorCertificate); credentials.certificate != "" {
		w.operator = credentials
	}
	for _, a := range w.running() {
		p := w.processes[a.Pod.UID]
		p.operator = p.operator || w.welcome(p, w.operator)
		for _, b := range w.running() {
			if q := w.processes[b.Pod.UID]; a.ID != b.ID && w.admits(p, q) && w.admits(q, p) {
				p.peers[b.Pod.UID], q.peers[a.Pod.UID] = true, true
			}
		}
	}
	if !w.leads(w.leader) {
		w.leader = 0
		for _, m := range w.running() {
			if w.leader == 0 && w.leads(m.ID) {
				w.leader = m.ID
			}
		}
	}
	for i := range w.c.Members {
		if m := &w.c.Members[i]; w.follows(*m) {
			m.Started, w.processes[m.Pod.UID].ready = true, true
		}
	}
}

// admits tells that a member accepts another as its peer: also its common name, which etcd compares on both ends of a
// connection (client/pkg/transport, TLSInfo.baseConfig).
func (w *world) admits(p, q *process) bool {
	return w.accepts(p.trust.Peer, q.certs.Peer) && (p.demanded == "" || p.demanded == w.CommonName(q.certs.Peer))
}

// welcome tells that somebody with these credentials and the member accept each other.
func (w *world) welcome(p *process, by credentials) bool {
	return w.accepts(p.trust.Client, by.certificate) && w.accepts(by.trusted, p.certs.Server)
}

// running are the members of etcd's list whose process runs.
func (w *world) running() []state.Member {
	return slices.DeleteFunc(slices.Clone(w.c.Members), func(m state.Member) bool {
		return m.Pod == nil || w.processes[m.Pod.UID] == nil
	})
}

// leads tells that the member could lead: it is connected with a majority of the voters.
func (w *world) leads(id uint64) bool {
	m := w.c.MemberByID(id)
	if m == nil || m.Learner || m.Pod == nil || w.processes[m.Pod.UID] == nil {
		return false
	}
	connected := 1
	for _, other := range w.running() {
		if !other.Learner && w.processes[m.Pod.UID].peers[other.Pod.UID] {
			connected++
		}
	}
	return connected >= quorum.Majority(len(w.c.Voters()))
}

// follows tells that the member is part of the quorum.
func (w *world) follows(m state.Member) bool {
	if w.leader == 0 || m.Pod == nil || w.processes[m.Pod.UID] == nil {
		return false
	}
	return m.ID == w.leader || w.processes[m.Pod.UID].peers[w.c.MemberByID(w.leader).Pod.UID]
}

// pass is one reconcile, and what happens beside it. Whoever crashes in between does only a part of it.
func (w *world) pass() (*state.Cluster, plan.Decision) {
	seen := w.observe()
	d := plan.Next(seen)
	for _, s := range d.Ensures {
		switch {
		case w.one(8): // failed, or crashed before
		case w.one(12):
			w.late = append(w.late, decided{s, seen})
		default:
			w.do(decided{s, seen})
		}
	}
	if d.Step != nil && !w.one(8) {
		w.do(decided{d.Step, seen})
	}
	if len(w.late) > 0 && w.one(3) {
		w.do(w.late[0])
		w.late = w.late[1:]
	}
	return seen, d
}

func (w *world) String() string {
	text := fmt.Sprintf("leader %x", w.leader)
	for _, m := range w.c.Members {
		text += fmt.Sprintf("\n  %s %x learner=%t", m.Name, m.ID, m.Learner)
		if m.Pod == nil {
			continue
		}
		text += fmt.Sprintf(" trust=%s terminating=%t", m.Pod.Trust, m.Pod.Terminating)
		if p := w.processes[m.Pod.UID]; p != nil {
			text += fmt.Sprintf(" runs, follows=%t operator=%t serves=%.8s/%.8s", w.follows(m), p.operator, p.certs.Peer,
				p.certs.Server)
		}
	}
	return text
}
