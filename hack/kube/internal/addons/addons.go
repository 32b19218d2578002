// Package addons applies what a usable cluster has beside the control plane: DNS and storage classes.
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
func Render(values Values) ([]byte, error) {
	parsed, err := template.New("manifests").Option("missingkey=error").Parse(manifests)
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
	return command.RunWithInput(ctx, bytes.NewReader(rendered),
		artifacts.Kubernetes("kubectl"), "--kubeconfig", l.Kubeconfig(),
		"--cache-dir", filepath.Join(l.Dir, "kubectl-cache"),
		"apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-")
}
