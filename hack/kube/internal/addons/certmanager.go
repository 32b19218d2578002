package addons

import (
	"context"
	_ "embed"
	"path/filepath"

	"github.com/quorate/quorate/hack/kube/internal/build"
	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/layout"
)

//go:embed certmanager.yaml
var certManagerManifests string

// certManagerValues fill the manifests of cert-manager.
type certManagerValues struct {
	Image string
	// Content changes with the image behind its reference, so that the Pod is replaced then.
	Content string
}

func renderCertManager(built build.CertManager) ([]byte, error) {
	return render(certManagerManifests, certManagerValues{
		Image: build.CertManagerImage, Content: filepath.Base(filepath.Dir(built.Image)),
	})
}

// InstallCertManager installs cert-manager, whose image must be on the nodes, and waits until it works.
func InstallCertManager(
	ctx context.Context, l layout.Layout, artifacts build.Artifacts, built build.CertManager,
) error {
	rendered, err := renderCertManager(built)
	if err != nil {
		return err
	}
	if err := apply(ctx, l, artifacts, nil, built.CRDs); err != nil {
		return err
	}
	err = command.Run(ctx, kubectl(l, artifacts,
		"wait", "--for=condition=Established", "--timeout=30s", "-f", built.CRDs)...)
	if err != nil {
		return err
	}
	if err := apply(ctx, l, artifacts, rendered, "-"); err != nil {
		return err
	}
	return command.Run(ctx, kubectl(l, artifacts,
		"--namespace", "cert-manager", "rollout", "status", "deployment/cert-manager", "--timeout=90s")...)
}
