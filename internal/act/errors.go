package act

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// ErrConflict means that an object of a name that the cluster needs belongs to something else.
var ErrConflict = errors.New("ownership conflict")

// errChanged means that the world is no longer as the plan saw it: observe again.
var errChanged = errors.New("changed since it was observed")

var errNamespaceGone = errors.New("the namespace is being deleted")

// RefusedError means that the live state, unlike the cache, forbids the step, or that Kubernetes does not let it be
// done yet: what it waits for is in Blocked. Step is nil when only one of its objects waits.
type RefusedError struct {
	Step    plan.Step
	Blocked []plan.Blocked
}

func (e *RefusedError) Error() string {
	if e.Step == nil {
		return e.Blocked[0].Message
	}
	return fmt.Sprintf("the live state forbids to %s: %s", e.Step, e.Blocked[0].Message)
}

// etcdRetry is how long to wait after etcd answered "later". What ends the wait (members connected for 5 s, a learner
// in sync) gives no event.
const etcdRetry = time.Second

// Later tells whether the step is merely to be tried again, after how long, and why: etcd says "later", or the world
// has changed since it was observed. Such a step is no failure.
func Later(err error) (after time.Duration, later bool) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			one, ok := Later(e)
			if !ok {
				return 0, false
			}
			after = max(after, one)
		}
		return after, true
	}
	switch {
	case err == nil:
		return 0, false
	case NamespaceGone(err):
		return time.Minute, true
	case errors.Is(err, etcd.ErrLater), errors.Is(err, etcd.ErrTooManyLearners):
		return etcdRetry, true
	case errors.Is(err, errChanged), apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err),
		errors.Is(err, etcd.ErrExists), errors.Is(err, etcd.ErrNotLearner), errors.Is(err, etcd.ErrNotFound),
		errors.Is(err, etcd.ErrNotLeader):
		return 100 * time.Millisecond, true
	default:
		return 0, false
	}
}

// NamespaceGone tells that the namespace is being deleted: nothing can be created in it any more.
func NamespaceGone(err error) bool {
	return errors.Is(err, errNamespaceGone) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func kindOf(obj client.Object) string {
	if k := obj.GetObjectKind().GroupVersionKind().Kind; k != "" {
		return k
	}
	return reflect.TypeOf(obj).Elem().Name()
}

func notLeader(name string) error {
	return fmt.Errorf("no connection to the leader %s: %w", name, errChanged)
}
