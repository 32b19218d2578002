package plan_test

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// decided is a step and the observation that led to it.
type decided struct {
	step plan.Step
	seen *state.Cluster
}

// do has the effects of a step. As the executor does, it changes nothing that is no longer what was observed, and looks
// again before what cannot be undone.
func (w *world) do(d decided) {
	if plan.Irreversible(d.step) {
		d.seen = w.observe()
		if !plan.Next(d.seen).Proposes(d.step) {
			return
		}
	}
	switch s := d.step.(type) {
	case plan.SetAuthority:
		w.setAuthority(s, d.seen)
	case plan.PublishTrust:
		if s.Name == w.c.TLS.Trust {
			w.PublishTrust()
		}
	case plan.PruneTrust:
		for _, name := range s.Names {
			delete(w.c.TLS.Trusts, name)
		}
	case plan.PublishCertificate:
		w.publish(s, d.seen)
	case plan.RefreshCertificates:
		w.withPod(s.PodUID, func(m *state.Member) { m.Pod.Certificates = w.c.TLS.Revision() })
	default:
		w.change(d.step)
	}
	w.settle()
}

// change has the effects of steps that are not about certificates.
func (w *world) change(step plan.Step) {
	switch s := step.(type) {
	case plan.StartMembers:
		for _, l := range s.Members {
			w.start(l)
		}
	case plan.DeletePod:
		for i := range w.c.Leftovers.Pods {
			if p := &w.c.Leftovers.Pods[i]; p.UID == s.UID {
				p.Terminating = true
			}
		}
		w.withPod(s.UID, func(m *state.Member) { m.Pod.Terminating = true })
	case plan.Seal:
		w.withPod(s.PodUID, func(m *state.Member) { w.Seal(m.Slot) })
	case plan.MarkVoter:
		w.withPod(s.PodUID, func(m *state.Member) { m.Pod.Voter = true })
	case plan.ApplyDisruptionBudget:
		if b := w.c.Disruption; b == nil || b.MinAvailable != s.MinAvailable {
			w.c.Disruption = &state.DisruptionBudget{MinAvailable: s.MinAvailable}
		}
	case plan.MoveLeader:
		if w.leads(s.ToID) {
			w.leader = s.ToID
		}
	case plan.Retire:
		w.record(s.Name, true)
	case plan.Resume:
		w.record(s.Name, false)
	case plan.RecordSurge:
		w.recordSurge(s.Member)
	case plan.AddLearner:
		w.made++
		w.Learner(s.Slot).Member(s.Slot, func(m *state.Member) { m.ID = 0x1000 + uint64(w.made) })
		w.Build()
	case plan.Promote:
		w.c.MemberByID(s.ID).Learner = false
	case plan.RemoveMember:
		w.remove(*w.c.MemberByID(s.ID))
	case plan.RecordRetired:
		for i := range w.c.Leftovers.Volumes {
			w.c.Leftovers.Volumes[i].Retired = true
		}
	case plan.DeleteVolume:
		w.c.Leftovers.Volumes = slices.DeleteFunc(w.c.Leftovers.Volumes, func(v state.Volume) bool { return v.UID == s.UID })
	}
}

// setAuthority changes the record of a side's authority, unless it is no longer the one that was observed.
func (w *world) setAuthority(s plan.SetAuthority, seen *state.Cluster) {
	if w.c.TLS.Authority(s.Side).Bundle != seen.TLS.Authority(s.Side).Bundle {
		return
	}
	anew := state.Authority{
		Exists: true, Recorded: true, Signer: w.newCA(s.Side), Since: w.c.Now, Rotation: resources.CARotation(w.c.Object),
	}
	switch s.Change {
	case plan.CreateAuthority:
		w.Record(s.Side, func(a *state.Authority) { *a = anew })
	case plan.RestoreAuthority, plan.SupplantAuthority:
		next := anew.Signer
		anew.Signer, anew.Previous = w.trustedByPods(s.Side)
		if anew.Next = &next; next.ID == anew.Signer.ID {
			anew.Next = nil // the source still has the one that signed
		}
		w.Record(s.Side, func(a *state.Authority) { *a = anew })
	case plan.BeginRotation:
		w.BeginRotation(s.Side, w.newCA(s.Side))
	case plan.SwitchAuthority:
		w.SwitchAuthority(s.Side)
	case plan.FinishRotation:
		w.FinishRotation(s.Side)
	}
}

// newCA is a new one of the operator's own, or that of the source.
func (w *world) newCA(side state.Side) state.CA {
	name := state.PeerCertificate
	if side == state.ClientSide {
		name = state.ServerCertificate
	}
	if source := w.c.TLS.Certificates[name].Source; source != nil {
		return source.CA
	}
	w.made++
	return w.CA(fmt.Sprintf("%s made %d", side, w.made))
}

// trustedByPods is what the Pods trust and what is published: the issuer of that, without a key, and the others.
func (w *world) trustedByPods(side state.Side) (state.CA, *state.CA) {
	var trusted []string
	for _, p := range w.c.Pods() {
		trusted = append(trusted, w.c.TLS.Trusts[p.Trust].Of(side)...)
	}
	for name, cert := range w.c.TLS.Certificates {
		if name.Side() == side && cert.Exists {
			trusted = append(trusted, w.bundles[cert.Bundle]...)
		}
	}
	slices.Sort(trusted)
	trusted = slices.Compact(trusted)
	name := state.PeerCertificate
	if side == state.ClientSide {
		name = state.ServerCertificate
	}
	signer := w.Issuer(w.c.TLS.Certificates[name].Fingerprint)
	if !slices.Contains(trusted, signer) {
		signer = trusted[0]
	}
	ca := statetest.CAs(signer)
	ca.NotAfter = w.expires[signer]
	ca.RenewAt = ca.NotAfter.Add(-resources.CALifetime(w.c.Object) / 3)
	others := slices.DeleteFunc(trusted, func(fingerprint string) bool { return fingerprint == signer })
	if len(others) == 0 {
		return ca, nil
	}
	previous := statetest.CAs(others...)
	return ca, &previous
}

// publish is what the executor does: a certificate of the CA that signs now, if there is its key, or of the source.
func (w *world) publish(s plan.PublishCertificate, seen *state.Cluster) {
	a, cert := w.c.TLS.Authority(s.Name.Side()), w.c.TLS.Certificates[s.Name]
	switch {
	case a.Bundle != seen.TLS.Authority(s.Name.Side()).Bundle:
	case !s.Renew && cert.Exists:
		w.Bundle(s.Name)
	case !s.Renew:
	case cert.Source == nil && a.Signer.Key && w.c.Now.Before(a.Signer.NotAfter):
		w.Issue(s.Name)
	case cert.Source == nil && !cert.Exists && w.recalls(s.Name):
		w.Publish(s.Name, w.memory[s.Name])
	case cert.Source != nil && cert.Source.CA.ID == a.Signer.ID:
		w.Take(s.Name)
	}
}

func (w *world) start(l plan.Launch) {
	w.made++
	w.starts++
	uid := types.UID(fmt.Sprintf("uid-%d", w.made))
	w.Launch(l.Incarnation.Slot).Member(l.Incarnation.Slot, func(m *state.Member) {
		m.Pod.UID, m.Pod.Trust, m.Pod.Certificates = uid, l.Start.Trust, l.Start.Certificates
		m.Pod.Args = resources.Flags(w.c.Object, l.Incarnation, l.Start)
		m.Pod.Voter, m.Pod.Sealed, m.Pod.InitialCluster = l.Start.Voter, l.Start.Sealed, l.Start.InitialCluster
	})
}

func (w *world) remove(m state.Member) {
	if m.Pod != nil {
		w.stop(m.Pod.UID) // etcd ends when it is removed
		w.c.Leftovers.Pods = append(w.c.Leftovers.Pods, *m.Pod)
	}
	if m.Volume != nil {
		w.c.Leftovers.Volumes = append(w.c.Leftovers.Volumes, *m.Volume)
	}
	w.c.Members = slices.DeleteFunc(w.c.Members, func(other state.Member) bool { return other.ID == m.ID })
}

func (w *world) recordSurge(name string) {
	for i := range w.c.Members {
		switch m := &w.c.Members[i]; {
		case m.Name != name:
		case m.Volume != nil:
			m.Volume.Surge = true
		default:
			m.Pod.Surge = true
		}
	}
}

func (w *world) record(name string, retiring bool) {
	for i := range w.c.Members {
		switch m := &w.c.Members[i]; {
		case m.Name != name:
		case m.Volume != nil:
			m.Volume.Retiring = retiring
		case m.Pod != nil:
			m.Pod.Retiring = retiring
		}
	}
}

// withPod changes the member whose Pod it is, if it still has it.
func (w *world) withPod(uid types.UID, change func(*state.Member)) {
	for i := range w.c.Members {
		if m := &w.c.Members[i]; m.Pod != nil && m.Pod.UID == uid {
			change(m)
		}
	}
}

// live is what goes on beside the operator: kubelets start and stop Pods and bring certificates, the disruption
// controller looks at budgets, and time passes.
func (w *world) live() {
	w.Later(w.second)
	for i := range w.c.Members {
		m := &w.c.Members[i]
		switch {
		case m.Pod == nil || w.frozen[m.Pod.UID] || w.one(2):
		case m.Pod.Terminating:
			w.stop(m.Pod.UID)
			m.Pod = nil
		case w.processes[m.Pod.UID] == nil:
			w.launched(m)
		default:
			w.bring(w.processes[m.Pod.UID])
		}
	}
	w.c.Leftovers.Pods = slices.DeleteFunc(w.c.Leftovers.Pods, func(p state.Pod) bool { return p.Terminating && w.one(2) })
	if w.c.Disruption != nil && w.one(2) {
		w.Budget(w.c.Disruption.MinAvailable)
	}
	w.settle()
}

// launched is a Pod whose containers its kubelet starts, once it can mount what they need.
func (w *world) launched(m *state.Member) {
	_, found := w.c.TLS.Trusts[m.Pod.Trust]
	_, mounted := w.mounted[m.Pod.UID]
	certs := w.c.TLS.Certificates
	if (found || mounted) && certs[state.PeerCertificate].Exists && certs[state.ServerCertificate].Exists {
		m.Pod.Node = fmt.Sprintf("node-%d", m.Slot)
		if _, known := w.c.Nodes[m.Pod.Node]; !known {
			w.c.Nodes[m.Pod.Node] = state.Node{Ready: true}
		}
		if m.Volume != nil {
			m.Volume.Node, m.Volume.RecordedPersistentVolume = m.Pod.Node, m.Volume.PersistentVolume
		}
		w.run(*m)
	}
}

// bring brings certificates that were published, one at a time.
func (w *world) bring(p *process) {
	if cert := w.c.TLS.Certificates[state.PeerCertificate]; cert.Exists && w.one(2) {
		p.certs.Peer = cert.Fingerprint
	}
	if cert := w.c.TLS.Certificates[state.ServerCertificate]; cert.Exists && w.one(2) {
		p.certs.Server = cert.Fingerprint
	}
}
