package cli

import (
	"github.com/spf13/cobra"

	"github.com/quorate/quorate/hack/kube/internal/provider"
)

func (e *environment) buildCommand() *cobra.Command {
	withAddons := false
	command := &cobra.Command{
		Use:   "build",
		Short: "Compile all binaries and pack all images that the cache lacks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := e.locked(); err != nil {
				return err
			}
			builder, err := e.builder(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := builder.Build(cmd.Context()); err != nil {
				return err
			}
			if withAddons {
				if _, err := builder.CertManager(cmd.Context()); err != nil {
					return err
				}
			}
			e.print("all binaries and images are in %s", builder.Layout.Cache)
			return nil
		},
	}
	command.Flags().BoolVar(&withAddons, "addons", false, "also what \"kube addon\" installs")
	return command
}

func (e *environment) upCommand() *cobra.Command {
	workers := 3
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or complete it when a part of it is missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.current() {
				return provider.ShowCurrent(cmd.Context(), e.out)
			}
			c, err := e.locked()
			if err != nil {
				return err
			}
			builder, err := e.builder(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.Up(cmd.Context(), builder, workers); err != nil {
				return err
			}
			e.print("use it with: export KUBECONFIG=%s", c.Layout.Kubeconfig())
			return nil
		},
	}
	command.Flags().IntVar(&workers, "workers", workers, "number of worker nodes")
	return command
}

func (e *environment) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the cluster and all its data; only the cache of built binaries stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.current() {
				e.print("nothing to do: this program did not start the cluster of the current kubeconfig")
				return nil
			}
			c, err := e.locked()
			if err != nil {
				return err
			}
			if len(c.Leftovers(cmd.Context())) == 0 {
				e.print("nothing is up")
				return nil
			}
			return c.Down(cmd.Context())
		},
	}
}

func (e *environment) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell whether the cluster is up, its nodes and where its kubeconfig is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.current() {
				return provider.ShowCurrent(cmd.Context(), e.out)
			}
			c, err := e.cluster()
			if err != nil {
				return err
			}
			return c.PrintStatus(cmd.Context(), e.out)
		},
	}
}
