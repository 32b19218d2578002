package act

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// successor is the Pod that is created after the step, which stops a member in order to start it again; nil for any
// other step.
func successor(c *state.Cluster, step plan.Step) *corev1.Pod {
	s, deletes := step.(plan.DeletePod)
	if !deletes {
		return nil
	}
	l, restarts := plan.Restarted(c, s)
	if !restarts {
		return nil
	}
	return launchedPod(c.Object, l)
}

// try asks the API server, without a write, whether it would accept the Pod. Invariant: a member that runs is not
// stopped for a Pod that Kubernetes is known to refuse. The Pod that still runs has the same name, so that
// AlreadyExists is the best answer: defaults, admission and validation come before it (k8s.io/apiserver
// pkg/registry/generic/registry, Store.create and DryRunnableStorage.Create). An answer that says nothing of the Pod,
// such as that of a webhook that knows no dry run, holds up nothing; without one, also of a webhook, the step fails.
func (e *Executor) try(ctx context.Context, pod *corev1.Pod, step plan.Step) error {
	if pod == nil {
		return nil
	}
	err := e.Client.Create(ctx, pod.DeepCopy(), client.DryRunAll)
	var answer apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return nil
	case NamespaceGone(err), !errors.As(err, &answer), webhookDown(err):
		return fmt.Errorf("ask whether Kubernetes accepts another %s: %w", describe(pod), err)
	case refusesPod(err):
		return &RefusedError{Step: step, Blocked: []plan.Blocked{{
			Reason: v1alpha1.ReasonInvalidSpec,
			Message: fmt.Sprintf("Kubernetes refuses the Pod with which %s would be restarted: %s. Nothing is stopped, and the "+
				"members run on as they are: change the spec, or what refuses the Pod (it is tried again every few seconds). The "+
				"PodDisruptionBudget of several members blocks node drains meanwhile", pod.Name, answerOf(answer.Status())),
		}}}
	default:
		return nil
	}
}

// refusesPod tells that the answer to a dry run is about the Pod. A quota that is exceeded still counts the Pod that
// runs, and a webhook that cannot be asked in a dry run says nothing of the creation
// (k8s.io/apiserver pkg/admission/plugin/webhook/errors, NewDryRunUnsupportedErr).
func refusesPod(err error) bool {
	switch {
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsUnauthorized(err),
		strings.Contains(err.Error(), "denied the request"), strings.Contains(err.Error(), "denied request"):
		return true // admission chooses the code, also that of its denials
	case apierrors.IsBadRequest(err):
		return !strings.Contains(err.Error(), "does not support dry run")
	case apierrors.IsForbidden(err):
		return !strings.Contains(err.Error(), "exceeded quota")
	default:
		return false
	}
}

// answerOf is what the API server says, with the faults of an invalid object in the order of their fields: those of a
// map come in any, and the status would be written each time.
func answerOf(s metav1.Status) string {
	if s.Details == nil || len(s.Details.Causes) < 2 {
		return s.Message
	}
	head := fmt.Sprintf("%s %q is invalid: ", s.Details.Kind, s.Details.Name)
	if !strings.HasPrefix(s.Message, head) {
		return s.Message
	}
	faults := make([]string, 0, len(s.Details.Causes))
	for _, cause := range s.Details.Causes {
		faults = append(faults, cause.Field+": "+cause.Message)
	}
	slices.Sort(faults)
	return head + strings.Join(slices.Compact(faults), ", ")
}
