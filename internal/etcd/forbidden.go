package etcd

import (
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Forbidden tells that the member answered, and refused because authentication is on and the operator is no user with
// the right to ask (etcd server/auth/store.go). The operator's certificate names the user root.
func Forbidden(err error) bool {
	for _, refusal := range []error{
		rpctypes.ErrUserEmpty, rpctypes.ErrPermissionDenied, rpctypes.ErrInvalidAuthToken, rpctypes.ErrUserNotFound,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	switch s := status.Convert(rootCause(err)); s.Code() {
	case codes.PermissionDenied, codes.Unauthenticated:
		return true
	case codes.InvalidArgument:
		return strings.Contains(s.Message(), "user name is empty")
	default:
		return false
	}
}
