// Package provider serves people who bring a cluster of their own, such as kind or a cloud's.
package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/progress"
)

// Names of the providers.
const (
	Local   = "local"
	Current = "current"
)

// Check refuses unknown names.
func Check(name string) error {
	if name != Local && name != Current {
		return fmt.Errorf("unknown provider %q: use %q or %q", name, Local, Current)
	}
	return nil
}

// ShowCurrent checks that the cluster of the current kubeconfig answers and shows its nodes and storage classes.
func ShowCurrent(ctx context.Context, out io.Writer) error {
	cluster, err := currentContext(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "using the current context %s\n", cluster)
	for _, kind := range []string{"nodes", "storageclasses"} {
		listed, err := command.Output(ctx, "kubectl", "--request-timeout=10s", "get", kind)
		if err != nil {
			return fmt.Errorf("the cluster of context %s does not answer: %w", cluster, err)
		}
		_, _ = out.Write(listed)
		if kind == "storageclasses" && !strings.Contains(string(listed), "(default)") {
			_, _ = fmt.Fprintln(out, "there is no default StorageClass: clusters must name one in spec.storage")
		}
	}
	return nil
}

// LoadCurrent loads images into a kind cluster and refuses any other.
func LoadCurrent(ctx context.Context, report *progress.Reporter, files []string) error {
	name, err := currentContext(ctx)
	if err != nil {
		return err
	}
	kind, isKind := strings.CutPrefix(name, "kind-")
	if !isKind {
		return fmt.Errorf("context %s is no kind cluster, images cannot be loaded into it: "+
			"push the image to a registry that its nodes can pull from and set IMG to its reference", name)
	}
	for _, file := range files {
		err := report.Step("load "+file+" into "+name, func() error {
			return command.Run(ctx, "kind", "load", "image-archive", file, "--name", kind)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RequireCertManager checks that cert-manager is installed in the current cluster: what is there is not ours to change.
func RequireCertManager(ctx context.Context, report *progress.Reporter) error {
	name, err := currentContext(ctx)
	if err != nil {
		return err
	}
	_, err = command.Output(ctx, "kubectl", "--request-timeout=10s", "get", "crd", "certificates.cert-manager.io")
	if err != nil {
		return fmt.Errorf("the cluster of context %s has no cert-manager; install it as its documentation tells "+
			"(https://cert-manager.io/docs/installation): %w", name, err)
	}
	report.Say("context %s has a cert-manager", name)
	return nil
}

func currentContext(ctx context.Context) (string, error) {
	output, err := command.Output(ctx, "kubectl", "config", "current-context")
	if err != nil {
		return "", errors.Join(errors.New("no current kubeconfig context: set KUBECONFIG, or leave PROVIDER unset "+
			"for a local cluster"), err)
	}
	return strings.TrimSpace(string(output)), nil
}
