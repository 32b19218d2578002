package etcd

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reason tells in stable words why a call failed. The error itself may carry ports and other values that differ each
// time, and must not go into a status.
func Reason(err error) string {
	switch code := status.Code(rootCause(err)); {
	case errors.Is(err, context.DeadlineExceeded), code == codes.DeadlineExceeded:
		return "no answer in time"
	case code == codes.Unavailable:
		return "cannot be connected to"
	case Forbidden(err):
		return "the operator is not permitted to ask: authentication is on"
	case code != codes.Unknown && code != codes.OK:
		return "answered with " + code.String()
	default:
		return "failed to answer"
	}
}

func rootCause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
