package resources

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
)

// certManagerKind is the kind by which certificates are asked of cert-manager.
var certManagerKind = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}

// CertManagerCertificate asks cert-manager for a certificate. Its Secret is a source: members and clients use the
// copies that the operator publishes, once everybody trusts the issuer.
func CertManagerCertificate(
	c *v1alpha1.EtcdCluster, name state.CertificateName, want pki.Request,
) *unstructured.Unstructured {
	labels := map[string]any{}
	for k, v := range objectLabels(c.Name, ComponentSource) {
		labels[k] = v
	}
	lifetime := CertificateLifetime(c)
	spec := map[string]any{
		"secretName":     SourceSecretName(c, name),
		"secretTemplate": map[string]any{"labels": labels},
		"commonName":     want.CommonName,
		"duration":       lifetime.String(),
		"renewBefore":    (lifetime / 3).String(),
		"usages":         anySlice(certManagerUsages(want)),
		"privateKey":     map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"},
		"issuerRef":      issuerReference(c, name.Side()),
	}
	if len(want.DNSNames) > 0 {
		spec["dnsNames"] = anySlice(want.DNSNames)
	}
	if len(want.IPs) > 0 {
		spec["ipAddresses"] = anySlice(want.IPs)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(certManagerKind)
	u.SetNamespace(c.Namespace)
	u.SetName(c.Name + "-" + string(name))
	u.SetLabels(objectLabels(c.Name, ComponentSource))
	u.SetOwnerReferences([]metav1.OwnerReference{ownerReference(c)})
	return u
}

func certManagerUsages(want pki.Request) []string {
	usages := []string{"digital signature"}
	if want.Server {
		usages = append(usages, "server auth")
	}
	if want.Client {
		usages = append(usages, "client auth")
	}
	return usages
}

func issuerReference(c *v1alpha1.EtcdCluster, side state.Side) map[string]any {
	var ref v1alpha1.IssuerReference
	if spec := tlsSpec(c).CertManager; spec != nil {
		ref = spec.ClientIssuer
		if side == state.PeerSide {
			ref = spec.PeerIssuer
		}
	}
	return map[string]any{
		"name": ref.Name, "kind": ptr.Deref(ref.Kind, "Issuer"), "group": ptr.Deref(ref.Group, certManagerKind.Group),
	}
}

func anySlice(list []string) []any {
	out := make([]any, 0, len(list))
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
