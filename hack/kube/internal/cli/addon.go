package cli

import (
	"github.com/spf13/cobra"

	"github.com/quorate/quorate/hack/kube/internal/provider"
)

func (e *environment) addonCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "addon",
		Short: "Install in the cluster what only some tests need",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(e.certManagerCommand())
	return command
}

func (e *environment) certManagerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cert-manager",
		Short: "Install cert-manager for issuers of types SelfSigned and CA; compile it first when the cache lacks it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.current() {
				return provider.RequireCertManager(cmd.Context(), e.report)
			}
			c, err := e.cluster()
			if err != nil {
				return err
			}
			builder, err := e.builder(cmd.Context())
			if err != nil {
				return err
			}
			return c.InstallCertManager(cmd.Context(), builder)
		},
	}
}
