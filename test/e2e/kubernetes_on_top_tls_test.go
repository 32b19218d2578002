//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

func (k *onTop) mustSpeakTLS() {
	k.t.Helper()
	if !k.plane.Datastore.Secure() {
		k.t.Fatalf("the endpoints are %v, want https: it is the default", k.plane.Datastore.Endpoints)
	}
}

// certificatesRenewed changes how long certificates live, and waits until every member serves another one.
func (k *onTop) certificatesRenewed() {
	clients := resources.ClientSecretName(k.key.Name)
	before := map[string]string{}
	k.everyMember(func(member string) { before[member] = k.served(clients, member) })
	k.edit(withTLS(certificateLifetime(24 * time.Hour)))
	k.everyMember(func(member string) {
		k.eventually("waiting until "+member+" serves a new certificate", settle, func(context.Context) string {
			if k.served(clients, member) == before[member] {
				return "it serves the old one"
			}
			return ""
		})
	})
	k.certificatesValid()
}

// served is the fingerprint of the certificate that a member serves to one who trusts what the Secret says.
func (k *onTop) served(secret, member string) string {
	k.t.Helper()
	identity, err := k.IdentityIn(k.ctx, k.secretKey(secret))
	k.must(err)
	address, host := k.address(member, resources.ClientPort)
	fingerprint, err := identity.Served(k.ctx, address, host)
	k.must(err)
	return fingerprint
}

// rotateCA rotates the certificate authorities on request. Kube-apiserver reads its CA once: it is restarted when the
// new one is published beside the old one, and again before the old one is dropped.
func (k *onTop) rotateCA() {
	old := k.authorities()
	var first, second string
	k.fault("CA rotation: the new CA is published", func() {
		k.edit(withTLS(caRotation("on-request")))
		first = k.clientsMustLoad("")
	})
	k.restart("CA rotation: kube-apiserver loads both CAs")
	k.fault("CA rotation: certificates of the new CA", func() {
		k.acknowledge(first)
		second = k.clientsMustLoad(first)
	})
	k.restart("CA rotation: kube-apiserver loads its new certificate")
	k.fault("CA rotation: the old CA is dropped", func() {
		k.acknowledge(second)
		k.await("waiting until the rotation is over", func(obj *v1alpha1.EtcdCluster) string {
			if obj.Status.TLS == nil || obj.Status.TLS.ClientsMustLoad != nil {
				return "clients must still load something: " + framework.ShortStatus(obj)
			}
			return framework.HasCondition(obj, v1alpha1.ConditionCertificatesValid, metav1.ConditionTrue,
				v1alpha1.ReasonCertificatesValid)
		})
		k.certificatesValid()
	})
	for serial := range k.authorities() {
		if old[serial] {
			k.t.Errorf("after the rotation clients still trust the CA %s from before", serial)
		}
	}
}

// clientsMustLoad waits until the status asks for something else to be loaded than before.
func (k *onTop) clientsMustLoad(before string) string {
	k.t.Helper()
	obj := k.await("waiting until clients must load the client Secret", func(obj *v1alpha1.EtcdCluster) string {
		if obj.Status.TLS == nil || ptr.Deref(obj.Status.TLS.ClientsMustLoad, before) == before {
			return "status.tls.clientsMustLoad is as before: " + framework.ShortStatus(obj)
		}
		return ""
	})
	return *obj.Status.TLS.ClientsMustLoad
}

// acknowledge tells the operator that all clients have loaded what it asked for.
func (k *onTop) acknowledge(loaded string) {
	k.t.Helper()
	k.kubectl("annotate", "--overwrite", "etcd", k.key.Name, v1alpha1.AnnotationClientsLoaded+"="+loaded)
}

// authorities are the serial numbers of the CAs that the client Secret tells clients to trust.
func (k *onTop) authorities() map[string]bool {
	k.t.Helper()
	serials := map[string]bool{}
	bundle := k.secret(resources.ClientSecretName(k.key.Name)).Data["ca.crt"]
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		k.must(err)
		serials[certificate.SerialNumber.String()] = true
	}
	if len(serials) == 0 {
		k.t.Fatalf("the client Secret holds no CA")
	}
	return serials
}
