package etcd

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a member with authentication answers to somebody who is no user with the right to ask, and what others answer.
func TestForbidden(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		want   bool
	}{
		"no user":                             {rpctypes.ErrGRPCUserEmpty, true},
		"a user without the right":            {rpctypes.ErrGRPCPermissionDenied, true},
		"a token that is not valid any more":  {rpctypes.ErrGRPCInvalidAuthToken, true},
		"a user that does not exist":          {rpctypes.ErrGRPCUserNotFound, true},
		"refused in other words":              {status.Error(codes.PermissionDenied, "no"), true},
		"not known":                           {status.Error(codes.Unauthenticated, "who"), true},
		"no leader":                           {rpctypes.ErrGRPCNoLeader, false},
		"a request that is wrong":             {rpctypes.ErrGRPCEmptyKey, false},
		"unavailable":                         {status.Error(codes.Unavailable, "gone"), false},
		"no space: an answer, but to a write": {rpctypes.ErrGRPCNoSpace, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clientOf(t, startServer(t, &server{fail: tc.answer}))
			_, err := c.Status(context.Background())
			if err == nil {
				t.Fatal("the call succeeded")
			}
			if got := Forbidden(err); got != tc.want {
				t.Errorf("forbidden is %t for %v", got, err)
			}
			const reason = "the operator is not permitted to ask: authentication is on"
			if got := Reason(err); (got == reason) != tc.want {
				t.Errorf("the reason is %q", got)
			}
		})
	}
	for _, err := range []error{nil, errors.New("any"), context.DeadlineExceeded} {
		if Forbidden(err) {
			t.Errorf("%v is taken for a refusal", err)
		}
	}
}
