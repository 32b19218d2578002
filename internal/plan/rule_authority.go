package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// servedPoll is how often to look for what gives no event: which certificate a process serves.
const servedPoll = time.Second

// authority makes the certificate authority of a side, and rotates it in three steps, each of which waits for
// everybody: all trust the next one as well; it signs; nobody trusts the former one any more. Invariant: at no moment
// does somebody show a certificate of an authority that another does not trust.
func (w *walk) authority(side state.Side) {
	a := w.c.TLS.Authority(side)
	why, urgent := w.rotationDue(side, a)
	if name := disagreeing(w.c.TLS, side); name != "" {
		w.block(0, v1alpha1.ReasonCertificateProblem, "Secret "+name+": its ca.crt is another than that of the other "+
			"Secrets: "+
			"waiting until they agree")
	}
	switch {
	case !a.Recorded || w.unrelated(side):
		w.establish(side, a)
	case a.Next != nil:
		w.introduce(side, a)
	case a.Previous != nil && !urgent:
		w.dropPrevious(side, a)
	case why != "":
		// The former one goes on being trusted when it was replaced by one that cannot sign, or not for long.
		w.ensure(SetAuthority{Side: side, Change: BeginRotation, Why: why})
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: %s", side, why))
	}
}

// unrelated tells that no Pod trusts the authority that is recorded: somebody put back the Secret of another time, or
// of another cluster. What it signs would cut the members off.
func (w *walk) unrelated(side state.Side) bool {
	t, known := w.c.TLS, false
	a := t.Authority(side)
	for _, p := range w.c.Pods() {
		trust, found := t.Trusts[p.Trust]
		if !found {
			continue
		}
		known = true
		if t.PodTrusts(p, side, a.Signer) || a.Previous != nil && slices.ContainsFunc(a.Previous.Certificates,
			func(former string) bool { return slices.Contains(trust.Of(side), former) }) {
			return false
		}
	}
	return a.Recorded && known
}

// establish makes the first authority. Where Pods trust one whose Secret was lost, or certificates of it are published,
// it is made anew from those, without its key; a rotation follows. A second, unrelated one would cut the members off
// from each other, and clients off from the members.
func (w *walk) establish(side state.Side, a state.Authority) {
	t, name := w.c.TLS, resources.AuthorityName(w.c.Object.Name, side)
	if a.Exists && a.Problem == resources.BelongsToOther {
		w.block(creation|revival, v1alpha1.ReasonOwnershipConflict, "Secret "+name+" "+a.Problem+": delete or rename it")
		return
	}
	if _, problem := w.sourceCA(side); problem != "" && !t.Managed {
		w.block(0, v1alpha1.ReasonCertificateProblem, problem)
		return
	}
	why, anew := "there is none", RestoreAuthority
	switch {
	case a.Recorded:
		why, anew = "no member trusts the one that is recorded", SupplantAuthority
		w.block(membership|creation|revival, v1alpha1.ReasonCertificateProblem,
			fmt.Sprintf("no member trusts the CA in Secret %s: somebody has replaced it. It is made anew from what they trust",
				name))
	case a.Problem != "":
		why = "its Secret is damaged: " + a.Problem
	}
	trusting, known := 0, 0
	for _, p := range w.c.Pods() {
		if p.Trust != "" {
			trusting++
			if _, found := t.Trusts[p.Trust]; found {
				known++
			}
		}
	}
	for _, name := range state.CertificateNames() {
		if name.Side() == side && t.Certificates[name].Exists {
			known++
		}
	}
	switch {
	case known > 0:
		w.ensure(SetAuthority{Side: side, Change: anew, Why: why})
	case trusting == 0 && len(w.unreadablePods()) > 0:
		// They may trust one; the rule about ownership tells that they are waited for.
	case trusting == 0:
		w.ensure(SetAuthority{Side: side, Change: CreateAuthority, Why: why})
	default:
		w.block(0, v1alpha1.ReasonCertificateProblem, fmt.Sprintf("Secret %s and the ConfigMaps with what the members "+
			"trust are lost: restore them, or %s", name, withoutTrust(w.c)))
	}
}

// withoutTrust is what a person can do when nothing that the members accept can be brought back. What is kept in a Pod
// goes with it.
func withoutTrust(c *state.Cluster) string {
	if c.Ephemeral() {
		return "save the data with etcdctl snapshot save, and restore it into a new cluster; do not delete the Pods " +
			"before, which hold it"
	}
	return "delete all member Pods at once: they start again on their volumes with a new CA"
}

// rotationDue says why the authority has to be replaced, empty when it has not; urgent, when that must not wait for the
// end of the rotation before.
func (w *walk) rotationDue(side state.Side, a state.Authority) (why string, urgent bool) {
	if !w.c.TLS.Managed {
		ca, problem := w.sourceCA(side)
		if problem == "" && ca.ID != a.Signer.ID {
			return "the source of the certificates has another one", true
		}
		return "", false
	}
	switch wanted := resources.CARotation(w.c.Object); {
	case !a.Signer.Key:
		return "its private key is not there", true
	case !w.c.Now.Before(a.Signer.RenewAt):
		return "two thirds of its life are over", !w.c.Now.Before(nearEnd(a.Signer.RenewAt, a.Signer.NotAfter))
	case wanted != "" && wanted != a.Rotation:
		return "spec.tls.caRotation asks for it", false
	default:
		return "", false
	}
}

// nearEnd is when half of the time is over in which something is to be replaced.
func nearEnd(renewAt, notAfter time.Time) time.Time { return renewAt.Add(notAfter.Sub(renewAt) / 2) }

// sourceCA is the authority from which all sources of the side come; a problem when one cannot be used, or when they
// come from several.
func (w *walk) sourceCA(side state.Side) (state.CA, string) {
	var ca state.CA
	for _, name := range state.CertificateNames() {
		if source := w.c.TLS.Certificates[name].Source; source != nil && name.Side() == side {
			if ca = source.CA; source.Problem != "" {
				return ca, source.Problem
			}
		}
	}
	if name := disagreeing(w.c.TLS, side); name != "" {
		return ca, "Secret " + name + " has another ca.crt than the others"
	}
	return ca, ""
}

// disagreeing names a source of the side that comes from another authority than one before it.
func disagreeing(t *state.TLS, side state.Side) string {
	first := ""
	for _, name := range state.CertificateNames() {
		source := t.Certificates[name].Source
		switch {
		case name.Side() != side || source == nil || source.Problem != "":
		case first == "":
			first = source.CA.ID
		case first != source.CA.ID:
			return source.Secret
		}
	}
	return ""
}

// introduce waits until every process, and every client, trusts the next authority; then it signs.
func (w *walk) introduce(side state.Side, a state.Authority) {
	if why := w.unfit(side, *a.Next); why != "" {
		// Nothing is signed by the next one yet, so another may take its place.
		w.ensure(SetAuthority{Side: side, Change: BeginRotation, Why: why})
		return
	}
	why, waiting := "everybody trusts the new one", w.distrusting(side, *a.Next)
	switch {
	case w.worthless(side, a):
		why = "the former one is worthless, because it has expired or its certificates are lost"
	case len(waiting) > 0:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until all members trust the new one "+
			"as well: %s", side, strings.Join(waiting, ", ")))
		return
	case side == state.ClientSide && !w.clientsLoaded(a):
		return
	}
	w.propose(authority, SetAuthority{Side: side, Change: SwitchAuthority, Why: why}, v1alpha1.ReasonRotatingCA,
		fmt.Sprintf("the new %s CA signs from now on: %s", side, why))
}

// unfit says why the next authority cannot take the signer's place; empty when it can.
func (w *walk) unfit(side state.Side, next state.CA) string {
	ca, problem := w.sourceCA(side)
	switch {
	case !w.c.TLS.Managed && problem == "" && ca.ID != next.ID:
		return "the source of the certificates has yet another one"
	case w.c.TLS.Managed && !next.Key:
		return "the private key of the next one is not there"
	case w.c.TLS.Managed && expired(w.c, next):
		return "the next one has expired"
	default:
		return ""
	}
}

// distrusting names the Pods whose process does not trust the authority, or of which nobody knows what they trust.
func (w *walk) distrusting(side state.Side, ca state.CA) []string {
	names := w.unreadablePods()
	for _, p := range w.c.Pods() {
		if !w.c.TLS.PodTrusts(p, side, ca) {
			names = append(names, p.Name)
		}
	}
	return names
}

// unreadablePods are those with the cluster's label or name that cannot be read, or belong to something else: they may
// run members.
func (w *walk) unreadablePods() []string {
	var names []string
	for _, o := range w.c.Leftovers.Foreign {
		if o.Kind == "Pod" {
			names = append(names, o.Name)
		}
	}
	return names
}

// worthless tells that there is nothing to lose: nobody accepts what the signer has signed; or no majority serves, and
// without a certificate that nobody can issue any more none ever will. It does not hold while members serve on
// connections that they have: these would be lost.
func (w *walk) worthless(side state.Side, a state.Authority) bool {
	needed := []state.CertificateName{state.PeerCertificate}
	if side == state.ClientSide {
		needed = []state.CertificateName{state.ServerCertificate, state.OperatorCertificate}
	}
	useless := func(name state.CertificateName) bool {
		cert := w.c.TLS.Certificates[name]
		return !w.c.CanIssue(name) && !cert.Remembered && (!cert.Accepted() || !w.c.Now.Before(cert.NotAfter))
	}
	return expired(w.c, a.Signer) || !w.c.Etcd.Serving && !w.c.Ephemeral() && slices.ContainsFunc(needed, useless)
}

// issuedByOthers names the Secrets of the side's certificates that are not of the signer.
func (w *walk) issuedByOthers(side state.Side, a state.Authority) []string {
	var names []string
	for _, name := range state.CertificateNames() {
		if cert := w.c.TLS.Certificates[name]; name.Side() == side && cert.Issuer != a.Signer.ID {
			names = append(names, "Secret "+cert.Secret)
		}
	}
	return names
}

// dropPrevious waits until nobody shows a certificate of the former authority any more, and everybody trusts the new
// one, as they do unless the former has expired before; then it is trusted no longer.
func (w *walk) dropPrevious(side state.Side, a state.Authority) {
	waiting := w.issuedByOthers(side, a)
	for _, m := range w.c.Members {
		if m.Pod != nil && !w.c.TLS.Served(m) {
			waiting = append(waiting, m.Name)
		}
	}
	distrusting := w.distrusting(side, a.Signer)
	switch {
	case len(waiting) > 0:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until certificates of the new one are "+
			"served by %s", side, strings.Join(waiting, ", ")))
	case len(distrusting) > 0:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until all members trust the new one: %s",
			side, strings.Join(distrusting, ", ")))
	case side == state.ClientSide && !w.clientsLoaded(a):
	case w.otherGoesOn(side):
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting for the rotation of the other one, so "+
			"that members restart only once more for both", side))
	default:
		w.propose(authority, SetAuthority{Side: side, Change: FinishRotation, Why: "nobody uses the former one"},
			v1alpha1.ReasonRotatingCA, fmt.Sprintf("nobody uses the former %s CA any more", side))
	}
}

// otherGoesOn tells that the rotation of the other side is not as far as this one.
func (w *walk) otherGoesOn(side state.Side) bool {
	other := state.PeerSide
	if side == state.PeerSide {
		other = state.ClientSide
	}
	a := w.c.TLS.Authority(other)
	return a.Recorded && (a.Next != nil || other == state.ClientSide && a.Previous != nil && !w.clientsDone(a))
}

func expired(c *state.Cluster, ca state.CA) bool { return !c.Now.Before(ca.NotAfter) }
