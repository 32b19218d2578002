package sim

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// user is a program that uses the cluster, such as a kube-apiserver: it reads the client Secret when it starts, and
// again as late as the rules of a rotation allow: when it acknowledges, when the grace since a change of the Secret is
// over, or when its own certificate is due for renewal.
type user struct {
	world  *world
	loaded bool
	leaf   leaf
	trust  string
	// seen is the resource version of the Secret that was noticed last, due when it has to be loaded; zero when it is.
	seen string
	due  time.Time
	// lost tells that everything by which the user could have been led to a new CA was destroyed.
	lost bool
}

// secret is what clients load: nil while there is none of this cluster that they could use.
func (u *user) secret() *corev1.Secret {
	s, exists := get[*corev1.Secret](u.world.store, namespace, resources.ClientSecretName(clusterName))
	if !exists || u.world.ownerless(s) || u.world.foreign[string(s.Data[corev1.TLSCertKey])] {
		return nil
	}
	if _, _, _, err := resources.CertificateIn(s); err != nil {
		return nil
	}
	return s
}

func (u *user) tick() {
	c, s := u.world.cluster(), u.secret()
	if c == nil || s == nil || u.world.formed == 0 {
		return // it is restarted, and reads the Secret again, until the cluster serves
	}
	if s.ResourceVersion != u.seen {
		u.seen = s.ResourceVersion
		if at := u.world.now.Add(resources.ClientGrace(c)); u.due.IsZero() || at.Before(u.due) {
			u.due = at
		}
	}
	due := !u.due.IsZero() && !u.world.now.Add(u.world.pace).Before(u.due)
	if cert := u.world.verifier.leaf(u.leaf); cert != nil && !u.due.IsZero() {
		due = due || !u.world.now.Before(cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore)/3*2))
	}
	if !u.loaded || due {
		u.load()
	}
}

// load reads the Secret, as a restart does: again and again before the cluster serves.
func (u *user) load() {
	s := u.secret()
	if s == nil {
		return
	}
	u.loaded, u.due, u.seen = u.world.formed != 0, time.Time{}, s.ResourceVersion
	u.leaf = leaf{string(s.Data[corev1.TLSCertKey]), string(s.Data[corev1.TLSPrivateKeyKey])}
	u.trust = string(s.Data["ca.crt"])
}

// acknowledge loads what the status asks for and says so.
func (u *user) acknowledge() bool {
	c := u.world.cluster()
	if c == nil || c.Status.TLS == nil || c.Status.TLS.ClientsMustLoad == nil ||
		c.Annotations[v1alpha1.AnnotationClientsLoaded] == *c.Status.TLS.ClientsMustLoad {
		return false
	}
	u.load()
	u.world.log("the user loads the client Secret and acknowledges")
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[v1alpha1.AnnotationClientsLoaded] = *c.Status.TLS.ClientsMustLoad
	must(u.world.store.update(c, false))
	return true
}
