package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// classify gives an answer of etcd its meaning, and keeps the cause readable. An error that is not in the table leaves
// the outcome of a membership change unknown: ErrTimeout, ErrLeaderChanged, ErrStopped, a lost connection.
func classify(err error) error {
	for _, known := range []struct{ cause, meaning error }{
		{rpctypes.ErrUnhealthy, ErrLater},
		{rpctypes.ErrMemberNotEnoughStarted, ErrLater},
		{rpctypes.ErrMemberLearnerNotReady, ErrLater},
		{rpctypes.ErrMemberNotFound, ErrNotFound},
		{rpctypes.ErrPeerURLExist, ErrExists},
		{rpctypes.ErrMemberExist, ErrExists},
		{rpctypes.ErrMemberNotLearner, ErrNotLearner},
		{rpctypes.ErrTooManyLearners, ErrTooManyLearners},
		{rpctypes.ErrNotLeader, ErrNotLeader},
	} {
		if errors.Is(err, known.cause) {
			return fmt.Errorf("%w: %w", known.meaning, err)
		}
	}
	if status.Code(err) == codes.DeadlineExceeded { // the server's clock was first
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// classifyAdd is for an addition, where "member not found" means that the new ID was removed before: it depends on the
// peer URL and the second (etcd server/etcdserver/api/v3rpc/util.go maps ErrIDRemoved to it), so the next second does.
func classifyAdd(err error) error {
	if errors.Is(err, rpctypes.ErrMemberNotFound) {
		return fmt.Errorf("%w: the ID for this second was removed before: %w", ErrLater, err)
	}
	return classify(err)
}
