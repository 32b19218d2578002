//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

func TestDamagedCertificatesHealWithoutARestart(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	processes, authorities := c.processes(), c.credentials().authorities
	w := c.write()

	for _, name := range state.CertificateNames() {
		t.Logf("the Secret of the %s certificate is deleted", name)
		before := c.fingerprints()
		c.deleteSecret(resources.CertificateSecretName("demo", name))
		c.healed(before, name)
	}
	for _, name := range state.CertificateNames() {
		t.Logf("the key of the %s certificate is overwritten", name)
		before := c.fingerprints()
		c.overwriteKey(resources.CertificateSecretName("demo", name))
		c.healed(before, name)
	}
	c.trustComesBack()

	c.certificatesValid()
	c.sameProcesses(processes)
	if differs := cmp.Diff(authorities, c.credentials().authorities); differs != "" {
		t.Errorf("other CAs sign than before (-before +now):\n%s", differs)
	}
	w.goesOn()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestACAWhoseSecretIsDeletedIsReplacedByARotation(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(clientGrace(0))))
	c.ready()
	ids, old := c.ids(), c.credentials()
	peerCA := old.authorities[state.PeerSide]
	delete(old.authorities, state.PeerSide) // it stays
	l := c.load()

	name := resources.AuthorityName("demo", state.ClientSide)
	uid := c.deleteSecret(name)
	c.back(name, uid)
	c.rotated(old)
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)

	c.sameMembers(ids)
	if got := c.authority(state.PeerSide); got != peerCA {
		t.Errorf("the peer CA is %.16s, want %.16s as before: it was not lost", got, peerCA)
	}
	c.signs(state.ClientSide)
	c.turnedAway(t, resources.ClientPort, map[string]framework.Identity{
		"a client with a certificate of the lost CA": old.client,
	})
}

func TestAllSecretsOfTheNamespaceAreDeletedAndComeBack(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(clientGrace(0))))
	c.ready()
	ids, old := c.ids(), c.credentials()
	uids := map[string]types.UID{}
	for _, name := range c.secretNames() {
		uids[name] = c.secret(name).UID
	}
	w := c.write()

	c.kubectl("delete", "secret", "--all")
	for name, uid := range uids {
		c.back(name, uid)
	}
	c.rotated(old)
	w.goesOn()
	w.nothingLost()
	w.gapAtMost(tolerable)

	c.sameMembers(ids)
	c.signs(state.PeerSide)
	c.signs(state.ClientSide)
	c.shutOut(old)
}

// secretNames are those of all Secrets of a cluster whose certificates the operator issues.
func (c *cluster) secretNames() []string {
	return append(c.certificateSecrets(),
		resources.AuthorityName(c.key.Name, state.PeerSide), resources.AuthorityName(c.key.Name, state.ClientSide))
}

// certificateSecrets are the Secrets with the certificates of members and clients.
func (c *cluster) certificateSecrets() []string {
	var all []string
	for _, name := range state.CertificateNames() {
		all = append(all, resources.CertificateSecretName(c.key.Name, name))
	}
	return all
}

// deleteSecret deletes a Secret of the cluster's namespace and returns what it was known by.
func (c *cluster) deleteSecret(name string) types.UID {
	c.t.Helper()
	s := c.secret(name)
	c.must(c.Client.Delete(c.ctx, s, client.Preconditions{UID: &s.UID}))
	return s.UID
}

// overwriteKey puts something into the Secret that is no private key.
func (c *cluster) overwriteKey(name string) {
	c.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
	c.must(c.Edit(c.ctx, s, func() { s.Data[corev1.TLSPrivateKeyKey] = []byte("garbage") }))
}

// healed waits until the certificate is another one than before, with a key that belongs to it, and is served by every
// member that serves it. The others must be as before.
func (c *cluster) healed(before map[state.CertificateName]string, name state.CertificateName) {
	c.t.Helper()
	c.renewed(map[state.CertificateName]string{name: before[name]})
	c.identity(name) // refuses a key that does not belong to the certificate
	c.served()
	after := c.fingerprints()
	for other := range before {
		if other != name && after[other] != before[other] {
			c.t.Errorf("the %s certificate is another one as well, want only that whose Secret was damaged", other)
		}
	}
}

// back waits until there is a Secret of this name again.
func (c *cluster) back(name string, deleted types.UID) {
	c.t.Helper()
	c.eventually("waiting until Secret "+name+" is back", settle, func(ctx context.Context) string {
		s := &corev1.Secret{}
		if err := c.Client.Get(ctx, c.secretKey(name), s); err != nil {
			return err.Error()
		}
		if s.UID == deleted {
			return "the deleted one is still there"
		}
		return ""
	})
}

// trustComesBack deletes what members are told to trust, and waits until there is the same again.
func (c *cluster) trustComesBack() {
	c.t.Helper()
	name := trustOf(c.pod(c.follower()))
	deleted := &corev1.ConfigMap{}
	c.must(c.Client.Get(c.ctx, c.secretKey(name), deleted))
	c.must(c.Client.Delete(c.ctx, deleted))
	c.eventually("waiting until ConfigMap "+name+" is back", settle, func(ctx context.Context) string {
		cm := &corev1.ConfigMap{}
		if err := c.Client.Get(ctx, c.secretKey(name), cm); err != nil {
			return err.Error()
		}
		if cm.UID == deleted.UID {
			return "the deleted one is still there"
		}
		return cmp.Diff(deleted.Data, cm.Data)
	})
}

// signs checks that the CA's Secret holds a key, by which it signs what members and clients accept.
func (c *cluster) signs(side state.Side) {
	c.t.Helper()
	ca := c.secret(resources.AuthorityName(c.key.Name, side))
	certificate, err := pki.ParsePair(pki.Pair{Cert: ca.Data[corev1.TLSCertKey], Key: ca.Data[corev1.TLSPrivateKeyKey]})
	if err != nil {
		c.t.Errorf("Secret %s: %v", ca.Name, err)
		return
	}
	leaf := state.ClientCertificate
	if side == state.PeerSide {
		leaf = state.PeerCertificate
	}
	bundle, err := pki.ParseBundle(c.secret(resources.CertificateSecretName(c.key.Name, leaf)).Data["ca.crt"])
	c.must(err)
	if !bundle.Contains(pki.NewBundle(certificate)) {
		c.t.Errorf("Secret %s signs with %s, which is not trusted: %v", ca.Name, certificate.Subject, bundle)
	}
	if side == state.ClientSide {
		c.getsIn(c.signed(side, "somebody", time.Now()))
	}
}
