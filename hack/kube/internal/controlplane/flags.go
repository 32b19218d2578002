package controlplane

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// auditPolicy records who wrote what, and of the accounts in the operator's namespace also what they read: tests count
// the operator's writes, and compare all that it asked for with its rights. A watch is recorded when it starts.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:quorate-system"]
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

func (c ControlPlane) auditPolicyFile() string {
	return filepath.Join(c.Layout.Config(), "audit-policy.yaml")
}

func (c ControlPlane) certificate(name string) string {
	return filepath.Join(c.Layout.PKI(), name+".crt")
}

func (c ControlPlane) key(name string) string { return filepath.Join(c.Layout.PKI(), name+".key") }

func loopback() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} }

func (c ControlPlane) etcdURL() string {
	return fmt.Sprintf("https://%s:%d", c.Ranges.Host(), etcdClientPort)
}

func (c ControlPlane) etcdArgv() []string {
	peer := fmt.Sprintf("https://%s:%d", c.Ranges.Host(), etcdPeerPort)
	return []string{
		c.Artifacts.Etcd("etcd"),
		"--name=control-plane",
		"--data-dir=" + c.Layout.EtcdData(),
		"--listen-client-urls=" + c.etcdURL(),
		"--advertise-client-urls=" + c.etcdURL(),
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=control-plane=" + peer,
		"--cert-file=" + c.certificate("etcd"),
		"--key-file=" + c.key("etcd"),
		"--trusted-ca-file=" + c.certificate(ClusterAuthority),
		"--client-cert-auth",
		"--peer-cert-file=" + c.certificate("etcd"),
		"--peer-key-file=" + c.key("etcd"),
		"--peer-trusted-ca-file=" + c.certificate(ClusterAuthority),
		"--peer-client-cert-auth",
		"--auto-compaction-retention=5m",
		"--quota-backend-bytes=8589934592",
		// The control plane's own history need not survive a power failure of the host, and its disk may be slow.
		"--unsafe-no-fsync",
	}
}

func (c ControlPlane) apiserverArgv() []string {
	host := c.Ranges.Host().String()
	return []string{
		c.Artifacts.Kubernetes(APIServer),
		"--bind-address=" + host,
		"--advertise-address=" + host,
		fmt.Sprintf("--secure-port=%d", apiserverPort),
		"--service-cluster-ip-range=" + c.Ranges.Services.String(),
		"--etcd-servers=" + c.etcdURL(),
		"--etcd-cafile=" + c.certificate(ClusterAuthority),
		"--etcd-certfile=" + c.certificate("apiserver-etcd-client"),
		"--etcd-keyfile=" + c.key("apiserver-etcd-client"),
		"--client-ca-file=" + c.certificate(ClusterAuthority),
		"--tls-cert-file=" + c.certificate("apiserver"),
		"--tls-private-key-file=" + c.key("apiserver"),
		"--kubelet-certificate-authority=" + c.certificate(ClusterAuthority),
		"--kubelet-client-certificate=" + c.certificate("apiserver-kubelet-client"),
		"--kubelet-client-key=" + c.key("apiserver-kubelet-client"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + filepath.Join(c.Layout.PKI(), "service-accounts.pub"),
		"--service-account-signing-key-file=" + c.key("service-accounts"),
		"--requestheader-client-ca-file=" + c.certificate("front-proxy-ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.certificate("front-proxy-client"),
		"--proxy-client-key-file=" + c.key("front-proxy-client"),
		// The host reaches Pods, not Services: webhooks and extension apiservers are called by their Pods' addresses.
		"--enable-aggregator-routing=true",
		"--authorization-mode=Node,RBAC",
		"--anonymous-auth=false",
		"--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
		"--allow-privileged=true",
		"--audit-policy-file=" + c.auditPolicyFile(),
		"--audit-log-path=" + c.Layout.AuditLog(),
		"--audit-log-format=json",
		// Tests count lines: the log must not be rotated away under them. In MB.
		"--audit-log-maxsize=4096",
		"--event-ttl=24h",
		"--profiling=false",
	}
}

func (c ControlPlane) controllerManagerArgv() []string {
	return []string{
		c.Artifacts.Kubernetes(ControllerManager),
		"--kubeconfig=" + c.kubeconfig(ControllerManager),
		"--authentication-kubeconfig=" + c.kubeconfig(ControllerManager),
		"--authorization-kubeconfig=" + c.kubeconfig(ControllerManager),
		"--bind-address=" + c.Ranges.Host().String(),
		"--tls-cert-file=" + c.certificate("apiserver"),
		"--tls-private-key-file=" + c.key("apiserver"),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--root-ca-file=" + c.certificate(ClusterAuthority),
		"--service-account-private-key-file=" + c.key("service-accounts"),
		"--cluster-signing-cert-file=" + c.certificate(ClusterAuthority),
		"--cluster-signing-key-file=" + c.key(ClusterAuthority),
		"--allocate-node-cidrs=false",
		// A dead node is noticed after 12 s rather than 50 s, so that fault tests need not wait.
		"--node-monitor-grace-period=12s",
		"--node-monitor-period=2s",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--profiling=false",
	}
}

func (c ControlPlane) schedulerArgv() []string {
	return []string{
		c.Artifacts.Kubernetes(Scheduler),
		"--kubeconfig=" + c.kubeconfig(Scheduler),
		"--authentication-kubeconfig=" + c.kubeconfig(Scheduler),
		"--authorization-kubeconfig=" + c.kubeconfig(Scheduler),
		"--bind-address=" + c.Ranges.Host().String(),
		"--tls-cert-file=" + c.certificate("apiserver"),
		"--tls-private-key-file=" + c.key("apiserver"),
		"--leader-elect=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--profiling=false",
	}
}

func (c ControlPlane) provisionerArgv() []string {
	return []string{
		c.Artifacts.Provisioner(),
		"--kubeconfig=" + c.kubeconfig(Provisioner),
		"--disks=" + c.Layout.Disks(),
		"--mounts=" + c.Layout.Volumes(),
	}
}
