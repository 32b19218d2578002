package resources

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// Volumes with certificates, and where they are mounted.
const (
	trustVolume  = "trust"
	peerVolume   = "peer-tls"
	serverVolume = "server-tls"

	trustPath  = "/etc/etcd/tls/trust"
	peerPath   = "/etc/etcd/tls/peer"
	serverPath = "/etc/etcd/tls/server"
)

// readableByGroup lets the Pod's fsGroup read the files, and nobody else.
const readableByGroup int32 = 0o440

// tlsFlags are empty, and so left out, in mode Disabled.
func tlsFlags() []memberFlag {
	withTLS := func(value string) func(rendering) string {
		return func(r rendering) string {
			if !SpeaksTLS(r.cluster) {
				return ""
			}
			return value
		}
	}
	return []memberFlag{
		{always("cert-file"), withTLS(serverPath + "/" + corev1.TLSCertKey)},
		{always("key-file"), withTLS(serverPath + "/" + corev1.TLSPrivateKeyKey)},
		{always("trusted-ca-file"), withTLS(trustPath + "/" + keyClientTrust)},
		{always("client-cert-auth"), withTLS("true")},
		{always("peer-cert-file"), withTLS(peerPath + "/" + corev1.TLSCertKey)},
		{always("peer-key-file"), withTLS(peerPath + "/" + corev1.TLSPrivateKeyKey)},
		{always("peer-trusted-ca-file"), withTLS(trustPath + "/" + keyPeerTrust)},
		{always("peer-client-cert-auth"), withTLS("true")},
		// The check looks the peer's address up in DNS, and fails when DNS does, or when an address has two names. The
		// peers' CA and common name take its place (etcd client/pkg/transport/listener_tls.go, checkCertSAN).
		{graduated("peer-skip-client-san-verification"), withTLS("true")},
		{always(flagPeerName), func(r rendering) string {
			return demandedName(r.cluster, r.anyPeerName)
		}},
	}
}

// etcdctlEnvironment lets etcdctl in the member's Pod work without flags for certificates. Its default endpoint,
// 127.0.0.1:2379, reaches the member; it is not set here because etcdctl refuses to run when a setting is given both
// by a variable and by a flag (etcd pkg/flags, verifyEnv).
func etcdctlEnvironment(trust string) []corev1.EnvVar {
	if trust == "" {
		return nil
	}
	return []corev1.EnvVar{
		{Name: "ETCDCTL_CACERT", Value: trustPath + "/" + keyClientTrust},
		{Name: "ETCDCTL_CERT", Value: serverPath + "/" + corev1.TLSCertKey},
		{Name: "ETCDCTL_KEY", Value: serverPath + "/" + corev1.TLSPrivateKeyKey},
	}
}

func mounts(trust string) []corev1.VolumeMount {
	list := []corev1.VolumeMount{{Name: dataVolume, MountPath: mountPath}}
	if trust == "" {
		return list
	}
	// Whole directories: a file that is mounted by itself (subPath) is never brought up to date.
	return append(list,
		corev1.VolumeMount{Name: trustVolume, MountPath: trustPath, ReadOnly: true},
		corev1.VolumeMount{Name: peerVolume, MountPath: peerPath, ReadOnly: true},
		corev1.VolumeMount{Name: serverVolume, MountPath: serverPath, ReadOnly: true},
	)
}

func volumes(c *v1alpha1.EtcdCluster, i state.Incarnation, trust string) []corev1.Volume {
	list := []corev1.Volume{{Name: dataVolume, VolumeSource: dataSource(c, i)}}
	if trust == "" {
		return list
	}
	return append(list,
		corev1.Volume{Name: trustVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: trust}, DefaultMode: new(readableByGroup),
		}}},
		certificateVolume(peerVolume, CertificateSecretName(c.Name, state.PeerCertificate)),
		certificateVolume(serverVolume, CertificateSecretName(c.Name, state.ServerCertificate)),
	)
}

// certificateVolume leaves out ca.crt: what is trusted comes from the trust's ConfigMap alone.
func certificateVolume(name, secret string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName:  secret,
		DefaultMode: new(readableByGroup),
		Items: []corev1.KeyToPath{
			{Key: corev1.TLSCertKey, Path: corev1.TLSCertKey}, {Key: corev1.TLSPrivateKeyKey, Path: corev1.TLSPrivateKeyKey},
		},
	}}}
}

// SetCertificates tells the Pod's kubelet, by a change of the Pod, to bring the certificates up to date at once.
func SetCertificates(pod *corev1.Pod, revision string) {
	setAnnotation(pod, AnnotationCertificates, revision)
}
