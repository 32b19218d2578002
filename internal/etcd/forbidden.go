package etcd

import (
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Forbidden tells that the member answered, and refused because authentication is on and the operator is no user with
// the right to ask (etcd server/auth/store.go). The operator's certificate names the user root.
func Forbidden(err error) bool {
	if err == nil {
		return false
	}
	cause := rootCause(err)
	for _, refusal := range []error{
		rpctypes.ErrUserEmpty, rpctypes.ErrPermissionDenied, rpctypes.ErrInvalidAuthToken, rpctypes.ErrUserNotFound,
	} {
		if errors.Is(rpctypes.Error(cause), refusal) {
			return true
		}
	}
	code := status.Code(cause)
	return code == codes.PermissionDenied || code == codes.Unauthenticated
}
