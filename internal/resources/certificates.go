package resources

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/state"
)

// What the certificates last, unless the spec says otherwise.
const (
	defaultCertificateLifetime = 365 * 24 * time.Hour
	defaultCALifetime          = 10 * 365 * 24 * time.Hour
	defaultClientGrace         = 24 * time.Hour
)

// serverSlots are the slots whose names every server certificate is valid for: those of seven members, and of one more
// while a member is moved.
const serverSlots = 8

// Common names. With authentication by certificate etcd takes a client's for the name of its user.
const (
	operatorUser = "root"
	clientUser   = "client"
	serverName   = "etcd-server"
)

// CertificateLifetime of the members' and clients' certificates.
func CertificateLifetime(c *v1alpha1.EtcdCluster) time.Duration {
	return lifetime(tlsSpec(c).CertificateLifetime, defaultCertificateLifetime)
}

// CALifetime of the certificate authorities.
func CALifetime(c *v1alpha1.EtcdCluster) time.Duration {
	return lifetime(tlsSpec(c).CALifetime, defaultCALifetime)
}

// ClientGrace is how long clients get to load what a rotation has published.
func ClientGrace(c *v1alpha1.EtcdCluster) time.Duration {
	return lifetime(tlsSpec(c).ClientGrace, defaultClientGrace)
}

// CARotation is the text whose change asks for a rotation; empty when there is none.
func CARotation(c *v1alpha1.EtcdCluster) string { return ptr.Deref(tlsSpec(c).CARotation, "") }

func lifetime(d *metav1.Duration, byDefault time.Duration) time.Duration {
	if d == nil {
		return byDefault
	}
	return d.Duration
}

func tlsSpec(c *v1alpha1.EtcdCluster) v1alpha1.TLSSpec {
	if c.Spec.TLS == nil {
		return v1alpha1.TLSSpec{}
	}
	return *c.Spec.TLS
}

// CertificateRequest is the certificate that is wanted; in mode Secrets, what it must be good for. Addresses are those
// of the client Service's load balancer; the highest slot is that of a member with a number beyond the usual ones.
func CertificateRequest(
	c *v1alpha1.EtcdCluster, name state.CertificateName, addresses []string, highestSlot int,
) pki.Request {
	r := pki.Request{Lifetime: CertificateLifetime(c)}
	switch name {
	case state.PeerCertificate:
		r.CommonName, r.Server, r.Client = DemandedCommonName(c), true, true
		r.DNSNames = []string{"*." + PeerServiceName(c.Name) + "." + c.Namespace + ".svc"}
	case state.ServerCertificate:
		// A client as well: etcdctl in the member's Pod uses it.
		r.CommonName, r.Server, r.Client = serverName, true, true
		r.DNSNames, r.IPs = serverHosts(c, highestSlot), []string{"127.0.0.1", "::1"}
		if TLSMode(c) == v1alpha1.TLSSecrets {
			r.DNSNames, r.IPs, addresses = neededHosts(c, highestSlot), []string{"127.0.0.1"}, nil
		}
		for _, san := range slices.Concat(tlsSpec(c).ExtraSANs, addresses) {
			if ip := net.ParseIP(san); ip != nil {
				r.IPs = append(r.IPs, ip.String())
			} else {
				r.DNSNames = append(r.DNSNames, san)
			}
		}
	case state.ClientCertificate:
		r.CommonName, r.Client = clientUser, true
	case state.OperatorCertificate:
		r.CommonName, r.Client = operatorUser, true
	}
	slices.Sort(r.DNSNames)
	slices.Sort(r.IPs)
	r.DNSNames, r.IPs = slices.Compact(r.DNSNames), slices.Compact(r.IPs)
	return r
}

// serverHosts are the names by which clients and the members themselves reach a member. cluster.local is what nearly
// every Kubernetes calls itself; extraSANs are for others.
func serverHosts(c *v1alpha1.EtcdCluster, highestSlot int) []string {
	hosts := []string{"localhost", "*." + PeerServiceName(c.Name) + "." + c.Namespace + ".svc"}
	services := []string{ClientServiceName(c.Name)}
	for slot := range max(serverSlots, highestSlot+1) {
		services = append(services, MemberServiceName(c.Name, slot))
	}
	for _, service := range services {
		host := service + "." + c.Namespace
		hosts = append(hosts, service, host, host+".svc", host+".svc.cluster.local")
	}
	return hosts
}

// neededHosts are the names without which the cluster does not work, or status.endpoints would not. Others are up to
// whoever brings the certificate.
func neededHosts(c *v1alpha1.EtcdCluster, highestSlot int) []string {
	hosts := []string{"localhost", "*." + PeerServiceName(c.Name) + "." + c.Namespace + ".svc"}
	for slot := range max((&state.Cluster{Object: c}).Replicas(), highestSlot+1) {
		hosts = append(hosts, MemberServiceName(c.Name, slot)+"."+c.Namespace+".svc")
	}
	return hosts
}

// PeerCommonName is the common name that members demand of one another (--peer-cert-allowed-cn). It is the same for
// every EtcdCluster of this name and namespace, so that a re-created one goes on with the members that it finds.
func PeerCommonName(c *v1alpha1.EtcdCluster) string {
	return "etcd-peer-" + shortHash(c.Namespace+"/"+c.Name)
}

// AuthorityName is the name of the Secret with the certificate authorities of a side.
func AuthorityName(cluster string, side state.Side) string {
	return cluster + "-" + string(side) + "-ca"
}

// CertificateSecretName is the name of the Secret of a certificate.
func CertificateSecretName(cluster string, name state.CertificateName) string {
	return cluster + "-" + string(name) + "-tls"
}

// ClientSecretName is the name of the Secret for the users of the cluster.
func ClientSecretName(cluster string) string {
	return CertificateSecretName(cluster, state.ClientCertificate)
}

// SourceSecretName is the name of the Secret from which a certificate is taken, when the operator does not issue it.
func SourceSecretName(c *v1alpha1.EtcdCluster, name state.CertificateName) string {
	s := tlsSpec(c).Secrets
	switch {
	case TLSMode(c) == v1alpha1.TLSCertManager:
		return c.Name + "-" + string(name) + "-issued"
	case s == nil:
		return ""
	case name == state.PeerCertificate:
		return s.Peer
	case name == state.ServerCertificate:
		return s.Server
	default:
		return s.Client
	}
}

// TrustName is the name of the ConfigMap with this content; see Trust. It is empty while one of the CAs is missing.
func TrustName(cluster string, peer, client pki.Bundle, commonName string) string {
	if peer.Empty() || client.Empty() {
		return ""
	}
	return trustName(cluster, peer.Hash(), client.Hash(), commonName)
}

func trustName(cluster, peer, client, commonName string) string {
	return cluster + "-trust-" + shortHash(strings.Join([]string{peer, client, commonName}, "/"))
}

// LoadBalancerAddresses are the addresses at which a load balancer offers the client Service.
func LoadBalancerAddresses(svc *corev1.Service) []string {
	var addresses []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		for _, a := range []string{in.IP, strings.ToLower(in.Hostname)} {
			if a != "" {
				addresses = append(addresses, a)
			}
		}
	}
	return addresses
}

// ClientsLoad names what the client Secret holds, so that people can acknowledge that clients have loaded it.
func ClientsLoad(bundle, issuer string) string {
	return shortHash(fmt.Sprintf("%s/%s", bundle, issuer))
}
