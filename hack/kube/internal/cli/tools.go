package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/image"
	"github.com/quorate/quorate/hack/kube/internal/provider"
)

func (e *environment) loadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE.tar...",
		Short: "Import image tarballs on all nodes",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if e.current() {
				return provider.LoadCurrent(cmd.Context(), e.report, files)
			}
			nodes, err := e.nodes()
			if err != nil {
				return err
			}
			return e.report.Step("load "+strings.Join(files, ", "), func() error {
				return nodes.Load(cmd.Context(), files)
			})
		},
	}
}

func (e *environment) execCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "exec NODE -- COMMAND [ARG...]",
		Short: "Run a command of the host in a node's network, with the cluster's DNS",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := e.requireLocal("running a command in a node's network"); err != nil {
				return err
			}
			c, err := e.cluster()
			if err != nil {
				return err
			}
			return c.Exec(args[0], args[1:])
		},
	}
}

func (e *environment) kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [ARG...]",
		Short:              "Run the kubectl of the cluster's version with its kubeconfig",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := e.cluster()
			if err != nil {
				return err
			}
			nodes, err := c.Nodes()
			if err != nil {
				return err
			}
			kubectl := nodes.Artifacts.Kubernetes("kubectl")
			environment := append(os.Environ(), "KUBECONFIG="+c.Layout.Kubeconfig())
			return fmt.Errorf("run %s: %w", kubectl, unix.Exec(kubectl, append([]string{"kubectl"}, args...), environment))
		},
	}
}

func (e *environment) packCommand() *cobra.Command {
	spec := image.Spec{Architecture: runtime.GOARCH}
	var out string
	var files []string
	command := &cobra.Command{
		Use:   "pack --ref REFERENCE --out FILE.tar --file SOURCE=/TARGET",
		Short: "Pack static programs into an image tarball, without a container engine",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, file := range files {
				source, target, found := strings.Cut(file, "=")
				if !found || source == "" || !filepath.IsAbs(target) {
					return fmt.Errorf("--file must be SOURCE=/TARGET, got %q", file)
				}
				spec.Files = append(spec.Files, image.File{Source: source, Target: target})
			}
			if len(spec.Files) == 0 {
				return errors.New("an image without any --file is of no use")
			}
			return image.Write(spec, out)
		},
	}
	flags := command.Flags()
	flags.StringVar(&spec.Reference, "ref", "", "image reference, such as quorate.dev/quorate:dev")
	flags.StringVar(&out, "out", "", "tarball to write")
	flags.StringVar(&spec.Architecture, "arch", spec.Architecture, "architecture of the programs")
	flags.StringVar(&spec.User, "user", "65532:65532", "UID:GID to run as")
	flags.StringArrayVar(&spec.Entrypoint, "entrypoint", nil, "entrypoint; repeat it for arguments")
	flags.StringArrayVar(&spec.Env, "env", nil, "NAME=VALUE; may be repeated")
	flags.StringArrayVar(&files, "file", nil, "SOURCE=/TARGET; may be repeated")
	flags.BoolVar(&spec.CACertificates, "ca", false, "add the host's certificate authorities")
	for _, required := range []string{"ref", "out"} {
		_ = command.MarkFlagRequired(required)
	}
	return command
}
