package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Downgrader is how etcd is told to go back by a minor. While it is enabled no member can join: a new one of either
// minor finds the cluster version incompatible (etcd server/etcdserver/cluster_util.go, allowedVersionRange).
type Downgrader interface {
	// EnableDowngrade lowers the cluster version to the minor, such as "3.6", and has all members convert their data;
	// Status tells when each has. ErrLater when one is enabled already.
	EnableDowngrade(ctx context.Context, minor string) error
	// CancelDowngrade ends that. A success proves nothing: only a Status that shows none enabled does.
	CancelDowngrade(ctx context.Context) error
}

// EnableDowngrade implements Downgrader.
func (c *memberClient) EnableDowngrade(ctx context.Context, minor string) error {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	_, err := c.maintenance.Downgrade(ctx, clientv3.DowngradeEnable, minor)
	switch {
	case errors.Is(err, rpctypes.ErrDowngradeInProcess):
		return c.failed("enable the downgrade", fmt.Errorf("%w: %w", ErrLater, err))
	case err != nil:
		return c.failed("enable the downgrade to "+minor, classify(err))
	}
	return nil
}

// CancelDowngrade implements Downgrader. The server logs its failures, and answers with a success.
func (c *memberClient) CancelDowngrade(ctx context.Context) error {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	if _, err := c.maintenance.Downgrade(ctx, clientv3.DowngradeCancel, ""); err != nil {
		return c.failed("cancel the downgrade", classify(err))
	}
	return nil
}

// downgradeTarget is the minor to which a downgrade is enabled; empty when none is. Servers before 3.6 do not tell.
func downgradeTarget(r *etcdserverpb.StatusResponse) string {
	if !r.GetDowngradeInfo().GetEnabled() {
		return ""
	}
	return minorNumber(r.GetDowngradeInfo().GetTargetVersion())
}
