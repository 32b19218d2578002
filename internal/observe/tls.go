package observe

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// readTLS describes the certificates of the cluster, and gives those of the operator itself to its etcd clients. The
// observation holds no private key.
func (o *Observer) readTLS(ctx context.Context, reader client.Reader, c *state.Cluster, found objects) error {
	if !resources.SpeaksTLS(c.Object) {
		return nil
	}
	secrets, err := o.readSecrets(ctx, reader, c)
	if err != nil {
		return err
	}
	addresses, err := loadBalancerAddresses(ctx, reader, c)
	if err != nil {
		return err
	}
	t := &state.TLS{
		Managed:      !resources.HasSource(c.Object),
		Certificates: map[state.CertificateName]state.Certificate{},
		Trusts:       map[string]state.Trust{},
		Damaged:      map[string]string{},
	}
	t.Peer, t.Client = authority(c, secrets, state.PeerSide), authority(c, secrets, state.ClientSide)
	if err := readTrusts(ctx, reader, c, t); err != nil {
		return err
	}
	for _, name := range state.CertificateNames() {
		t.Certificates[name] = certificate(c, secrets, name,
			resources.CertificateRequest(c.Object, name, addresses, highestSlot(found)))
	}
	c.TLS = t
	o.remember(c, secrets)
	o.useCertificates(c, secrets)
	return nil
}

// setTrust tells what members are to trust and to demand of one another. That depends on what they are seen to do now.
func setTrust(c *state.Cluster) {
	if t := c.TLS; t != nil {
		t.AnyPeerName = resources.AcceptsAnyPeerName(c)
		t.Trust = resources.WantedTrust(c.Object, t.Peer, t.Client, t.AnyPeerName)
	}
}

// secretsByName are the Secrets of a cluster, and those that it takes certificates from. They never leave this package.
type secretsByName map[string]*corev1.Secret

// own is nil as well for a Secret that belongs to something else: that is told, and nothing is made of what it holds.
func (s secretsByName) own(c *state.Cluster, name string) *corev1.Secret {
	if found := s[name]; found != nil && !belongsToOther(c, found) {
		return found
	}
	return nil
}

func (o *Observer) readSecrets(ctx context.Context, reader client.Reader, c *state.Cluster) (secretsByName, error) {
	var list corev1.SecretList
	if err := reader.List(ctx, &list, client.InNamespace(c.Object.Namespace),
		client.MatchingLabels{resources.LabelCluster: c.Object.Name}); err != nil {
		return nil, fmt.Errorf("list the Secrets: %w", err)
	}
	found := secretsByName{}
	for i := range list.Items {
		found[list.Items[i].Name] = &list.Items[i]
	}
	for _, name := range resources.SourceSecretNames(c.Object) {
		if found[name] != nil {
			continue
		}
		// Without the label it is not in the cache: it is asked for at every look, which the slow poll makes often enough.
		var s corev1.Secret
		err := get(ctx, o.Live, c, name, &s)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read the Secret %s: %w", name, err)
		}
		if err == nil {
			found[name] = &s
		}
	}
	return found, nil
}

func loadBalancerAddresses(ctx context.Context, reader client.Reader, c *state.Cluster) ([]string, error) {
	if s := c.Object.Spec.ClientService; s == nil || s.Type == nil || *s.Type != corev1.ServiceTypeLoadBalancer {
		return nil, nil
	}
	var svc corev1.Service
	err := get(ctx, reader, c, resources.ClientServiceName(c.Object.Name), &svc)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the client Service: %w", err)
	}
	return resources.LoadBalancerAddresses(&svc), nil
}

func authority(c *state.Cluster, secrets secretsByName, side state.Side) state.Authority {
	s := secrets[resources.AuthorityName(c.Object.Name, side)]
	if s == nil {
		return state.Authority{}
	}
	a, err := resources.ParseAuthority(s)
	switch {
	case belongsToOther(c, s):
		return state.Authority{Exists: true, Problem: resources.BelongsToOther}
	case err != nil:
		return state.Authority{Exists: true, Problem: err.Error()}
	}
	return a
}

// belongsToOther tells that another object controls it, or that it is about to go. One that nobody controls was left by
// a predecessor.
func belongsToOther(c *state.Cluster, obj client.Object) bool {
	owner := metav1.GetControllerOf(obj)
	return owner != nil && owner.UID != c.Object.UID || obj.GetDeletionTimestamp() != nil
}

func readTrusts(ctx context.Context, reader client.Reader, c *state.Cluster, t *state.TLS) error {
	var list corev1.ConfigMapList
	if err := reader.List(ctx, &list, client.InNamespace(c.Object.Namespace), client.MatchingLabels{
		resources.LabelCluster: c.Object.Name, resources.ComponentLabel: resources.ComponentTrust,
	}); err != nil {
		return fmt.Errorf("list the ConfigMaps: %w", err)
	}
	for i := range list.Items {
		cm := &list.Items[i]
		trust, err := resources.ParseTrust(c.Object.Name, cm)
		switch {
		case belongsToOther(c, cm):
		case err != nil:
			t.Damaged[cm.Name] = cm.ResourceVersion
		default:
			t.Trusts[cm.Name] = trust
		}
	}
	return nil
}

// certificate describes one that is published, and its source.
func certificate(
	c *state.Cluster, secrets secretsByName, name state.CertificateName, want pki.Request,
) state.Certificate {
	out := state.Certificate{Secret: resources.CertificateSecretName(c.Object.Name, name), Wanted: want}
	if source := resources.SourceSecretName(c.Object, name); source != "" {
		s := resources.ParseSource(c.Object, name, secrets[source], want, c.Now)
		out.Source = &s
	}
	s := secrets[out.Secret]
	if s == nil {
		return out
	}
	_, cert, bundle, err := resources.CertificateIn(s)
	switch {
	case belongsToOther(c, s):
		out.Problem = resources.BelongsToOther
		return out
	case err != nil:
		out.Problem = err.Error()
		return out
	}
	out.Exists, out.Fingerprint, out.Bundle = true, pki.Fingerprint(cert), bundle.Hash()
	out.CommonName = cert.Subject.CommonName
	out.NotBefore, out.RenewAt, out.NotAfter = cert.NotBefore, pki.RenewAt(cert), cert.NotAfter
	out.Since, _ = resources.PublishedSince(s)
	if out.Source == nil {
		out.Differs = pki.Differs(cert, want)
		// A certificate outlives the moment of its making by the lifetime, and was backdated by as much at most; both ends
		// are whole seconds.
		life := cert.NotAfter.Sub(cert.NotBefore)
		if out.Differs == "" && life > want.Lifetime+min(want.Lifetime, pki.Backdate)+time.Second {
			out.Differs = "its life is longer than is wanted now"
		}
	}
	out.Issuer = resources.IssuerID(secrets.own(c, resources.AuthorityName(c.Object.Name, name.Side())), s)
	return out
}

func highestSlot(found objects) int {
	highest := 0
	for _, p := range found.pods {
		highest = max(highest, p.Slot)
	}
	for _, v := range found.volumes {
		highest = max(highest, v.Slot)
	}
	return highest
}

// useCertificates hands the operator's certificate, and the CAs that the members' must come from, to the etcd clients.
// Damaged ones are reported elsewhere; what was set before goes on being used.
func (o *Observer) useCertificates(c *state.Cluster, secrets secretsByName) {
	cluster := c.Object.Namespace + "/" + c.Object.Name
	read := func(name state.CertificateName) (tls.Certificate, pki.Bundle, bool) {
		s := secrets.own(c, resources.CertificateSecretName(c.Object.Name, name))
		if s == nil {
			return tls.Certificate{}, pki.Bundle{}, false
		}
		pair, _, bundle, err := resources.CertificateIn(s)
		if err != nil {
			return tls.Certificate{}, bundle, false
		}
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		return certificate, bundle, err == nil
	}
	// While the key of the CA is lost nobody can issue a damaged one anew: then another of the side serves as well.
	for _, name := range []state.CertificateName{
		state.OperatorCertificate, state.ServerCertificate, state.ClientCertificate,
	} {
		certificate, bundle, ok := read(name)
		if ok && (c.TLS.Certificates[name].Issuer != "" || !c.TLS.Client.Recorded) {
			o.Credentials.Set(cluster, certificate, bundle.Pool())
			break
		}
	}
	if certificate, _, ok := read(state.PeerCertificate); ok {
		o.Credentials.SetPeer(cluster, certificate)
	}
}
