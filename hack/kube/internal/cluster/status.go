package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/tabwriter"

	"os"

	"github.com/quorate/quorate/hack/kube/internal/kubeapi"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

// PrintStatus tells whether the cluster is up; what is missing of it is an error.
func (c *Cluster) PrintStatus(ctx context.Context, out io.Writer) error {
	state, err := c.running()
	if errors.Is(err, ErrNotRunning) {
		leftovers := c.Leftovers(ctx)
		if len(leftovers) == 0 {
			_, err = fmt.Fprintln(out, "down")
			return err
		}
		return fmt.Errorf("half there (\"kube up\" starts afresh, \"kube down\" removes it):\n  %s",
			strings.Join(leftovers, "\n  "))
	}
	if err != nil {
		return err
	}
	if err := c.PrintNodes(out); err != nil {
		return err
	}
	if err := c.healthy(state); err != nil {
		return fmt.Errorf("up, but not complete (\"kube up\" completes it): %w", err)
	}
	_, err = fmt.Fprintf(out, "up with %d workers\nKUBECONFIG=%s\n", state.Workers, c.Layout.Kubeconfig())
	return err
}

// PrintNodes lists the nodes as machines and as the apiserver sees them.
func (c *Cluster) PrintNodes(out io.Writer) error {
	state, err := c.running()
	if err != nil {
		return err
	}
	seen := map[string]string{}
	if client, err := kubeapi.NewClient(c.Layout.Kubeconfig()); err == nil {
		list, err := client.Nodes()
		if err != nil {
			_, _ = fmt.Fprintf(out, "the apiserver does not answer: %v\n", err)
		}
		for _, node := range list {
			seen[node.Name] = map[bool]string{true: "Ready", false: "NotReady"}[node.Ready]
		}
	}
	nodes := c.nodes(state)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NODE\tMACHINE\tLINK\tKUBERNETES\tADDRESS\tPODS")
	for number := 1; number <= state.Workers; number++ {
		name := layout.NodeName(number)
		kubernetes := seen[name]
		if kubernetes == "" {
			kubernetes = "unknown"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", name,
			word(nodes.Running(number), "running", "down"), word(nodes.Network.LinkUp(number), "up", "down"),
			kubernetes, state.Ranges.Node(number), state.Ranges.Pods(number))
	}
	return table.Flush()
}

func word(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// Exec replaces this process with a command of the host in a node's network. It sees the host's files, but for
// /etc/resolv.conf. Volumes that are unmounted on the host must disappear for it too, so its mounts follow the host's.
func (c *Cluster) Exec(name string, argv []string) error {
	state, err := c.running()
	if err != nil {
		return err
	}
	number, err := layout.NodeNumber(name)
	if err != nil {
		return err
	}
	if number > state.Workers || !c.nodes(state).Running(number) {
		return fmt.Errorf("%s does not run: see \"kube node list\"", name)
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("find the command: %w", err)
	}
	return process.Become(path, argv, process.Placement{
		NetNS:  c.Layout.NetNS(name),
		Mounts: &process.Mounts{Binds: []process.Bind{{From: c.resolvConf(), To: "/etc/resolv.conf"}}},
	}, os.Environ())
}
