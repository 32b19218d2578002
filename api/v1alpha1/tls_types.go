package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TLSMode says who makes the certificates.
// +kubebuilder:validation:Enum=Managed;CertManager;Secrets;Disabled
type TLSMode string

const (
	// TLSManaged lets the operator be the certificate authority: two CAs of the cluster's own.
	TLSManaged TLSMode = "Managed"
	// TLSCertManager has cert-manager issue the certificates.
	TLSCertManager TLSMode = "CertManager"
	// TLSSecrets takes certificates from Secrets that somebody else keeps.
	TLSSecrets TLSMode = "Secrets"
	// TLSDisabled speaks plain text: everybody who reaches a member may read and write everything.
	TLSDisabled TLSMode = "Disabled"
)

// TLSSpec secures the cluster: mutual TLS among the members and with clients. Members and clients have a certificate
// authority each, so that a client's certificate does not make a member.
//
// +kubebuilder:validation:XValidation:rule="has(self.certManager) == (has(self.mode) && self.mode == 'CertManager')",message="certManager belongs to mode CertManager and is required by it: set the mode, or remove certManager"
// +kubebuilder:validation:XValidation:rule="has(self.secrets) == (has(self.mode) && self.mode == 'Secrets')",message="secrets belongs to mode Secrets and is required by it: set the mode, or remove secrets"
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Disabled' || (!has(self.extraSANs) && !has(self.caLifetime) && !has(self.certificateLifetime) && !has(self.clientGrace) && !has(self.caRotation))",message="mode Disabled uses no certificates: remove the other fields of tls"
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'CertManager' || !has(self.certificateLifetime) || !self.certificateLifetime.matches('^([0-9]+(ms|[hms]))+$') || duration(self.certificateLifetime) >= duration('1h')",fieldPath=".certificateLifetime",message="certificateLifetime must be at least 1h in mode CertManager: cert-manager refuses less"
type TLSSpec struct {
	// mode is Managed, CertManager, Secrets or Disabled. Default Managed. It cannot be changed from or to Disabled.
	// +optional
	Mode *TLSMode `json:"mode,omitempty"`

	// extraSANs are further DNS names and IP addresses at which clients reach the members, such as that of a proxy.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(s, isIP(s) || s.matches('^([*][.])?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$'))",message="extraSANs must be IP addresses or lower-case DNS names, such as 192.0.2.10 or etcd.example.com; the first label may be '*'"
	ExtraSANs []string `json:"extraSANs,omitempty"`

	// certificateLifetime of the certificates of members and clients, from 2m to 876000h. Default 8760h (a year). They are
	// renewed after two thirds of it, without a restart. Not used in mode Secrets.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$') && self != '' && duration(self) >= duration('2m') && duration(self) <= duration('876000h')",message="certificateLifetime must be a duration such as 8760h or 1h30m, from 2m to 876000h: Kubernetes needs up to that long to bring a renewed certificate to the members"
	CertificateLifetime *metav1.Duration `json:"certificateLifetime,omitempty"`

	// caLifetime of the certificate authorities in mode Managed, from 5m to 876000h. Default 87600h (ten years). They are
	// rotated after two thirds of it: see caRotation.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$') && self != '' && duration(self) >= duration('5m') && duration(self) <= duration('876000h')",message="caLifetime must be a duration such as 87600h or 1h30m, from 5m to 876000h"
	CALifetime *metav1.Duration `json:"caLifetime,omitempty"`

	// caRotation is any text, such as a date. When it changes, both certificate authorities are rotated (mode Managed):
	// members and clients first trust old and new, then get new certificates, then trust the new one only.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	CARotation *string `json:"caRotation,omitempty"`

	// clientGrace is how long clients get, at each of two points of a rotation of their certificate authority, to load
	// what the client Secret holds by then. Default 24h. The annotation quorate.dev/clients-loaded on the EtcdCluster
	// with the value of status.tls.clientsMustLoad ends the wait at once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,7}s)?$') && self != '' && duration(self) >= duration('0s')",message="clientGrace must be a duration such as 24h, 1h30m or 0s"
	ClientGrace *metav1.Duration `json:"clientGrace,omitempty"`

	// certManager names the issuers in mode CertManager.
	// +optional
	CertManager *CertManagerTLS `json:"certManager,omitempty"`

	// secrets names the Secrets in mode Secrets.
	// +optional
	Secrets *SecretsTLS `json:"secrets,omitempty"`
}

// CertManagerTLS names the issuers of cert-manager.
type CertManagerTLS struct {
	// peerIssuer issues the certificates by which members know one another. It should issue nothing else: besides its
	// signature, only a common name that belongs to this cluster keeps others out.
	// +required
	PeerIssuer IssuerReference `json:"peerIssuer,omitzero"`

	// clientIssuer issues the members' certificates for clients, and the clients' certificates.
	// Everybody to whom it issues a client certificate has access.
	// +required
	ClientIssuer IssuerReference `json:"clientIssuer,omitzero"`
}

// IssuerReference names an issuer of cert-manager. It must put its certificate into ca.crt, as the issuers of types
// CA, SelfSigned-rooted CA and Vault do.
type IssuerReference struct {
	// name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// kind is Issuer, ClusterIssuer, or one of another group. Default Issuer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind *string `json:"kind,omitempty"`

	// group of the issuer. Default cert-manager.io.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Group *string `json:"group,omitempty"`
}

// SecretsTLS names Secrets of the cluster's namespace, each with ca.crt, tls.crt and tls.key. Label them
// quorate.dev/cluster: NAME to have changes noticed at once.
type SecretsTLS struct {
	// peer holds the certificate by which members know one another, for server and client authentication, valid for
	// *.NAME-peers.NAMESPACE.svc. Everybody with a certificate of its ca.crt can become a member.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Peer string `json:"peer,omitempty"`

	// server holds the certificate of the members for clients, for server and client authentication, valid for the names
	// in status.endpoints, *.NAME-peers.NAMESPACE.svc, localhost and 127.0.0.1. Everybody with a client certificate of
	// its ca.crt has access.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Server string `json:"server,omitempty"`

	// client holds the operator's client certificate, issued by the server Secret's ca.crt. When users are declared in
	// etcd, its common name must be root.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Client string `json:"client,omitempty"`
}

// TLSStatus tells how the certificates stand.
type TLSStatus struct {
	// clientSecret is the name of the Secret with ca.crt, tls.crt and tls.key for clients.
	// +optional
	ClientSecret *string `json:"clientSecret,omitempty"`

	// certificatesExpire is when the first of the certificates in use expires.
	// +optional
	CertificatesExpire *metav1.Time `json:"certificatesExpire,omitempty"`

	// clientsMustLoad names what the client Secret holds, while a rotation waits until clients have loaded it. Set the
	// annotation quorate.dev/clients-loaded of the EtcdCluster to this value once all of them have.
	// +optional
	ClientsMustLoad *string `json:"clientsMustLoad,omitempty"`
}

// AnnotationClientsLoaded on an EtcdCluster acknowledges status.tls.clientsMustLoad.
const AnnotationClientsLoaded = "quorate.dev/clients-loaded"
