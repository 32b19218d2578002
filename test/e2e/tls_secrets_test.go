//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

func TestCertificatesOfSomebodyElseAreUsedAndWatched(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(mode(v1alpha1.TLSSecrets), clientGrace(0), func(s *v1alpha1.TLSSpec) {
		s.Secrets = &v1alpha1.SecretsTLS{Peer: peerSource, Server: serverSource, Client: clientSource}
	})))
	obj := c.condition(v1alpha1.ConditionCertificatesValid, metav1.ConditionFalse, v1alpha1.ReasonCertificateProblem)
	if message := validity(obj); !strings.Contains(message, "Secret "+peerSource) {
		t.Errorf("without any Secret the message is %q, want it to name Secret %s", message, peerSource)
	}
	o := c.owner("first")
	for _, name := range []string{peerSource, serverSource, clientSource} {
		c.bring(name, o.pair(name), nil)
	}
	c.certificatesValid()
	c.taken(peerSource, serverSource, clientSource)
	ids := c.ids()
	l := c.load()

	processes := c.processes()
	c.faultsAreNamed(o, l.writing)
	c.newLeaves(o)
	c.sameProcesses(processes)

	old := c.credentials()
	o = c.owner("second")
	for _, name := range []string{serverSource, clientSource, peerSource} {
		c.bring(name, o.pair(name), nil)
	}
	c.rotated(old)
	c.taken(peerSource, serverSource, clientSource)
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	c.sameMembers(ids)
	c.shutOut(old)
}

// Secrets that somebody else keeps.
const (
	peerSource   = "my-peer"
	serverSource = "my-server"
	clientSource = "my-client"
)

// sourceOf are the certificates that are taken from each of the Secrets.
func sourceOf(secret string) []state.CertificateName {
	return map[string][]state.CertificateName{
		peerSource:   {state.PeerCertificate},
		serverSource: {state.ServerCertificate},
		clientSource: {state.ClientCertificate, state.OperatorCertificate},
	}[secret]
}

// owner has two CAs and brings certificates of them.
type owner struct {
	*cluster
	peerCA, clientCA pki.Pair
}

func (c *cluster) owner(name string) owner {
	c.t.Helper()
	return owner{c, pkitest.CA(c.t, name+" peers", time.Now()), pkitest.CA(c.t, name+" clients", time.Now())}
}

func (o owner) ca(secret string) pki.Pair {
	if secret == peerSource {
		return o.peerCA
	}
	return o.clientCA
}

// request is what the Secret must be valid for, as the description of spec.tls.secrets has it for three members.
func (o owner) request(secret string) pki.Request {
	r := pki.Request{CommonName: secret, Client: true, Lifetime: time.Hour}
	peers := "*." + resources.PeerServiceName(o.key.Name) + "." + o.namespace + ".svc"
	switch secret {
	case peerSource:
		r.Server, r.DNSNames = true, []string{peers}
	case serverSource:
		r.Server, r.DNSNames, r.IPs = true, []string{peers, "localhost"}, []string{"127.0.0.1"}
		for slot := range 3 {
			r.DNSNames = append(r.DNSNames, resources.MemberServiceName(o.key.Name, slot)+"."+o.namespace+".svc")
		}
	}
	return r
}

// pair is a new certificate for the Secret.
func (o owner) pair(secret string) map[string][]byte { return o.issued(secret, o.request(secret)) }

func (o owner) issued(secret string, r pki.Request) map[string][]byte {
	o.t.Helper()
	ca := o.ca(secret)
	leaf := pkitest.Issue(o.t, ca, r, time.Now())
	return map[string][]byte{"ca.crt": ca.Cert, corev1.TLSCertKey: leaf.Cert, corev1.TLSPrivateKeyKey: leaf.Key}
}

// bring writes the Secret with this data, changed by some of which nil removes.
func (c *cluster) bring(name string, data, changes map[string][]byte) {
	c.t.Helper()
	data = maps.Clone(data)
	for key, value := range changes {
		if data[key] = value; value == nil {
			delete(data, key)
		}
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.namespace, Name: name, Labels: map[string]string{resources.LabelCluster: c.key.Name},
		},
		Data: data, // of type Opaque: one of type kubernetes.io/tls could not lack a key
	}
	err := c.Client.Create(c.ctx, s)
	if apierrors.IsAlreadyExists(err) {
		err = c.Edit(c.ctx, s, func() { s.Data = data })
	}
	c.must(err)
}

// validity is the message of the condition CertificatesValid.
func validity(obj *v1alpha1.EtcdCluster) string {
	if cond := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionCertificatesValid); cond != nil {
		return cond.Message
	}
	return ""
}

// faultsAreNamed damages one Secret after the other. The condition must name it and the key; members go on with what
// they have.
func (c *cluster) faultsAreNamed(o owner, w *writing) {
	c.t.Helper()
	elsewhere := o.request(serverSource)
	elsewhere.DNSNames = []string{"localhost", "elsewhere.example.com"}
	garbage := []byte("garbage")
	for _, test := range []struct {
		name, secret string
		data         map[string][]byte
		changes      map[string][]byte
		want         []string
	}{
		{name: "a Secret that does not exist", secret: clientSource, want: []string{"does not exist"}},
		{"a Secret without a key", peerSource, o.pair(peerSource), map[string][]byte{"tls.key": nil}, []string{"tls.key"}},
		{"a Secret without a CA", serverSource, o.pair(serverSource), map[string][]byte{"ca.crt": nil}, []string{"ca.crt"}},
		{"a key that is garbage", serverSource, o.pair(serverSource), map[string][]byte{"tls.key": garbage},
			[]string{"tls.key"}},
		{"a certificate that is garbage", clientSource, o.pair(clientSource), map[string][]byte{"tls.crt": garbage},
			[]string{"tls.crt"}},
		{"a certificate of another CA", peerSource, o.pair(peerSource), map[string][]byte{"ca.crt": o.clientCA.Cert},
			[]string{"tls.crt"}},
		{"a certificate for other names", serverSource, o.issued(serverSource, elsewhere), nil,
			[]string{"tls.crt", "*.demo-peers." + c.namespace + ".svc", "demo-0." + c.namespace + ".svc"}},
	} {
		before, good := c.fingerprints(), c.secret(test.secret)
		if test.data == nil {
			c.deleteSecret(test.secret)
		} else {
			c.bring(test.secret, test.data, test.changes)
		}
		c.named(test.name, append(test.want, "Secret "+test.secret))
		w.goesOn()
		if after := c.fingerprints(); !maps.Equal(before, after) {
			c.t.Errorf("%s: %.16s are published, want %.16s as before", test.name, after, before)
		}
		c.bring(test.secret, good.Data, nil)
		c.certificatesValid()
	}
}

// named waits until the status tells that certificates are not valid, in all of these words.
func (c *cluster) named(what string, words []string) {
	c.t.Helper()
	obj := c.await("waiting until the status tells of "+what, func(obj *v1alpha1.EtcdCluster) string {
		differs := framework.HasCondition(obj, v1alpha1.ConditionCertificatesValid, metav1.ConditionFalse,
			v1alpha1.ReasonCertificateProblem)
		for _, word := range words {
			if message := validity(obj); differs == "" && !strings.Contains(message, word) {
				differs = fmt.Sprintf("the message does not say %q: %s", word, message)
			}
		}
		return differs
	})
	c.t.Logf("%s: %s", what, validity(obj))
}

// newLeaves brings other certificates of the same CAs, which members serve without a restart.
func (c *cluster) newLeaves(o owner) {
	c.t.Helper()
	old := c.credentials()
	for _, secret := range []string{peerSource, serverSource, clientSource} {
		c.bring(secret, o.pair(secret), nil)
		c.taken(secret)
	}
	c.served()
	c.certificatesValid()
	c.sameAuthority(old, state.PeerSide)
	c.sameAuthority(old, state.ClientSide)
}

// taken waits until what the Secrets hold is published.
func (c *cluster) taken(secrets ...string) {
	c.t.Helper()
	for _, secret := range secrets {
		certificate, err := pki.ParseCertificate(c.secret(secret).Data[corev1.TLSCertKey])
		c.must(err)
		want := pki.Fingerprint(certificate)
		for _, name := range sourceOf(secret) {
			c.eventually(fmt.Sprintf("waiting until the %s certificate is that of Secret %s", name, secret), settle,
				func(ctx context.Context) string {
					if got, err := c.published(ctx, name); err != nil || got != want {
						return fmt.Sprintf("it is %.16s (%v), want %.16s", got, err, want)
					}
					return ""
				})
		}
	}
}
