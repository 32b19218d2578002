package node

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/containerd"
	"github.com/quorate/quorate/hack/kube/internal/controlplane"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/pki"
)

func (n Nodes) file(name, file string) string { return filepath.Join(n.Layout.Node(name), file) }

func (n Nodes) cniDir(name string) string { return n.file(name, "cni") }

func (n Nodes) kubeletDir(name string) string { return n.file(name, "kubelet") }

func (n Nodes) issueCertificates(number int) error {
	name := layout.NodeName(number)
	authority, err := pki.LoadAuthority(n.Layout.PKI(), controlplane.ClusterAuthority)
	if err != nil {
		return err
	}
	serving := pki.Subject{
		File: name + "-kubelet-serving", CommonName: "system:node:" + name, Organization: "system:nodes",
		Names: []string{name}, Addresses: []netip.Addr{n.Network.Ranges.Node(number)},
	}
	if _, err := authority.Issue(serving); err != nil {
		return err
	}
	client := pki.Subject{
		File: name + "-kubelet", CommonName: "system:node:" + name, Organization: "system:nodes",
	}
	if err := authority.WriteKubeconfig(n.file(name, "kubelet.kubeconfig"), n.Server, client); err != nil {
		return err
	}
	proxy := pki.Subject{File: name + "-kube-proxy", CommonName: "system:kube-proxy"}
	return authority.WriteKubeconfig(n.file(name, "kube-proxy.kubeconfig"), n.Server, proxy)
}

// configFiles maps the paths of a node's configuration files to their contents.
func (n Nodes) configFiles(number int) map[string]string {
	name := layout.NodeName(number)
	return map[string]string{
		n.file(name, "containerd.toml"):                      n.containerdConfig(name),
		filepath.Join(n.cniDir(name), "10-quorate.conflist"): n.cniConfig(number),
		n.file(name, "kubelet.yaml"):                         n.kubeletConfig(name),
		n.file(name, "resolv.conf"):                          "# Pods without cluster DNS have no name server.\n",
	}
}

func (n Nodes) containerdConfig(name string) string {
	return containerd.Config{
		Dir: n.Layout.Node(name), PauseImage: build.PauseImage, CNIPlugins: cniPlugins(), CNIConfig: n.cniDir(name),
	}.Render()
}

// cniPlugins is where the Debian package has them, or else where everybody else has.
func cniPlugins() string {
	const debian = "/usr/lib/cni"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return "/opt/cni/bin"
}

// cniTemplate connects each Pod by a link of its own to the node's router (ptp) rather than by a bridge: then also
// the answers between two Pods of one node pass the rules that rewrite Service addresses, without br_netfilter.
const cniTemplate = `{
  "cniVersion": "0.4.0",
  "name": "quorate",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func (n Nodes) cniConfig(number int) string {
	return fmt.Sprintf(cniTemplate, n.Network.Ranges.Pods(number).String())
}

const kubeletTemplate = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
cgroupRoot: %s
kubeletCgroups: %s
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [%s]
resolvConf: %s
tlsCertFile: %s
tlsPrivateKeyFile: %s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %s}
authorization: {mode: Webhook}
serializeImagePulls: false
nodeStatusUpdateFrequency: 4s
# The heartbeat is renewed every quarter of this; the controller manager allows 12 s without one.
nodeLeaseDurationSeconds: 16
# A changed Secret reaches running Pods within seconds rather than a minute.
syncFrequency: 10s
maxPods: 200
# The host's disk is shared with much else: nothing is evicted or collected because it fills up.
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: 100Mi
  nodefs.available: 0%%
  nodefs.inodesFree: 0%%
  imagefs.available: 0%%
volumePluginDir: %s
`

func (n Nodes) kubeletConfig(name string) string {
	return fmt.Sprintf(kubeletTemplate,
		containerd.Socket, n.Layout.NodePodsCgroup(name), n.Layout.NodeSystemCgroup(name),
		n.Network.Ranges.DNSService(), n.file(name, "resolv.conf"),
		filepath.Join(n.Layout.PKI(), name+"-kubelet-serving.crt"),
		filepath.Join(n.Layout.PKI(), name+"-kubelet-serving.key"),
		filepath.Join(n.Layout.PKI(), controlplane.ClusterAuthority+".crt"),
		n.file(name, "volume-plugins"))
}

func (n Nodes) kubeletArgv(number int) []string {
	name := layout.NodeName(number)
	return []string{
		n.Artifacts.Kubernetes("kubelet"),
		"--config=" + n.file(name, "kubelet.yaml"),
		"--kubeconfig=" + n.file(name, "kubelet.kubeconfig"),
		"--hostname-override=" + name,
		"--node-ip=" + n.Network.Ranges.Node(number).String(),
		"--root-dir=" + n.kubeletDir(name),
		"--cert-dir=" + filepath.Join(n.kubeletDir(name), "pki"),
		"--node-labels=topology.kubernetes.io/zone=zone-" + strconv.Itoa(number) +
			",topology.kubernetes.io/region=local",
	}
}

func (n Nodes) kubeProxyArgv(name string) []string {
	return []string{
		n.Artifacts.Kubernetes("kube-proxy"),
		"--kubeconfig=" + n.file(name, "kube-proxy.kubeconfig"),
		"--hostname-override=" + name,
		"--proxy-mode=nftables",
		"--cluster-cidr=" + n.Network.Ranges.Cluster.String(),
		"--nodeport-addresses=primary",
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0",
		"--conntrack-tcp-timeout-close-wait=0",
		"--healthz-bind-address=127.0.0.1:10256",
	}
}
