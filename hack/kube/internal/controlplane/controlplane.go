// Package controlplane runs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and the volume provisioner
// as processes of the host.
package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/kubeapi"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
	"github.com/quorate/quorate/hack/kube/internal/pki"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

const (
	apiserverPort  = 6443
	etcdClientPort = 2379
	etcdPeerPort   = 2380
	readyTimeout   = 60 * time.Second
)

// Names of the processes, in the order in which they are started.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Provisioner       = "volume-provisioner"
)

// Processes lists all names in the order of starting.
func Processes() []string {
	return []string{Etcd, APIServer, ControllerManager, Scheduler, Provisioner}
}

// ControlPlane knows what its processes are started with.
type ControlPlane struct {
	Layout    layout.Layout
	Ranges    network.Ranges
	Artifacts build.Artifacts
	Processes process.Table
}

// Server is the URL of the apiserver.
func (c ControlPlane) Server() string {
	return fmt.Sprintf("https://%s:%d", c.Ranges.Host(), apiserverPort)
}

// Prepare writes certificates, kubeconfigs and configuration files.
func (c ControlPlane) Prepare() error {
	for _, dir := range []string{c.Layout.Config(), c.Layout.Logs(), c.Layout.Processes(), c.Layout.EtcdData()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("prepare the control plane: %w", err)
		}
	}
	if err := os.WriteFile(c.auditPolicyFile(), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("prepare the control plane: %w", err)
	}
	resolv := fmt.Sprintf("nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n",
		c.Ranges.DNSService())
	resolvFile := filepath.Join(c.Layout.Config(), "resolv.conf")
	if err := os.WriteFile(resolvFile, []byte(resolv), 0o644); err != nil {
		return fmt.Errorf("prepare the control plane: %w", err)
	}
	if err := c.issueCertificates(); err != nil {
		return fmt.Errorf("prepare the control plane: %w", err)
	}
	return nil
}

// ClusterAuthority is the name of the authority that signs everything but the front proxy's certificate.
const ClusterAuthority = "ca"

func (c ControlPlane) issueCertificates() error {
	if _, err := pki.NewSigningKey(c.Layout.PKI(), "service-accounts"); err != nil {
		return err
	}
	frontProxy, err := pki.NewAuthority(c.Layout.PKI(), "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := frontProxy.Issue(pki.Subject{File: "front-proxy-client", CommonName: "front-proxy-client"}); err != nil {
		return err
	}
	authority, err := pki.NewAuthority(c.Layout.PKI(), ClusterAuthority)
	if err != nil {
		return err
	}
	for _, subject := range c.servers() {
		if _, err := authority.Issue(subject); err != nil {
			return err
		}
	}
	for file, subject := range c.users() {
		if err := authority.WriteKubeconfig(file, c.Server(), subject); err != nil {
			return err
		}
	}
	return nil
}

// SystemMasters is the group that may do everything.
const systemMasters = "system:masters"

func (c ControlPlane) servers() []pki.Subject {
	host := c.Ranges.Host()
	return []pki.Subject{
		{
			File: "apiserver", CommonName: "kube-apiserver",
			Names: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
				"localhost",
			},
			Addresses: append(loopback(), host, c.Ranges.KubernetesService()),
		},
		{File: "etcd", CommonName: "etcd", Names: []string{"localhost"}, Addresses: append(loopback(), host)},
		{File: "apiserver-etcd-client", CommonName: "kube-apiserver"},
		{File: "apiserver-kubelet-client", CommonName: "kube-apiserver-kubelet-client", Organization: systemMasters},
	}
}

func (c ControlPlane) users() map[string]pki.Subject {
	return map[string]pki.Subject{
		c.Layout.Kubeconfig(): {
			File: "admin", CommonName: "kubernetes-admin", Organization: systemMasters,
		},
		c.kubeconfig(ControllerManager): {
			File: ControllerManager, CommonName: "system:kube-controller-manager",
		},
		c.kubeconfig(Scheduler): {
			File: Scheduler, CommonName: "system:kube-scheduler",
		},
		c.kubeconfig(Provisioner): {
			File: Provisioner, CommonName: "quorate-volume-provisioner", Organization: systemMasters,
		},
	}
}

func (c ControlPlane) kubeconfig(process string) string {
	return filepath.Join(c.Layout.Config(), process+".kubeconfig")
}

// Start starts those processes that do not run, in order, and returns when the apiserver is ready.
func (c ControlPlane) Start() error {
	if err := c.startUnlessRunning(Etcd, c.etcdArgv(), nil); err != nil {
		return err
	}
	if err := c.startUnlessRunning(APIServer, c.apiserverArgv(), c.Ready); err != nil {
		return err
	}
	return errors.Join(
		c.startUnlessRunning(ControllerManager, c.controllerManagerArgv(), nil),
		c.startUnlessRunning(Scheduler, c.schedulerArgv(), nil),
	)
}

// StartProvisioner starts the volume provisioner unless it runs.
func (c ControlPlane) StartProvisioner() error {
	return c.startUnlessRunning(Provisioner, c.provisionerArgv(), nil)
}

// Ready asks the apiserver whether it is.
func (c ControlPlane) Ready() error {
	client, err := kubeapi.NewClient(c.Layout.Kubeconfig())
	if err != nil {
		return err
	}
	return client.Ready()
}

func (c ControlPlane) startUnlessRunning(name string, argv []string, ready func() error) error {
	if _, running := c.Processes.Find(name); running {
		return nil
	}
	handle, err := c.Processes.Start(process.Spec{
		Name: name, Argv: argv, Placement: process.Placement{Cgroup: c.Layout.ControlPlaneCgroup()},
	})
	if err != nil || ready == nil {
		return err
	}
	return handle.WaitUntil(ready, readyTimeout)
}
