// Package resources builds the Kubernetes objects of an EtcdCluster, and decodes what they record. Everything in it is
// pure: from plain data to objects and back, without a client or a clock.
package resources

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Ports of a member. The first two are etcd's own; the third serves /metrics, /livez and /readyz in plain HTTP, and is
// up before the member has found a quorum, which the client port is not (etcd server/embed/etcd.go, serveMetrics).
const (
	ClientPort  = 2379
	PeerPort    = 2380
	MetricsPort = 2381
)

// MemberName is the name of a slot's member: also its Pod's, its host's and its Service's.
func MemberName(cluster string, slot int) string {
	return cluster + "-" + strconv.Itoa(slot)
}

// ParseSlot is the inverse of MemberName: false for every name that MemberName does not make for this cluster.
func ParseSlot(cluster, memberName string) (int, bool) {
	digits, found := strings.CutPrefix(memberName, cluster+"-")
	if !found {
		return 0, false
	}
	slot, err := strconv.Atoi(digits)
	if err != nil || slot < 0 || strconv.Itoa(slot) != digits {
		return 0, false
	}
	return slot, true
}

// VolumeName is the name of an incarnation's claim. The member ID is part of it, so that a new member can never come
// upon its predecessor's volume.
func VolumeName(cluster string, slot int, memberID uint64) string {
	return fmt.Sprintf("%s-%016x", MemberName(cluster, slot), memberID)
}

// IsVolumeOf tells that a claim of the name is that of the member, in whatever slot.
func IsVolumeOf(cluster string, memberID uint64, name string) bool {
	member, found := strings.CutSuffix(name, fmt.Sprintf("-%016x", memberID))
	_, isSlot := ParseSlot(cluster, member)
	return found && isSlot
}

// LatchName is the name of the ConfigMap that records the bootstrap.
func LatchName(cluster string) string { return cluster + "-latch" }

// PeerServiceName is the name of the headless Service, and so the subdomain of the member Pods.
func PeerServiceName(cluster string) string { return cluster + "-peers" }

// ClientServiceName is the name of the Service through which clients reach all ready voters.
func ClientServiceName(cluster string) string { return cluster + "-client" }

// MemberServiceName is the name of the Service of one member. It cannot be a name in a second headless Service:
// Kubernetes publishes a Pod's host name only in the Service that its spec.subdomain names
// (k8s.io/endpointslice/util, ShouldSetHostname).
func MemberServiceName(cluster string, slot int) string { return MemberName(cluster, slot) }

// DisruptionBudgetName is the name of the PodDisruptionBudget.
func DisruptionBudgetName(cluster string) string { return cluster }

// PeerHost is the DNS name of a member among its peers. It carries no cluster domain: the resolver's search path adds
// it, so the name holds in every Kubernetes cluster.
func PeerHost(namespace, cluster string, slot int) string {
	return MemberName(cluster, slot) + "." + PeerServiceName(cluster) + "." + namespace + ".svc"
}

// SpeaksTLS tells whether the cluster speaks TLS: every mode but Disabled does.
func SpeaksTLS(c *v1alpha1.EtcdCluster) bool { return TLSMode(c) != v1alpha1.TLSDisabled }

// TLSMode is the mode that the spec asks for, or its default.
func TLSMode(c *v1alpha1.EtcdCluster) v1alpha1.TLSMode {
	if c.Spec.TLS == nil {
		return v1alpha1.TLSManaged
	}
	return ptr.Deref(c.Spec.TLS.Mode, v1alpha1.TLSManaged)
}

// PeerURL is the URL at which the peers reach a member. It is part of the member's identity: etcd derives the ID of a
// bootstrapped member from it.
func PeerURL(c *v1alpha1.EtcdCluster, slot int) string {
	return peerURL(scheme(c), c.Namespace, c.Name, slot)
}

// ParsePeerURL is the inverse of PeerURL: false for every URL that PeerURL does not make for this cluster.
func ParsePeerURL(c *v1alpha1.EtcdCluster, url string) (int, bool) {
	host, _, found := strings.Cut(strings.TrimPrefix(url, scheme(c)), ".")
	if !found {
		return 0, false
	}
	slot, ok := ParseSlot(c.Name, host)
	if !ok || PeerURL(c, slot) != url {
		return 0, false
	}
	return slot, true
}

// ClientURL is the URL at which clients reach one member; it stays the same when the member is replaced.
func ClientURL(c *v1alpha1.EtcdCluster, slot int) string {
	return fmt.Sprintf("%s%s.%s.svc:%d", scheme(c), MemberServiceName(c.Name, slot), c.Namespace, ClientPort)
}

// Schemes of URLs.
const (
	plainScheme = "http://"
	tlsScheme   = "https://"
)

func scheme(c *v1alpha1.EtcdCluster) string {
	if SpeaksTLS(c) {
		return tlsScheme
	}
	return plainScheme
}

// RecordsTLS tells whether a recorded peer URL, or list that begins with a member's name, speaks TLS.
func RecordsTLS(recorded string) bool {
	_, url, listed := strings.Cut(recorded, "=")
	if !listed {
		url = recorded
	}
	return strings.HasPrefix(url, tlsScheme)
}

func peerURL(scheme, namespace, cluster string, slot int) string {
	return fmt.Sprintf("%s%s:%d", scheme, PeerHost(namespace, cluster, slot), PeerPort)
}

// isPeerURL tells that a recorded URL is the slot's, in either scheme: the records outlive the spec.
func isPeerURL(url, namespace, cluster string, slot int) bool {
	return url == peerURL(plainScheme, namespace, cluster, slot) || url == peerURL(tlsScheme, namespace, cluster, slot)
}

// FormatID renders a member or cluster ID as etcd prints it (client/pkg/types/id.go).
func FormatID(id uint64) string { return strconv.FormatUint(id, 16) }

// ParseID is the inverse of FormatID.
func ParseID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an etcd ID of up to 16 hexadecimal digits", s)
	}
	return id, nil
}
