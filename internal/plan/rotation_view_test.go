package plan_test

import (
	"maps"
	"slices"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// observe is what the operator sees.
func (w *world) observe() *state.Cluster {
	c := *w.c
	tls := *w.c.TLS
	tls.Certificates, tls.Trusts = maps.Clone(tls.Certificates), maps.Clone(tls.Trusts)
	c.TLS, c.Members = &tls, nil
	for name, cert := range tls.Certificates {
		cert.Remembered = !cert.Accepted() && w.recalls(name)
		tls.Certificates[name] = cert
	}
	c.Leftovers.Pods, c.Leftovers.Volumes = slices.Clone(c.Leftovers.Pods), slices.Clone(c.Leftovers.Volumes)
	c.Etcd = state.Etcd{ClusterID: c.Etcd.ClusterID, Err: "no voter answers"}
	for _, m := range w.running() {
		if p := w.processes[m.Pod.UID]; p.operator && w.follows(m) {
			c.Etcd.Listed, c.Etcd.Serving, c.Etcd.Err = true, true, ""
		}
	}
	for _, m := range w.c.Members {
		switch {
		case m.Pod == nil:
		case w.hidden[m.Pod.UID]:
			c.Leftovers.Foreign = append(c.Leftovers.Foreign, state.ForeignObject{Kind: "Pod", Name: m.Name, Problem: "damaged"})
			m.Pod = nil
		default:
			w.look(&m)
		}
		if m.Volume != nil {
			volume := *m.Volume
			m.Volume = &volume
		}
		if m.Listed = c.Etcd.Listed; !m.Listed {
			m.Learner, m.Started = false, false
		}
		if m.Listed || m.Volume != nil || c.Ephemeral() && m.Pod != nil {
			c.Members = append(c.Members, m)
		}
	}
	c.Assess()
	w.AnyPeerName(resources.AcceptsAnyPeerName(&c))
	tls.AnyPeerName, tls.Trust = w.c.TLS.AnyPeerName, w.c.TLS.Trust
	return &c
}

// recalls tells that the operator has a certificate in its memory that is still good.
func (w *world) recalls(name state.CertificateName) bool {
	former, known := w.memory[name]
	return known && w.c.TLS.Managed && w.c.Now.Before(former.NotAfter) &&
		slices.Contains(w.c.TLS.Authority(name.Side()).Signer.Certificates, w.Issuer(former.Fingerprint))
}

// look fills in what the operator sees of a member's Pod and process.
func (w *world) look(m *state.Member) {
	pod, p := *m.Pod, w.processes[m.Pod.UID]
	m.Pod, m.Probe, m.Serves = &pod, state.Probe{Err: "deadline"}, state.Serves{}
	pod.Running, pod.Ready = p != nil, !m.Learner && w.follows(*m)
	if p == nil {
		return
	}
	m.Serves.Peer = p.certs.Peer
	if p.ready {
		m.Serves.Server = p.certs.Server
	}
	if p.operator && p.ready {
		m.Probe = state.Probe{
			Answered: true, ClusterID: w.c.Etcd.ClusterID, MemberID: m.ID, Version: statetest.Version, Term: 2,
			Committed: 100, Applied: 100, Learner: m.Learner,
		}
		if w.follows(*m) {
			m.Probe.Leader = w.leader
		}
	}
}
