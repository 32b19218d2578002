package sim

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// outage is a time at which no operator ran.
type outage struct{ from, to time.Time }

// afterOutage is how long after an outage things may still expire that nobody could have renewed in time.
const afterOutage = 5 * time.Minute

// missed tells that something expired while no operator ran: then it could not be renewed.
func (w *world) missed(expiry time.Time) bool {
	for _, o := range w.outages {
		if !expiry.IsZero() && !expiry.Before(o.from) && !expiry.After(o.to.Add(afterOutage)) {
			return true
		}
	}
	return false
}

func (w *world) speaksTLS() bool {
	c := w.cluster()
	return c != nil && resources.SpeaksTLS(c)
}

// checkCertificates: all members that run accept one another, and their users; whatever the operator does.
func (w *world) checkCertificates() {
	if !w.speaksTLS() || w.formed == 0 {
		return
	}
	members := w.runningMembers()
	var refused []refusal
	for i, a := range members {
		for j, b := range members {
			if i == j {
				continue
			}
			refused = append(refused, refusal{a.pod.Name, b.pod.Name, w.peerVerdict(a, b), b.c.peerLeaf()})
			w.checkCommon(state.PeerSide, a, b, a.c.peerTrust, b.c.peerTrust)
			w.checkCommon(state.ClientSide, a, b, a.c.clientTrust, b.c.clientTrust)
		}
		refused = append(refused, w.userVerdicts(a)...)
	}
	defer w.noteExpiry(members)
	w.judgeRefusals(slices.DeleteFunc(refused, func(r refusal) bool { return r.v.problem == "" }))
}

// noteExpiry: a certificate of a member that expired while no operator ran locks everybody out, also users to whom
// nothing is promised.
func (w *world) noteExpiry(members []running) {
	for _, m := range members {
		w.interrupted = w.interrupted || w.missed(w.verifier.judge(m.c.clientTrust, m.c.serverLeaf(), w.now).expired)
	}
}

// hurried tells that no operator ran so late in the life of the client CA that its successor became due within the
// grace: clients then get less time to load a new one.
func (w *world) hurried() bool {
	s, exists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, state.ClientSide))
	if !exists || len(w.outages) == 0 {
		return false
	}
	a, err := resources.ParseAuthority(s)
	return err == nil && w.outages[len(w.outages)-1].to.Add(resources.ClientGrace(w.cluster())).After(a.Signer.RenewAt)
}

// refusal is that somebody does not accept what another shows.
type refusal struct {
	of, about string
	v         verdict
	shown     leaf
}

// judgeRefusals fails for those that have no excuse. Excused is what follows when a leaf that somebody else put into
// the Secret, or damaged there, is served, and when something expired while no operator ran. That ends once a
// majority serves, all have loaded what is trusted now, and nobody is refused any more: with the key of the CA lost or
// expired as well, new certificates come from a CA that has yet to be loaded everywhere. A lost or damaged CA Secret
// alone excuses nothing.
func (w *world) judgeRefusals(refused []refusal) {
	for _, r := range refused {
		w.interrupted = w.interrupted || w.missed(r.v.expired) || w.foreign[r.shown.cert] || w.foreign[r.shown.key] ||
			w.hurried()
	}
	if len(refused) == 0 && w.interrupted && w.truth().quorate && !slices.ContainsFunc(w.runningPods(), w.behind) {
		w.interrupted = false
	}
	for _, r := range refused {
		if !w.interrupted {
			w.fail("%s does not accept %s: %s", r.of, r.about, r.v.problem)
		}
	}
}

// runningMembers are the running processes of members of the cluster that there is now. Those of a deleted EtcdCluster
// of the same name are left out: its CAs were deleted with it.
func (w *world) runningMembers() []running {
	var list []running
	for _, p := range w.runningPods() {
		s, _ := w.etcd.State(string(p.pod.UID))
		owner := metav1.GetControllerOf(p.pod)
		if s.ListedSelf && s.ClusterID == w.formed && owner != nil && owner.UID == w.cluster().UID {
			list = append(list, p)
		}
	}
	return list
}

// checkCommon: two members always have a CA in common, unless all CAs of one expired while no operator ran.
func (w *world) checkCommon(side state.Side, a, b running, trustA, trustB string) {
	if !w.verifier.common(trustA, trustB, w.now) &&
		!w.missed(w.verifier.lastExpiry(trustA)) && !w.missed(w.verifier.lastExpiry(trustB)) {
		w.fail("%s and %s have no %s CA in common", a.pod.Name, b.pod.Name, side)
	}
}

// userVerdicts: a user that loads the client Secret within the grace, and before it acknowledges, is never refused and
// never has to refuse a member. Without a grace it has no time to do so, and nothing is promised.
func (w *world) userVerdicts(m running) []refusal {
	u := w.user
	if !u.loaded || u.lost || resources.ClientGrace(w.cluster()) < time.Minute {
		return nil
	}
	served := m.c.serverLeaf()
	return []refusal{
		{"the user", m.pod.Name, w.verifier.judge(u.trust, served, w.now), served},
		{m.pod.Name, "the user", w.verifier.judge(m.c.clientTrust, u.leaf, w.now), u.leaf},
	}
}

// checkTrustDeletion: a ConfigMap that a Pod mounts stays, unless somebody damaged it.
func (w *world) checkTrustDeletion(cm *corev1.ConfigMap) {
	live, exists := get[*corev1.ConfigMap](w.store, cm.Namespace, cm.Name)
	if !exists || live.ResourceVersion != cm.ResourceVersion && cm.ResourceVersion != "" {
		return
	}
	if _, err := resources.ParseTrust(clusterName, live); err != nil {
		return
	}
	for _, pod := range view[*corev1.Pod](w.store) {
		if trustNameOf(pod) == cm.Name {
			w.fail("ConfigMap %s is deleted while %s mounts it", cm.Name, pod.Name)
		}
	}
}

// useless tells that no certificate that there is lets a client in at the process, nor the operator: after a CA was
// lost for good, and after an outage in which those of a CA expired whose key is lost, or which expired itself.
// Stopping the process takes nothing away.
func (w *world) useless(pod *corev1.Pod) bool {
	c := w.kube.containers[pod.UID]
	if c == nil || !w.interrupted && !w.user.lost {
		return false
	}
	for _, name := range []state.CertificateName{
		state.ClientCertificate, state.ServerCertificate, state.OperatorCertificate,
	} {
		s, exists := get[*corev1.Secret](w.store, namespace, resources.CertificateSecretName(clusterName, name))
		if !exists {
			continue
		}
		l := leaf{string(s.Data[corev1.TLSCertKey]), string(s.Data[corev1.TLSPrivateKeyKey])}
		if w.verifier.judge(c.clientTrust, l, w.now).problem == "" {
			return false
		}
	}
	return true
}

// outdated tells that a Pod trusts something else than the CA Secrets say now: the only cause to restart one that is
// healthy and wanted.
func (w *world) outdated(pod *corev1.Pod) bool {
	c := w.cluster()
	return c != nil && w.speaksTLS() && trustNameOf(pod) != w.wantedTrust(c)
}

func (w *world) behind(p running) bool { return w.outdated(p.pod) }

func (w *world) wantedTrust(c *v1alpha1.EtcdCluster) string {
	peer, peerExists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, state.PeerSide))
	client, clientExists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, state.ClientSide))
	if !peerExists || !clientExists {
		return ""
	}
	peers, errPeers := resources.ParseAuthority(peer)
	clients, errClients := resources.ParseAuthority(client)
	if errPeers != nil || errClients != nil {
		return ""
	}
	return resources.WantedTrust(c, peers, clients, false)
}

// authorities tells the versions of both CA Secrets.
func (w *world) authorities() [2]string {
	var versions [2]string
	for i, side := range []state.Side{state.PeerSide, state.ClientSide} {
		if s, exists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, side)); exists {
			versions[i] = s.ResourceVersion
		}
	}
	return versions
}

// unsettled tells what of the certificates is not as it shall be in the end; empty when all is.
func (w *world) unsettled() string {
	c := w.cluster()
	if !w.speaksTLS() {
		return ""
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		if problem := w.unsettledAuthority(c, side); problem != "" {
			return fmt.Sprintf("the %s CA: %s", side, problem)
		}
	}
	for _, name := range state.CertificateNames() {
		if problem := w.unsettledCertificate(name); problem != "" {
			return fmt.Sprintf("the %s certificate: %s", name, problem)
		}
	}
	for _, cm := range view[*corev1.ConfigMap](w.store) {
		if cm.Labels[resources.ComponentLabel] == resources.ComponentTrust && cm.Name != w.wantedTrust(c) {
			return "ConfigMap " + cm.Name + " is left"
		}
	}
	return w.unsettledPods()
}

func (w *world) unsettledAuthority(c *v1alpha1.EtcdCluster, side state.Side) string {
	s, exists := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, side))
	if !exists {
		return "there is none"
	}
	a, err := resources.ParseAuthority(s)
	switch {
	case err != nil:
		return err.Error()
	case a.Next != nil || a.Previous != nil:
		return "it is being rotated"
	case !a.Signer.Key || !w.now.Before(a.Signer.RenewAt),
		resources.CARotation(c) != "" && a.Rotation != resources.CARotation(c):
		return "it has to be rotated"
	}
	return ""
}

func (w *world) unsettledCertificate(name state.CertificateName) string {
	s, exists := get[*corev1.Secret](w.store, namespace, resources.CertificateSecretName(clusterName, name))
	if !exists {
		return "there is none"
	}
	pair, _, bundle, err := resources.CertificateIn(s)
	if err != nil {
		return err.Error()
	}
	if v := w.verifier.judge(string(bundle.PEM()), leaf{string(pair.Cert), string(pair.Key)}, w.now); v.problem != "" {
		return v.problem
	}
	if len(bundle.Certificates()) != 1 {
		return "several CAs are published with it"
	}
	return ""
}

func (w *world) unsettledPods() string {
	peer, _ := get[*corev1.Secret](w.store, namespace, resources.CertificateSecretName(clusterName, state.PeerCertificate))
	name := resources.CertificateSecretName(clusterName, state.ServerCertificate)
	server, _ := get[*corev1.Secret](w.store, namespace, name)
	for _, p := range w.runningPods() {
		shown := [2]string{p.c.peerLeaf().cert, p.c.serverLeaf().cert}
		if shown != [2]string{string(peer.Data[corev1.TLSCertKey]), string(server.Data[corev1.TLSCertKey])} {
			return p.pod.Name + " serves other certificates"
		}
		if w.outdated(p.pod) {
			return p.pod.Name + " trusts something else"
		}
	}
	return ""
}
