package cluster

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/hack/kube/internal/controlplane"
	"github.com/quorate/quorate/hack/kube/internal/kubeapi"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

// healthy returns nil when all processes run, all nodes are Ready, each node's DNS answers and there is a default
// storage class, and otherwise the first thing that is missing.
func (c *Cluster) healthy(state State) error {
	table := c.processes()
	for _, name := range controlplane.Processes() {
		if _, running := table.Find(name); !running {
			return fmt.Errorf("%s does not run", name)
		}
	}
	client, err := kubeapi.NewClient(c.Layout.Kubeconfig())
	if err != nil {
		return err
	}
	if err := client.Ready(); err != nil {
		return err
	}
	if err := c.nodesHealthy(state, client); err != nil {
		return err
	}
	return client.StorageClassExists("standard")
}

func (c *Cluster) nodesHealthy(state State, client *kubeapi.Client) error {
	ready := map[string]bool{}
	list, err := client.Nodes()
	if err != nil {
		return err
	}
	for _, node := range list {
		ready[node.Name] = node.Ready
	}
	nodes := c.nodes(state)
	for number := 1; number <= state.Workers; number++ {
		name := layout.NodeName(number)
		switch {
		case !nodes.Complete(number):
			return fmt.Errorf("%s is down, cut off or lacks a process", name)
		case !ready[name]:
			return fmt.Errorf("%s is not Ready", name)
		case !nodes.KubeletListens(number):
			return fmt.Errorf("the kubelet of %s does not answer yet", name)
		}
	}
	return forEachNode(state.Workers, func(number int) error {
		name := layout.NodeName(number)
		err := network.InNetNS(c.Layout.NetNS(name), func() error {
			return network.Lookup(state.Ranges.DNSService(), "kubernetes.default.svc.cluster.local.",
				state.Ranges.KubernetesService(), time.Second)
		})
		if err != nil {
			return fmt.Errorf("DNS on %s: %w", name, err)
		}
		return nil
	})
}
