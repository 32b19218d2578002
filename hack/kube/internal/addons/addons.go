// Package addons applies what a usable cluster has beside the control plane, which is DNS and storage classes, and what
// only some tests need, which is cert-manager.
package addons

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"text/template"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

//go:embed manifests.yaml
var manifests string

// Values fill the manifests.
type Values struct {
	DNSService   string
	CoreDNSImage string
}

// Render returns the manifests with the values of this cluster.
func Render(values Values) ([]byte, error) { return render(manifests, values) }

func render(text string, values any) ([]byte, error) {
	parsed, err := template.New("manifests").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("render add-ons: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("render add-ons: %w", err)
	}
	return out.Bytes(), nil
}

// Apply applies the add-ons with kubectl.
func Apply(ctx context.Context, l layout.Layout, ranges network.Ranges, artifacts build.Artifacts) error {
	rendered, err := Render(Values{DNSService: ranges.DNSService().String(), CoreDNSImage: build.CoreDNSImage})
	if err != nil {
		return err
	}
	return apply(ctx, l, artifacts, rendered, "-")
}

// apply applies the manifests in a file or directory, or the input when it is "-".
func apply(ctx context.Context, l layout.Layout, artifacts build.Artifacts, input []byte, file string) error {
	return command.RunWithInput(ctx, bytes.NewReader(input), kubectl(l, artifacts,
		"apply", "--server-side", "--force-conflicts", "--validate=false", "-f", file)...)
}

func kubectl(l layout.Layout, artifacts build.Artifacts, args ...string) []string {
	return append([]string{
		artifacts.Kubernetes("kubectl"), "--kubeconfig", l.Kubeconfig(),
		"--cache-dir", filepath.Join(l.Dir, "kubectl-cache"),
	}, args...)
}
