package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// drawTLS draws how the cluster of the schedule speaks TLS, and how fast kubelets are.
func drawTLS(r *rapid.T, w *world) {
	w.tls = &v1alpha1.TLSSpec{Mode: ptr.To(v1alpha1.TLSDisabled)}
	if !rapid.Bool().Draw(r, "TLS") {
		return
	}
	w.tls = &v1alpha1.TLSSpec{}
	if rapid.Bool().Draw(r, "short lives") {
		w.tls.CertificateLifetime = &metav1.Duration{Duration: 24 * time.Hour}
		w.tls.CALifetime = &metav1.Duration{Duration: 30 * 24 * time.Hour}
	}
	grace := rapid.SampledFrom([]time.Duration{0, time.Hour, 24 * time.Hour}).Draw(r, "grace")
	w.tls.ClientGrace = &metav1.Duration{Duration: grace}
	w.acknowledges = rapid.Bool().Draw(r, "acknowledges")
	w.kube.lag = time.Duration(rapid.IntRange(0, 3).Draw(r, "kubelet lag")) * time.Second
	w.kube.resync = time.Duration(rapid.IntRange(5, 90).Draw(r, "kubelet resync")) * time.Second
}

// tlsActions are those of clusters that speak TLS.
func tlsActions(w *world, ephemeral bool) []action {
	return []action{
		{"the user asks for a rotation of the CAs", func(*rapid.T) { w.askForRotation() }},
		{"the user acknowledges", func(*rapid.T) { w.user.acknowledge() }},
		{"the user restarts", func(*rapid.T) { w.user.load() }},
		{"the user asks for another SAN", func(*rapid.T) { w.addSAN() }},
		{"a CA Secret is lost or damaged", func(r *rapid.T) {
			side := rapid.SampledFrom([]state.Side{state.PeerSide, state.ClientSide}).Draw(r, "side")
			if w.mayDamage("CA", ephemeral) {
				w.damageSecret(resources.AuthorityName(clusterName, side), rapid.IntRange(0, 5).Draw(r, "damage"))
			}
		}},
		{"a certificate is lost or damaged", func(r *rapid.T) {
			name := rapid.SampledFrom(state.CertificateNames()).Draw(r, "name")
			if w.mayDamage("certificate", ephemeral) {
				w.damageSecret(resources.CertificateSecretName(clusterName, name), rapid.IntRange(0, 6).Draw(r, "damage"))
			}
		}},
		{"a trust ConfigMap is lost or damaged", func(r *rapid.T) {
			if w.mayDamage("trust", ephemeral) {
				w.damageTrust(rapid.IntRange(0, 3).Draw(r, "which"), rapid.Bool().Draw(r, "replaced"))
			}
		}},
		{"nothing of ours runs for a long time", func(r *rapid.T) { sleep(r, w, ephemeral) }},
	}
}

// mayDamage tells that the cluster can survive another damage. One that keeps its data in its Pods cannot have all of
// them started anew, so that it survives one kind of loss only: that of its CAs, its certificates, its trust, or time.
func (w *world) mayDamage(kind string, ephemeral bool) bool {
	if ephemeral && w.damaged != "" && w.damaged != kind {
		return false
	}
	w.damaged = kind
	return true
}

func (w *world) askForRotation() {
	c := w.cluster()
	if c == nil {
		return
	}
	w.rotations++
	w.log("the user asks for rotation %d", w.rotations)
	c.Spec.TLS.CARotation = ptr.To(strconv.Itoa(w.rotations))
	must(w.store.update(c, false))
}

func (w *world) addSAN() {
	c := w.cluster()
	if c == nil {
		return
	}
	san := fmt.Sprintf("etcd-%d.example.com", len(c.Spec.TLS.ExtraSANs))
	w.log("the user asks for SAN %s", san)
	c.Spec.TLS.ExtraSANs = append(c.Spec.TLS.ExtraSANs, san)
	must(w.store.update(c, false))
}

// damageSecret deletes a Secret or damages it in one of several ways.
func (w *world) damageSecret(name string, how int) {
	s, exists := get[*corev1.Secret](w.store, namespace, name)
	if !exists {
		return
	}
	if s.Data == nil {
		s.Data = map[string][]byte{} // somebody emptied it before
	}
	switch how {
	case 0:
		w.log("somebody deletes Secret %s", name)
		must(w.store.remove(refOf(s), nil, false))
		return
	case 1:
		w.log("somebody removes tls.key of Secret %s", name)
		delete(s.Data, corev1.TLSPrivateKeyKey)
	case 2:
		w.log("somebody overwrites tls.crt of Secret %s", name)
		s.Data[corev1.TLSCertKey] = []byte("garbage")
	case 3:
		w.log("somebody overwrites tls.key of Secret %s", name)
		s.Data[corev1.TLSPrivateKeyKey] = []byte("garbage")
	case 4:
		w.log("somebody overwrites ca.crt of Secret %s", name)
		s.Data["ca.crt"] = []byte("garbage")
	case 5:
		w.log("somebody empties Secret %s", name)
		s.Data, s.Annotations = map[string][]byte{}, nil
	default:
		w.log("somebody puts a foreign certificate into Secret %s", name)
		w.putForeign(s)
	}
	must(w.store.update(s, false))
}

func (w *world) putForeign(s *corev1.Secret) {
	ca, err := pki.NewCA("foreign", w.now, time.Hour)
	must(err)
	pair, err := pki.Issue(ca, pki.Request{
		CommonName: "foreign", DNSNames: []string{"foreign"}, Server: true, Client: true, Lifetime: time.Hour,
	}, w.now)
	must(err)
	s.Data = map[string][]byte{
		corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key, "ca.crt": ca.Cert,
	}
	w.foreign[string(pair.Cert)] = true
}

// trusts are the ConfigMaps with what members trust, the oldest first: their names are random.
func (w *world) trusts() []*corev1.ConfigMap {
	list := slices.DeleteFunc(all[*corev1.ConfigMap](w.store), func(cm *corev1.ConfigMap) bool {
		return cm.Labels[resources.ComponentLabel] != resources.ComponentTrust
	})
	slices.SortFunc(list, func(a, b *corev1.ConfigMap) int {
		return cmp.Or(cmp.Compare(len(a.UID), len(b.UID)), strings.Compare(string(a.UID), string(b.UID)))
	})
	return list
}

func (w *world) damageTrust(which int, replaced bool) {
	list := w.trusts()
	if which >= len(list) {
		return
	}
	cm := list[which]
	w.log("somebody deletes ConfigMap %s; replaces it: %t", cm.Name, replaced)
	must(w.store.remove(refOf(cm), nil, false))
	if replaced {
		cm.UID, cm.ResourceVersion = "", ""
		cm.Data["peer-ca.crt"] = "garbage"
		must(w.store.create(cm))
	}
}

// maxOutages bounds how often a schedule jumps: certificates that last for years would else end in the far future.
const maxOutages = 4

// sleep lets time pass with no operator running, until a certificate or CA is to be renewed or has expired, or the
// grace of a rotation is over.
func sleep(r *rapid.T, w *world, ephemeral bool) {
	if !w.mayDamage("time", ephemeral) {
		return
	}
	until := w.moments(ephemeral)
	if len(until) == 0 || len(w.outages) >= maxOutages {
		return
	}
	w.sleepUntil(rapid.SampledFrom(until).Draw(r, "until"))
}

// moments in the future that matter, in an order that does not depend on them. An ephemeral cluster does not survive
// the end of a CA: its members cannot be restarted to trust another one, so that is left out.
func (w *world) moments(ephemeral bool) []time.Time {
	c := w.cluster()
	if c == nil {
		return nil
	}
	list := []time.Time{w.now.Add(10 * time.Minute), w.now.Add(resources.ClientGrace(c) + time.Second)}
	for _, name := range state.CertificateNames() {
		s, _ := get[*corev1.Secret](w.store, namespace, resources.CertificateSecretName(clusterName, name))
		if s == nil {
			continue
		}
		if _, cert, _, err := resources.CertificateIn(s); err == nil && !w.foreign[string(s.Data[corev1.TLSCertKey])] {
			list = append(list, pki.RenewAt(cert).Add(time.Second), cert.NotAfter.Add(time.Second))
		}
	}
	last := time.Time{}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		s, _ := get[*corev1.Secret](w.store, namespace, resources.AuthorityName(clusterName, side))
		if s == nil {
			continue
		}
		if a, err := resources.ParseAuthority(s); err == nil {
			list = append(list, a.Signer.RenewAt.Add(time.Second), a.Signer.NotAfter.Add(time.Second))
			if last.IsZero() || a.Signer.NotAfter.Before(last) {
				last = a.Signer.NotAfter
			}
		}
	}
	return slices.DeleteFunc(list, func(t time.Time) bool {
		return !t.After(w.now) || ephemeral && !last.IsZero() && !t.Before(last.Add(-time.Hour))
	})
}
