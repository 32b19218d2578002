//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/test/framework"
)

func TestCAsAreRotatedUnderLoadAndWaitForClients(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, withTLS(clientGrace(24*time.Hour))))
	c.ready()
	old := c.credentials()
	l := c.load()
	stops := c.stops()

	start := time.Now()
	c.edit(withTLS(caRotation("once")))
	c.pending("all members trust the new one as well")
	first := c.mustLoad("")
	t.Logf("all members trust both CAs after %s", time.Since(start).Round(time.Second))
	c.trusts(2)
	c.waitsFor(first)
	c.sameAuthority(old, state.ClientSide)
	c.getsIn(old.client)

	start = time.Now()
	c.acknowledge(first)
	second := c.mustLoad(first)
	t.Logf("certificates of the new CA are served after %s", time.Since(start).Round(time.Second))
	c.served()
	c.getsIn(old.client)
	c.waitsFor(second)
	c.getsIn(c.identity(state.ClientCertificate))

	start = time.Now()
	c.acknowledge(second)
	c.rotated(old)
	t.Logf("only the new CAs are trusted after %s", time.Since(start).Round(time.Second))
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	c.rolled(stops, 2)
	c.shutOut(old)
}

// What etcd logs when it is told to stop, and then when it does not lead.
const (
	toldToStop = "received signal; shutting down"
	didNotLead = "skipped leadership transfer; local server is not leader"
)

// stops follows what members say when they stop.
func (c *cluster) stops() *framework.Log {
	c.t.Helper()
	stops := c.members.Log(c.ctx, toldToStop, didNotLead)
	c.t.Cleanup(stops.Stop)
	return stops
}

// rolled checks that each of three members was restarted so many times, and never while it led. The end of a log may
// be lost with its Pod, but not of all.
func (c *cluster) rolled(stops *framework.Log, times int) {
	c.t.Helper()
	restarts := stops.Processes() - 3
	if want := 3 * times; restarts != want {
		c.t.Errorf("there were %d restarts, want %d: each member %d times", restarts, want, times)
	}
	said := map[string]int{}
	for _, line := range stops.Lines() {
		for _, words := range []string{toldToStop, didNotLead} {
			if strings.Contains(line, words) {
				said[words]++
			}
		}
	}
	if said[toldToStop] == 0 || said[didNotLead] < said[toldToStop] {
		c.t.Errorf("of %d members that were told to stop %d did not lead, want none that led:\n%s", said[toldToStop],
			said[didNotLead], strings.Join(stops.Lines(), "\n"))
	}
}

// credentials are what a client and a member held at a time, and whom they trusted.
type credentials struct {
	client, peer framework.Identity
	authorities  map[state.Side]string
}

func (c *cluster) credentials() credentials {
	c.t.Helper()
	return credentials{
		client: c.identity(state.ClientCertificate), peer: c.identity(state.PeerCertificate),
		authorities: map[state.Side]string{
			state.ClientSide: c.authority(state.ClientSide), state.PeerSide: c.authority(state.PeerSide),
		},
	}
}

// authority is the fingerprint of the CA that signs on the side.
func (c *cluster) authority(side state.Side) string {
	c.t.Helper()
	certificate, err := pki.ParseCertificate(c.secret(resources.AuthorityName(c.key.Name, side)).Data[corev1.TLSCertKey])
	c.must(err)
	return pki.Fingerprint(certificate)
}

// sameAuthority checks that nothing is signed by another CA yet.
func (c *cluster) sameAuthority(old credentials, side state.Side) {
	c.t.Helper()
	if got := c.authority(side); got != old.authorities[side] {
		c.t.Errorf("the %s CA that signs is %.16s, want %.16s as before", side, got, old.authorities[side])
	}
}

// pending waits until the status tells that the operator waits for this, in the course of a rotation.
func (c *cluster) pending(what string) {
	c.t.Helper()
	c.await("waiting until the status tells of "+what, func(obj *v1alpha1.EtcdCluster) string {
		for _, kind := range []string{v1alpha1.ConditionCertificatesValid, v1alpha1.ConditionProgressing} {
			status := metav1.ConditionTrue
			if differs := framework.HasCondition(obj, kind, status, v1alpha1.ReasonRotatingCA); differs != "" {
				return differs
			}
		}
		if status := framework.ShortStatus(obj); !strings.Contains(status, what) {
			return "it does not: " + status
		}
		return ""
	})
}

// mustLoad waits until the status asks for something else to be loaded by clients than before.
func (c *cluster) mustLoad(before string) string {
	c.t.Helper()
	obj := c.await("waiting until clients must load the client Secret", func(obj *v1alpha1.EtcdCluster) string {
		if obj.Status.TLS == nil || ptr.Deref(obj.Status.TLS.ClientsMustLoad, before) == before {
			return "status.tls.clientsMustLoad is as before: " + framework.ShortStatus(obj)
		}
		return ""
	})
	return *obj.Status.TLS.ClientsMustLoad
}

// acknowledge tells the operator what all clients have loaded.
func (c *cluster) acknowledge(loaded string) {
	c.t.Helper()
	c.kubectl("annotate", "--overwrite", "etcd", c.key.Name, v1alpha1.AnnotationClientsLoaded+"="+loaded)
}

// waitsFor checks that the rotation does not go on by itself, nor by a wrong acknowledgement: after the operator has
// dealt with a later change of the spec, it still waits for the same.
func (c *cluster) waitsFor(load string) {
	c.t.Helper()
	c.acknowledge("something-else")
	authorities := []string{c.authority(state.PeerSide), c.authority(state.ClientSide)}
	const annotation = "example.com/seen"
	c.edit(func(s *v1alpha1.EtcdClusterSpec) {
		s.ClientService = &v1alpha1.ClientServiceSpec{Annotations: map[string]string{annotation: load}}
	})
	c.eventually("waiting until a change of the spec is dealt with", settle, func(ctx context.Context) string {
		svc := c.service(resources.ClientServiceName(c.key.Name))
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
			return err.Error()
		}
		if svc.Annotations[annotation] != load {
			return "the client Service is as before"
		}
		return ""
	})
	obj := c.await("waiting until the status speaks of the changed spec", func(obj *v1alpha1.EtcdCluster) string {
		return framework.HasCondition(obj, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRotatingCA)
	})
	if got := ptr.Deref(obj.Status.TLS.ClientsMustLoad, ""); got != load {
		c.t.Errorf("clients must load %q, want %q as before: nobody has acknowledged it", got, load)
	}
	if got := []string{c.authority(state.PeerSide), c.authority(state.ClientSide)}; !slices.Equal(got, authorities) {
		c.t.Errorf("the rotation went on although it had to wait: %.16s sign, before it was %.16s", got, authorities)
	}
}

// trusts checks that every member, and what clients are given, trusts so many CAs of clients.
func (c *cluster) trusts(want int) {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	for _, p := range pods {
		cm := &corev1.ConfigMap{}
		c.must(c.Client.Get(c.ctx, client.ObjectKey{Namespace: c.namespace, Name: trustOf(&p)}, cm))
		for key, pem := range cm.Data {
			bundle, err := pki.ParseBundle([]byte(pem))
			if err == nil && len(bundle.Certificates()) != want {
				c.t.Errorf("%s trusts in %s %v, want %d CAs", p.Name, key, bundle, want)
			}
		}
	}
	bundle, err := pki.ParseBundle(c.secret(resources.ClientSecretName(c.key.Name)).Data["ca.crt"])
	c.must(err)
	if len(bundle.Certificates()) != want {
		c.t.Errorf("the client Secret holds %v, want %d CAs", bundle, want)
	}
}

// trustOf is the ConfigMap of CAs that the Pod mounts.
func trustOf(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.ConfigMap != nil {
			return v.ConfigMap.Name
		}
	}
	return ""
}

// getsIn waits until every member accepts the client.
func (c *cluster) getsIn(client framework.Identity) {
	c.t.Helper()
	client.Roots = nil // what the members think of it is of interest here
	c.eventually("waiting until every member accepts a client", settle, func(ctx context.Context) string {
		pods, err := c.members.Pods(ctx)
		if err != nil {
			return err.Error()
		}
		for _, p := range pods {
			address, stop, err := c.Reach(ctx, &p, resources.ClientPort)
			if err != nil {
				return err.Error()
			}
			defer stop()
			if err := client.Use(ctx, address, c.host(p.Name), "/gets-in"); err != nil {
				return fmt.Sprintf("%s: %v", p.Name, err)
			}
		}
		return ""
	})
}

// rotated waits until the rotation is over, and checks that everybody has and trusts the new CAs only.
func (c *cluster) rotated(old credentials) {
	c.t.Helper()
	c.await("waiting until the rotation is over", func(obj *v1alpha1.EtcdCluster) string {
		for side, before := range old.authorities {
			if c.authority(side) == before {
				return fmt.Sprintf("the %s CA is as before: %s", side, framework.ShortStatus(obj))
			}
		}
		if obj.Status.TLS == nil || obj.Status.TLS.ClientsMustLoad != nil {
			return "clients must still load something: " + framework.ShortStatus(obj)
		}
		return framework.HasCondition(obj, v1alpha1.ConditionCertificatesValid, metav1.ConditionTrue,
			v1alpha1.ReasonCertificatesValid)
	})
	c.certificatesValid()
	c.served()
	c.trusts(1)
	c.onlyTrust()
	c.getsIn(c.identity(state.ClientCertificate))
}

// shutOut checks that certificates of before are good for nothing any more.
func (c *cluster) shutOut(old credentials) {
	c.t.Helper()
	c.everyMember(func(member string) {
		for port, id := range map[int]framework.Identity{resources.ClientPort: old.client, resources.PeerPort: old.peer} {
			address, _ := c.address(member, port)
			if err := id.TurnedAway(c.ctx, address); err != nil {
				c.t.Errorf("%s of %s with a certificate of the old CA: %v", address, member, err)
			}
		}
	})
}

// onlyTrust waits until the only ConfigMaps of CAs left are those that Pods mount.
func (c *cluster) onlyTrust() {
	c.t.Helper()
	c.eventually("waiting until former ConfigMaps of CAs are gone", settle, func(ctx context.Context) string {
		var list corev1.ConfigMapList
		if err := c.Client.List(ctx, &list, client.InNamespace(c.namespace), client.MatchingLabels{
			resources.LabelCluster: c.key.Name, resources.ComponentLabel: resources.ComponentTrust,
		}); err != nil {
			return err.Error()
		}
		pods, err := c.members.Pods(ctx)
		if err != nil {
			return err.Error()
		}
		mounted := map[string]bool{}
		for _, p := range pods {
			mounted[trustOf(&p)] = true
		}
		got, err := names(&list)
		if err != nil {
			return err.Error()
		}
		if want := slices.Sorted(maps.Keys(mounted)); !slices.Equal(got, want) {
			return fmt.Sprintf("they are %v, mounted are %v", got, want)
		}
		return ""
	})
}
