package plan_test

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// crash ends some member's process; its kubelet starts it again in the same Pod.
func crash(w *world) {
	if running := w.running(); len(running) > 0 {
		w.stop(running[w.n(len(running))].Pod.UID)
	}
}

// deletePod deletes some member's Pod, as a drain of its node does.
func deletePod(w *world) {
	if running := w.running(); len(running) > 0 {
		running[w.n(len(running))].Pod.Terminating = true
	}
}

// deletePods deletes all Pods at once.
func deletePods(w *world) {
	for _, m := range w.running() {
		m.Pod.Terminating = true
	}
}

// glitch breaks all connections among the members, which they then try to make anew.
func glitch(w *world) {
	for _, p := range w.processes {
		p.peers = map[types.UID]bool{}
	}
}

// restartOperator makes the operator lose its connections, and what it holds in memory.
func restartOperator(w *world) {
	w.operator = credentials{}
	clear(w.memory)
	for _, p := range w.processes {
		p.operator = false
	}
}

// nodeFails stops the node of some member, whose Pod stays behind or, with evict, is being deleted for ever.
func nodeFails(evict bool) func(*world) {
	return func(w *world) {
		if running := w.running(); len(running) > 0 {
			p := running[w.n(len(running))].Pod
			w.stop(p.UID)
			w.frozen[p.UID], p.Terminating = true, evict
			w.c.Nodes[p.Node] = state.Node{}
		}
	}
}

// nodesReturn starts all nodes again.
func nodesReturn(w *world) {
	clear(w.frozen)
	for name := range w.c.Nodes {
		w.c.Nodes[name] = state.Node{Ready: true}
	}
}

// hide makes the records of some member's Pod unreadable, although it runs.
func hide(w *world) {
	if running := w.running(); len(running) > 0 {
		w.hidden[running[w.n(len(running))].Pod.UID] = true
	}
}

// show mends all records.
func show(w *world) { clear(w.hidden) }

// loseVolume takes away the volume of the last member, which does not run.
func loseVolume(w *world) {
	m := &w.c.Members[len(w.c.Members)-1]
	if m.Pod != nil {
		w.stop(m.Pod.UID)
	}
	m.Pod, m.Volume = nil, nil
}

// putBack replaces the Secrets of the authorities by those of another time: they have keys, and nobody trusts them.
func putBack(w *world) {
	for _, side := range statetest.Sides() {
		w.made++
		other := w.CA("from a backup " + strings.Repeat("+", w.made))
		w.Record(side, func(a *state.Authority) {
			*a = state.Authority{Exists: true, Recorded: true, Signer: other, Since: w.c.Now, Rotation: a.Rotation}
		})
	}
}

// manage has the operator be the authority, from whatever source the certificates came before.
func manage(w *world) {
	w.TLSSpec(func(s *v1alpha1.TLSSpec) { *s = v1alpha1.TLSSpec{} })
	w.c.TLS.Managed = true
	for name, cert := range w.c.TLS.Certificates {
		cert.Source, cert.Wanted = nil, resources.CertificateRequest(w.c.Object, name, nil, 0)
		w.c.TLS.Certificates[name] = cert
	}
}

// obey does what a message advises a person to do, after a while.
func (w *world) obey(d plan.Decision) {
	for _, b := range d.Blocked {
		if strings.Contains(b.Message, "delete all member Pods at once") && w.one(100) {
			deletePods(w)
		}
	}
}
