// Package cli is the command line of kube: flags and wiring only.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/cluster"
	"github.com/quorate/quorate/hack/kube/internal/debian"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/progress"
	"github.com/quorate/quorate/hack/kube/internal/provider"
)

// environment is what the subcommands share.
type environment struct {
	out      io.Writer
	report   *progress.Reporter
	provider string
}

// New returns the root command.
func New(out io.Writer) *cobra.Command {
	env := &environment{out: out, report: progress.New(out)}
	root := &cobra.Command{
		Use:           "kube",
		Short:         "A real multi-node Kubernetes on one Linux machine, without a container engine or a registry",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return provider.Check(env.provider)
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	fromEnvironment := os.Getenv("PROVIDER")
	if fromEnvironment == "" {
		fromEnvironment = provider.Local
	}
	root.PersistentFlags().StringVar(&env.provider, "provider", fromEnvironment,
		"\"local\" for the cluster that this program runs, \"current\" for that of the current kubeconfig (env PROVIDER)")
	root.AddCommand(env.buildCommand(), env.upCommand(), env.downCommand(), env.statusCommand(), env.loadCommand(),
		env.addonCommand(), env.nodeCommand(), env.execCommand(), env.packCommand(), env.kubectlCommand())
	return root
}

func (e *environment) current() bool { return e.provider == provider.Current }

// requireLocal refuses what only the local cluster can do.
func (e *environment) requireLocal(what string) error {
	if e.current() {
		return fmt.Errorf("%s is only possible with the local cluster, not with --provider=%s", what, provider.Current)
	}
	return nil
}

func (e *environment) cluster() (*cluster.Cluster, error) {
	l, err := layout.FromEnvironment()
	if err != nil {
		return nil, err
	}
	return cluster.New(l, e.report)
}

// locked returns the cluster after excluding other commands that change it.
func (e *environment) locked() (*cluster.Cluster, error) {
	c, err := e.cluster()
	if err != nil {
		return nil, err
	}
	return c, c.Lock()
}

// builder returns what compiles missing binaries, after the host packages that running them needs.
func (e *environment) builder(ctx context.Context) (*build.Builder, error) {
	l, err := layout.FromEnvironment()
	if err != nil {
		return nil, err
	}
	hack, err := build.FindHack()
	if err != nil {
		return nil, err
	}
	if err := debian.Install(ctx, e.report); err != nil {
		return nil, err
	}
	return &build.Builder{Hack: hack, Layout: l, Report: e.report}, nil
}

func (e *environment) print(format string, args ...any) {
	_, _ = fmt.Fprintf(e.out, format+"\n", args...)
}
