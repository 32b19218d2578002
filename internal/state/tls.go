package state

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/pki"
)

// Side of the traffic. Each has certificate authorities of its own, so that a client's certificate makes no member.
type Side string

const (
	// PeerSide is the traffic among the members.
	PeerSide Side = "peer"
	// ClientSide is the traffic between clients and members.
	ClientSide Side = "client"
)

// CertificateName names one of the certificates that the cluster uses.
type CertificateName string

const (
	// PeerCertificate is the members' for one another.
	PeerCertificate CertificateName = "peer"
	// ServerCertificate is the members' for clients.
	ServerCertificate CertificateName = "server"
	// ClientCertificate is for the users of the cluster.
	ClientCertificate CertificateName = "client"
	// OperatorCertificate is the operator's own.
	OperatorCertificate CertificateName = "operator"
)

// CertificateNames are all of them.
func CertificateNames() []CertificateName {
	return []CertificateName{PeerCertificate, ServerCertificate, ClientCertificate, OperatorCertificate}
}

// Side on which the certificate is used.
func (n CertificateName) Side() Side {
	if n == PeerCertificate {
		return PeerSide
	}
	return ClientSide
}

// TLS is what is known of the certificates of a cluster. It holds no private key.
type TLS struct {
	// Managed tells that the operator is the certificate authority; else the certificates come from a source.
	Managed bool
	// Peer and Client are the authorities of the two sides.
	Peer, Client Authority
	// Certificates that are published, one for each name.
	Certificates map[CertificateName]Certificate
	// AnyPeerName tells that members must not demand the common name of the mode of one another yet.
	AnyPeerName bool
	// Trust is the name of the ConfigMap that holds what members shall trust; empty while an authority is missing.
	Trust string
	// Trusts are the ConfigMaps that exist, by name.
	Trusts map[string]Trust
	// Damaged are such ConfigMaps whose content is not what their name says, with their resource versions.
	Damaged map[string]string
}

// Authority is what one side trusts and who signs for it, as its Secret records it.
type Authority struct {
	// Exists tells that the Secret exists, Recorded that it can be read as well.
	Exists, Recorded bool
	// Problem tells what is wrong with a Secret that exists but cannot be read.
	Problem string
	// Signer signs the certificates in use.
	Signer CA
	// Next is to take the signer's place; nil without a rotation.
	Next *CA
	// Previous was replaced, and is trusted until nobody uses its certificates; nil after a rotation.
	Previous *CA
	// Bundle is the hash of all that are trusted.
	Bundle string
	// Since is when the present phase of a rotation began.
	Since time.Time
	// Rotation is the spec.tls.caRotation that was honoured last.
	Rotation string
	// Recovery is the ID of the quorum loss after which it was made from scratch; empty when there was none.
	Recovery string
}

// CA is a certificate authority: one certificate, or several that its owner gives together.
type CA struct {
	// ID is a hash of its certificates, whose fingerprints are Certificates.
	ID           string
	Certificates []string
	// NotBefore and NotAfter are those of the certificate that expires first; RenewAt is when two thirds of that are
	// over.
	NotBefore, RenewAt, NotAfter time.Time
	// Key tells that the operator holds its private key.
	Key bool
}

// Certificate is one that is published for use, in a Secret.
type Certificate struct {
	// Secret is the name of its Secret.
	Secret string
	// Exists tells that it can be read; Problem tells why it cannot, or that it belongs to something else.
	Exists  bool
	Problem string
	// Fingerprint of the certificate, and its common name.
	Fingerprint, CommonName string
	// Issuer is the ID of the authority's CA that signed it; empty when none of them did.
	Issuer                       string
	NotBefore, RenewAt, NotAfter time.Time
	// Wanted is the certificate as the spec asks for it; Differs tells what this one lacks of it.
	Wanted  pki.Request
	Differs string
	// Bundle is the hash of the CAs that are published with it.
	Bundle string
	// Since is when clients could first load its CAs and a certificate of its issuer; zero when that is not recorded.
	Since time.Time
	// Remembered tells of a certificate that is not Accepted that the operator has the last one that was in its memory,
	// and that it is still good.
	Remembered bool
	// Source is where it comes from, unless the operator issues it.
	Source *CertificateSource
}

// Accepted tells that a CA of the cluster has signed the certificate: nobody accepts another.
func (c Certificate) Accepted() bool { return c.Exists && c.Issuer != "" }

// CertificateSource is the Secret of somebody else from which a certificate is taken.
type CertificateSource struct {
	// Secret is its name.
	Secret string
	// Problem tells, in a sentence, why it cannot be used; empty when it can.
	Problem string
	// Fingerprint and common name of its certificate, and the CA that comes with it.
	Fingerprint, CommonName string
	CA                      CA
}

// Trust is a ConfigMap with what members trust. It never changes: a Pod that names it trusts exactly that.
type Trust struct {
	// Peer and Client are the fingerprints of the CA certificates of each side.
	Peer, Client []string
	// ResourceVersion of the ConfigMap, and when it was created.
	ResourceVersion string
	Created         time.Time
}

// Of is what is trusted on the side.
func (t Trust) Of(side Side) []string {
	if side == PeerSide {
		return t.Peer
	}
	return t.Client
}

// Authority of the side.
func (t *TLS) Authority(side Side) Authority {
	if side == PeerSide {
		return t.Peer
	}
	return t.Client
}

// Usable tells that everything that a member needs to start is there.
func (t *TLS) Usable() bool {
	if t == nil {
		return true
	}
	_, published := t.Trusts[t.Trust]
	return t.Trust != "" && published && t.Certificates[PeerCertificate].Exists && t.Certificates[ServerCertificate].Exists
}

// Revision names the certificates that the members are to serve; it changes with each renewal.
func (t *TLS) Revision() string {
	peer, server := t.Certificates[PeerCertificate].Fingerprint, t.Certificates[ServerCertificate].Fingerprint
	if peer == "" || server == "" {
		return ""
	}
	return peer[:16] + "-" + server[:16]
}

// Serves are the fingerprints of the certificates that a member was seen to serve; empty where it was not seen.
type Serves struct{ Peer, Server string }

// Served tells that the member was seen to serve the certificates that are published.
func (t *TLS) Served(m Member) bool {
	return m.Serves.Peer == t.Certificates[PeerCertificate].Fingerprint &&
		m.Serves.Server == t.Certificates[ServerCertificate].Fingerprint
}

// PodTrusts tells that the process of a Pod trusts the CA on the side. A trust that is unknown trusts nothing.
func (t *TLS) PodTrusts(p Pod, side Side, ca CA) bool {
	trusted := t.Trusts[p.Trust].Of(side)
	return len(ca.Certificates) > 0 && !slices.ContainsFunc(ca.Certificates, func(fingerprint string) bool {
		return !slices.Contains(trusted, fingerprint)
	})
}

// Knows tells that it is known what the process of a Pod trusts.
func (t *TLS) Knows(p Pod) bool {
	_, known := t.Trusts[p.Trust]
	return known
}

// Outdated tells that the Pod trusts something else than what is wanted now.
func (t *TLS) Outdated(p Pod) bool { return t != nil && t.Trust != "" && p.Trust != t.Trust }

// Remade tells that what the Pod trusts was published again since the Pod was created. It may have mounted what was
// there before, and does so for ever: an immutable ConfigMap is never read again
// (kubernetes/pkg/kubelet/util/manager/watch_based_manager.go).
func (t *TLS) Remade(p Pod) bool { return t != nil && t.Trusts[p.Trust].Created.After(p.Created) }

// CanIssue tells that there is somebody who issues the certificate, by the authority that signs now.
func (c *Cluster) CanIssue(name CertificateName) bool {
	signer := c.TLS.Authority(name.Side()).Signer
	if source := c.TLS.Certificates[name].Source; source != nil {
		return source.Problem == "" && source.CA.ID == signer.ID
	}
	return signer.Key && c.Now.Before(signer.NotAfter)
}

// Pods are all Pods of the cluster: those of members, and those left over.
func (c *Cluster) Pods() []Pod {
	pods := slices.Clone(c.Leftovers.Pods)
	for _, m := range c.Members {
		if m.Pod != nil {
			pods = append(pods, *m.Pod)
		}
	}
	return pods
}
