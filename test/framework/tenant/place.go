package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/test/framework"
)

// place is a node in whose network the tenant's processes run, with the cluster's Services and DNS.
type place struct {
	kube *framework.Kube
	node string
	// address is that of the node. The host reaches it, too.
	address string
	// port of the tenant's API server, not one of the node's own processes or NodePorts.
	port int
	// programs are the directories of Kubernetes' and etcd's programs in the cache.
	programs artifacts
}

// artifacts is what is needed of the state file of the local Kubernetes.
type artifacts struct {
	Kubernetes string            `json:"kubernetes"`
	Etcd       map[string]string `json:"etcd"`
}

func choosePlace(ctx context.Context, env *framework.Environment) (place, error) {
	if env.Provider != framework.Local {
		return place{}, fmt.Errorf("run a Kubernetes on top: %w", framework.ErrLocalOnly)
	}
	p := place{kube: env.Kube, port: 20000 + rand.IntN(10000)}
	content, err := os.ReadFile(filepath.Join(env.Dir(), "state.json"))
	if err != nil {
		return place{}, fmt.Errorf("find the programs of Kubernetes: %w", err)
	}
	var state struct {
		Artifacts artifacts `json:"artifacts"`
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return place{}, fmt.Errorf("find the programs of Kubernetes: %w", err)
	}
	p.programs = state.Artifacts
	var nodes corev1.NodeList
	if err := env.Client.List(ctx, &nodes); err != nil {
		return place{}, fmt.Errorf("choose a node: %w", err)
	}
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP && isReady(&node) {
				p.node, p.address = node.Name, address.Address
				return p, nil
			}
		}
	}
	return place{}, errors.New("choose a node: none is ready")
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// url is that of the tenant's API server.
func (p place) url() string { return fmt.Sprintf("https://%s:%d", p.address, p.port) }

// kubernetes is a command of Kubernetes in the node's network.
func (p place) kubernetes(program string, flags ...string) []string {
	return p.command(filepath.Join(p.programs.Kubernetes, program), flags)
}

// etcdctl is etcdctl of a release in the node's network.
func (p place) etcdctl(version string, args ...string) ([]string, error) {
	dir, found := p.programs.Etcd[version]
	if !found {
		return nil, fmt.Errorf("the local Kubernetes has no etcdctl %s", version)
	}
	return p.command(filepath.Join(dir, "etcdctl"), args), nil
}

// command runs a program in the node's network. It is killed when the thread ends that starts it.
func (p place) command(program string, args []string) []string {
	return p.kube.Tool(append([]string{"exec", p.node, "--", "setpriv", "--pdeathsig", "KILL", program}, args...)...)
}
