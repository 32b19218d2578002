package cluster

import (
	"context"

	"github.com/quorate/quorate/hack/kube/internal/addons"
	"github.com/quorate/quorate/hack/kube/internal/build"
)

// InstallCertManager builds cert-manager if it is not cached, installs it in the running cluster and waits until it
// works. Done again, it changes nothing.
func (c *Cluster) InstallCertManager(ctx context.Context, builder *build.Builder) error {
	if _, err := c.running(); err != nil {
		return err
	}
	built, err := builder.CertManager(ctx)
	if err != nil {
		return err
	}
	// Not earlier: while it compiles, others can let nodes fail and load images. Meanwhile the cluster may be gone.
	if err := c.Lock(); err != nil {
		return err
	}
	state, err := c.running()
	if err != nil {
		return err
	}
	return c.Report.Step("cert-manager "+build.CertManagerVersion+" is ready", func() error {
		if err := c.nodes(state).Load(ctx, []string{built.Image}); err != nil {
			return err
		}
		return addons.InstallCertManager(ctx, c.Layout, state.Artifacts, built)
	})
}
