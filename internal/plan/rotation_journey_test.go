package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// passes are more than any rotation needs, although one in eight steps fails.
const passes = 3000

// travel tells whether the rotation came to its end as it should.
func (j journey) travel(t *testing.T, seed int) bool {
	t.Helper()
	w := inhabit(j.cluster(), seed)
	if j.anew == nil {
		j.anew = statetest.Sides()
	}
	former := map[state.Side][]string{}
	for _, side := range j.anew {
		for _, p := range w.processes {
			former[side] = append(former[side], p.trust.Of(side)...)
		}
	}
	if j.begin(w); j.outage {
		w.client = credentials{} // nothing can be promised to it
	}
	var story []string
	for pass := range passes {
		if len(j.meanwhile) > 0 && w.one(40) {
			j.meanwhile[0](w)
			j.meanwhile = j.meanwhile[1:]
		}
		c, d := w.pass()
		story = append(story, tell(d))
		w.load(d)
		w.obey(d)
		w.live()
		faults := faults(c, d)
		if !j.outage {
			faults = append(faults, w.strangers()...)
		}
		if len(faults) > 0 {
			t.Errorf("seed %d, pass %d: %s\n%s\n%s", seed, pass, strings.Join(faults, "\n"), w, last(story))
			return false
		}
		if len(j.meanwhile) == 0 && w.rests(c, d, former) {
			if j.starts > 0 && w.starts != j.starts {
				t.Errorf("seed %d: %d Pods were started, want %d\n%s", seed, w.starts, j.starts, last(story))
			}
			return !t.Failed()
		}
	}
	t.Errorf("seed %d: no end after %d passes\n%s\n%s", seed, passes, w, last(story))
	return false
}

// tell is a decision in a few words.
func tell(d plan.Decision) string {
	var parts []string
	for _, e := range d.Ensures {
		if isCertificates(e) {
			parts = append(parts, e.String())
		}
	}
	if d.Step != nil {
		parts = append(parts, "STEP "+d.Step.String())
	}
	for _, b := range slices.Concat(d.Blocked, d.Pending) {
		parts = append(parts, b.Reason+" "+b.Message)
	}
	return strings.Join(parts, "\n    ")
}

func isCertificates(s plan.Step) bool {
	switch s.(type) {
	case plan.SetAuthority, plan.PublishTrust, plan.PruneTrust, plan.PublishCertificate, plan.RefreshCertificates:
		return true
	default:
		return false
	}
}

// last are the newest parts of a story, each of which is told once.
func last(story []string) string {
	story = slices.Compact(story)
	return strings.Join(story[max(0, len(story)-12):], "\n  then ")
}

// load has the client load what its Secret holds, as late as it may: when somebody vouches for it or the grace ends.
func (w *world) load(d plan.Decision) {
	if d.ClientsMustLoad == "" || !w.one(4) {
		return
	}
	cert := w.c.TLS.Certificates[state.ClientCertificate]
	if resources.ClientsLoad(cert.Bundle, cert.Issuer) != d.ClientsMustLoad {
		return
	}
	loaded := w.published(state.ClientCertificate)
	if w.client.certificate != "" {
		w.client.certificate = loaded.certificate
	}
	if w.client.trusted != nil {
		w.client.trusted = loaded.trusted
	}
	switch {
	case w.vouches:
		metav1.SetMetaDataAnnotation(&w.c.Object.ObjectMeta, v1alpha1.AnnotationClientsLoaded, d.ClientsMustLoad)
	case w.skips:
		w.Later(d.Wake)
	}
}

// strangers are those who do not accept each other although they run.
func (w *world) strangers() []string {
	var list []string
	fresh := w.published(state.ClientCertificate)
	for _, a := range w.running() {
		p := w.processes[a.Pod.UID]
		for _, b := range w.running() {
			if q := w.processes[b.Pod.UID]; a.ID != b.ID && !w.admits(p, q) {
				list = append(list, fmt.Sprintf("%s does not accept its peer %s", a.Name, b.Name))
			}
		}
		for who, c := range map[string]credentials{
			"the operator": w.operator, "etcdctl in the Pod": {p.certs.Server, p.trust.Client}, "a client": w.client,
			"a client that reads its files for each connection": fresh, "kube-apiserver": {fresh.certificate, w.client.trusted},
		} {
			if c.trusted != nil && c.certificate != "" && !w.welcome(p, c) {
				list = append(list, a.Name+" and "+who+" do not accept each other")
			}
		}
	}
	return list
}

// rests tells that all is done: nobody trusts anything but the new authorities, and nothing is left to do.
func (w *world) rests(c *state.Cluster, d plan.Decision, former map[state.Side][]string) bool {
	if d.Step != nil || len(d.Blocked)+len(d.Pending)+len(w.late) > 0 || slices.ContainsFunc(d.Ensures, isCertificates) {
		return false
	}
	for _, m := range c.Members {
		if m.Pod == nil || resources.DemandedBy(*m.Pod) != resources.DemandedCommonName(c.Object) {
			return false
		}
	}
	for side, cas := range former {
		for _, m := range c.Members {
			if m.Pod == nil || slices.ContainsFunc(cas, func(hash string) bool {
				return slices.Contains(c.TLS.Trusts[m.Pod.Trust].Of(side), hash)
			}) {
				return false
			}
		}
	}
	return len(w.strangers()) == 0
}
