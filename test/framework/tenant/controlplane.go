// Package tenant runs a Kubernetes whose datastore is an EtcdCluster, as a provider of hosted control planes does. Of
// the EtcdCluster it knows only what the operator publishes: status.endpoints and the client Secret.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/quorate/quorate/test/framework"
)

const (
	startTimeout = time.Minute
	// stopTimeout is when a process that was asked to end is killed.
	stopTimeout = 20 * time.Second
	// serviceRange is that of the tenant's Services; nothing routes it.
	serviceRange = "10.200.0.0/16"
)

// ControlPlane is a kube-apiserver and a kube-controller-manager on an EtcdCluster.
type ControlPlane struct {
	Datastore *Datastore

	place      place
	access     access
	dir        string
	stopFollow context.CancelFunc
	apiserver  *process
	manager    *process

	mu        sync.Mutex
	processes []*process
	restarts  []Window
	failure   error
}

// Window is a time in which the API server was being restarted.
type Window struct{ From, To time.Time }

// Start starts the control plane on an EtcdCluster that serves; dir gets its files and logs. Stop it, also after an
// error.
func Start(
	ctx context.Context, env *framework.Environment, cluster types.NamespacedName, dir string,
) (*ControlPlane, error) {
	c := &ControlPlane{dir: dir}
	var err error
	if c.place, err = choosePlace(ctx, env); err != nil {
		return c, err
	}
	files := filepath.Join(dir, "etcd-client")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return c, fmt.Errorf("start the control plane: %w", err)
	}
	if c.Datastore, err = ReadDatastore(ctx, env.Client, cluster, files); err != nil {
		return c, err
	}
	if c.access, err = newAccess(dir); err != nil {
		return c, err
	}
	follow, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stopFollow = stop
	go c.Datastore.follow(follow, c.failed)
	if err := c.startAPIServer(ctx); err != nil {
		return c, err
	}
	return c, c.startManager()
}

func (c *ControlPlane) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// Failure is the last error of what goes on in the background; nil when there was none.
func (c *ControlPlane) Failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// Config is that of the tenant's administrator.
func (c *ControlPlane) Config() *rest.Config {
	return &rest.Config{
		Host: c.place.url(), BearerToken: c.access.admin,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.access.authority()},
		QPS:             -1, // what is measured must not wait for a limit of the client
	}
}

// run starts a process that Stop ends. Its output goes to a log, but for its standard output when that is given.
func (c *ControlPlane) run(name string, stdout *os.File, argv []string) (*process, error) {
	p, err := startProcess(name, filepath.Join(c.dir, name+".log"), c.place.kube.Root, stdout, argv)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
	return p, nil
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	argv := c.place.kubernetes("kube-apiserver", c.apiserverFlags()...)
	var err error
	if c.apiserver, err = c.run("kube-apiserver", nil, argv); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = framework.Eventually(ctx, func(ctx context.Context) string {
		if c.apiserver.ended() != nil {
			cancel()
		}
		if err := c.ready(ctx); err != nil {
			return "kube-apiserver is not ready: " + err.Error()
		}
		return ""
	})
	return errors.Join(c.apiserver.ended(), err)
}

// ready asks /readyz, which reads from etcd.
func (c *ControlPlane) ready(ctx context.Context) error {
	// Before its first start has come so far, the server has no certificate by which a client could know it.
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	_, err = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err
}

func (c *ControlPlane) apiserverFlags() []string {
	return append(c.Datastore.APIServerFlags(),
		"--bind-address="+c.place.address,
		"--advertise-address="+c.place.address,
		fmt.Sprintf("--secure-port=%d", c.place.port),
		"--cert-dir="+c.access.certificates(),
		"--token-auth-file="+c.access.tokenFile(),
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--service-cluster-ip-range="+serviceRange,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.access.serviceAccountKey(),
		"--service-account-signing-key-file="+c.access.serviceAccountKey(),
		// Without these a server that is asked to end waits up to a minute for watches that nobody ends.
		"--shutdown-send-retry-after=true",
		"--shutdown-watch-termination-grace-period=5s",
		"--profiling=false",
	)
}

func (c *ControlPlane) startManager() error {
	kubeconfig, err := c.access.writeKubeconfig("kube-controller-manager", c.place.url(), c.access.controllers)
	if err != nil {
		return err
	}
	argv := c.place.kubernetes("kube-controller-manager",
		"--kubeconfig="+kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+c.access.serviceAccountKey(),
		"--root-ca-file="+c.access.authority(),
		// There are no kubelets: nodes would be marked unreachable and their Pods deleted.
		"--controllers=*,-node-lifecycle-controller,-taint-eviction-controller",
		"--profiling=false",
	)
	c.manager, err = c.run("kube-controller-manager", nil, argv)
	return err
}

// RestartAPIServer stops the API server, lets it read the datastore's certificates anew, and waits until it is ready.
func (c *ControlPlane) RestartAPIServer(ctx context.Context) error {
	window := Window{From: time.Now()}
	stopping, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := c.apiserver.stop(stopping); err != nil {
		return err
	}
	if err := c.Datastore.Refresh(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return fmt.Errorf("restart kube-apiserver: %w", err)
	}
	window.To = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restarts = append(c.restarts, window)
	return nil
}

// Restarts are the times in which the API server was restarted.
func (c *ControlPlane) Restarts() []Window {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.restarts)
}

// Running returns an error when a process has ended by itself.
func (c *ControlPlane) Running() error { return errors.Join(c.apiserver.ended(), c.manager.ended()) }

// CutWatches are the lines in which the API server tells that etcd has ended one of its watches: it has about a
// hundred, and those behind its watch caches go on without anybody else noticing (k8s.io/apiserver, etcd3/watcher.go).
func (c *ControlPlane) CutWatches() ([]string, error) {
	content, err := os.ReadFile(c.apiserver.log)
	if err != nil {
		return nil, fmt.Errorf("read the log of kube-apiserver: %w", err)
	}
	var cut []string
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "watch chan error") {
			cut = append(cut, strings.TrimSpace(line))
		}
	}
	return cut, nil
}

// Logs are the ends of the logs of all processes.
func (c *ControlPlane) Logs(lines int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, told := "", map[string]bool{}
	for _, p := range c.processes {
		if !told[p.log] {
			text += fmt.Sprintf("--- %s\n%s\n", p.name, p.tail(lines))
		}
		told[p.log] = true
	}
	return text
}

// Stop ends all processes, the last one first.
func (c *ControlPlane) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if c.stopFollow != nil {
		c.stopFollow()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, p := range slices.Backward(c.processes) {
		failures = append(failures, p.stop(ctx))
	}
	return errors.Join(failures...)
}
