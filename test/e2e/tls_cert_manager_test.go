//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// It installs cert-manager in the Kubernetes that all tests share: compiling it may take minutes.
func TestCertManagerIssuesCertificatesAndAnotherCA(t *testing.T) {
	full(t)
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	w.ctx = ctx
	_, err := w.Run(w.ctx, w.Tool("addon", "cert-manager")...)
	w.must(err)
	w.certManager("Issuer", "self-signed", map[string]any{"selfSigned": map[string]any{}})
	w.issuer(peerIssuer)
	w.issuer(clientIssuer)
	c := w.create("demo", spec(3, withTLS(mode(v1alpha1.TLSCertManager), clientGrace(0), func(s *v1alpha1.TLSSpec) {
		s.CertManager = &v1alpha1.CertManagerTLS{
			PeerIssuer:   v1alpha1.IssuerReference{Name: peerIssuer},
			ClientIssuer: v1alpha1.IssuerReference{Name: clientIssuer},
		}
	})))
	c.certificatesValid()
	c.signedByIssuers()
	ids, processes := c.ids(), c.processes()
	l := c.load()

	for _, name := range []state.CertificateName{state.ServerCertificate, state.PeerCertificate} {
		before := c.fingerprints()
		c.deleteSecret(c.issuedName(name))
		c.healed(before, name)
	}
	c.disowned(state.PeerCertificate)
	c.certificatesValid()
	c.sameProcesses(processes)

	old := c.credentials()
	for _, issuer := range []string{peerIssuer, clientIssuer} {
		w.renewIssuer(issuer)
	}
	// cert-manager does not issue certificates again because the CA of their issuer is another one.
	for _, name := range state.CertificateNames() {
		c.deleteSecret(c.issuedName(name))
	}
	c.rotated(old)
	c.signedByIssuers()
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	c.sameMembers(ids)
	c.shutOut(old)
}

// disowned has somebody take the owner from a Certificate, and waits until the operator has given it back.
func (c *cluster) disowned(name state.CertificateName) {
	c.t.Helper()
	obj := c.get()
	u := resources.CertManagerCertificate(obj, name, pki.Request{})
	c.must(c.Edit(c.ctx, u, func() { u.SetOwnerReferences(nil) }))
	c.eventually("waiting until the Certificate "+u.GetName()+" belongs to the cluster again", settle,
		func(ctx context.Context) string {
			if err := c.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
				return err.Error()
			}
			if !metav1.IsControlledBy(u, obj) {
				return fmt.Sprintf("it belongs to %v", u.GetOwnerReferences())
			}
			return ""
		})
}

// Issuers of type CA. Each has a certificate of its own name, in a Secret of its own name.
const (
	peerIssuer   = "etcd-peers"
	clientIssuer = "etcd-clients"
)

// certManager creates an object of cert-manager.
func (w *world) certManager(kind, name string, spec map[string]any) {
	w.t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion("cert-manager.io/v1")
	u.SetKind(kind)
	u.SetNamespace(w.namespace)
	u.SetName(name)
	w.must(w.Client.Create(w.ctx, u))
}

// issuer makes a CA that signed itself, and an Issuer of it.
func (w *world) issuer(name string) {
	w.t.Helper()
	w.certManager("Certificate", name, map[string]any{
		"isCA": true, "commonName": name, "secretName": name,
		"privateKey": map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"},
		"issuerRef":  map[string]any{"name": "self-signed", "kind": "Issuer", "group": "cert-manager.io"},
	})
	w.certManager("Issuer", name, map[string]any{"ca": map[string]any{"secretName": name}})
}

// renewIssuer has the CA of an Issuer made anew, with another key.
func (w *world) renewIssuer(name string) {
	w.t.Helper()
	old := &corev1.Secret{}
	w.must(w.Client.Get(w.ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, old))
	w.must(w.Client.Delete(w.ctx, old))
	w.eventually("waiting until the CA of issuer "+name+" is another one", settle, func(ctx context.Context) string {
		s := &corev1.Secret{}
		err := w.Client.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, s)
		switch {
		case apierrors.IsNotFound(err):
			return "there is none"
		case err != nil:
			return err.Error()
		case s.UID == old.UID || len(s.Data[corev1.TLSCertKey]) == 0:
			return "it is the one of before"
		default:
			return ""
		}
	})
}

// issuedName is the Secret into which cert-manager puts the certificate.
func (c *cluster) issuedName(name state.CertificateName) string {
	return resources.SourceSecretName(c.get(), name)
}

// signedByIssuers checks that every published certificate is of the CA of the issuer that the spec names.
func (c *cluster) signedByIssuers() {
	c.t.Helper()
	for _, name := range state.CertificateNames() {
		issuer := clientIssuer
		if name.Side() == state.PeerSide {
			issuer = peerIssuer
		}
		bundle, err := pki.ParseBundle(c.secret(issuer).Data[corev1.TLSCertKey])
		c.must(err)
		if bundle.IssuerOf(c.secret(resources.CertificateSecretName(c.key.Name, name)).Data[corev1.TLSCertKey]) == nil {
			c.t.Errorf("the %s certificate is not signed by the CA of issuer %s", name, issuer)
		}
	}
}
