package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/node"
)

func (e *environment) nodeCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "node",
		Short: "Let nodes fail and bring them back",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(
		e.nodeAction("kill", "Cut a node's power: everything on it ends at once, its volumes stay", "lost its power",
			func(ctx context.Context, nodes node.Nodes, number int) error { return nodes.Kill(ctx, number) }),
		e.nodeAction("start", "Boot a node that was killed", "is booting",
			func(ctx context.Context, nodes node.Nodes, number int) error { return nodes.Repair(ctx, number) }),
		e.nodeAction("partition", "Cut a node's network link; what runs on it goes on", "is cut off",
			func(ctx context.Context, nodes node.Nodes, number int) error {
				return nodes.SetLink(ctx, number, false)
			}),
		e.nodeAction("heal", "Bring a node's network link back", "is connected",
			func(ctx context.Context, nodes node.Nodes, number int) error { return nodes.SetLink(ctx, number, true) }),
		e.nodeListCommand(),
	)
	return command
}

func (e *environment) nodeAction(
	verb, short, done string, act func(context.Context, node.Nodes, int) error,
) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NODE",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.requireLocal("letting nodes fail"); err != nil {
				return err
			}
			nodes, number, err := e.node(args[0])
			if err != nil {
				return err
			}
			if err := act(cmd.Context(), nodes, number); err != nil {
				return err
			}
			e.report.Say("%s %s", args[0], done)
			return nil
		},
	}
}

// node checks that the cluster is up and has the named node.
func (e *environment) node(name string) (node.Nodes, int, error) {
	nodes, err := e.nodes()
	if err != nil {
		return node.Nodes{}, 0, err
	}
	number, err := layout.NodeNumber(name)
	if err != nil {
		return node.Nodes{}, 0, err
	}
	if number > nodes.Count {
		return node.Nodes{}, 0, fmt.Errorf("there is no %s: the cluster has worker-1 to %s",
			name, layout.NodeName(nodes.Count))
	}
	return nodes, number, nil
}

// nodes gives exclusive access to the nodes of the running cluster.
func (e *environment) nodes() (node.Nodes, error) {
	c, err := e.locked()
	if err != nil {
		return node.Nodes{}, err
	}
	return c.Nodes()
}

func (e *environment) nodeListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the nodes and whether they run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := e.requireLocal("listing nodes as machines"); err != nil {
				return err
			}
			c, err := e.cluster()
			if err != nil {
				return err
			}
			return c.PrintNodes(e.out)
		},
	}
}
