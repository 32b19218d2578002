package framework

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What config/default calls the operator.
const (
	OperatorNamespace  = "quorate-system"
	OperatorDeployment = "quorate-controller-manager"
	// OperatorUser is the operator as the API server's audit log names it.
	OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":quorate-controller-manager"
)

// OperatorSelector selects the operator's Pods.
func OperatorSelector() client.MatchingLabels {
	return client.MatchingLabels{"app.kubernetes.io/name": "quorate", "app.kubernetes.io/component": "controller-manager"}
}

// RequireOperator returns an error that says what to do unless the operator runs in a Pod.
func (e *Environment) RequireOperator(ctx context.Context) error {
	d := &appsv1.Deployment{}
	err := e.Client.Get(ctx, client.ObjectKey{Namespace: OperatorNamespace, Name: OperatorDeployment}, d)
	switch {
	case apierrors.IsNotFound(err):
		return errors.New("the operator is not installed: run \"make deploy\"")
	case err != nil:
		return fmt.Errorf("look for the operator: %w", err)
	case d.Status.AvailableReplicas == 0:
		return fmt.Errorf("no Pod of the operator is available: see \"kubectl -n %s describe pods\"", OperatorNamespace)
	default:
		return nil
	}
}

// ScaleOperator sets how many operators there are and waits until the others are gone: zero switches it off.
func (e *Environment) ScaleOperator(ctx context.Context, replicas int) error {
	scale := e.Kubectl("-n", OperatorNamespace, "scale", "deployment/"+OperatorDeployment,
		fmt.Sprintf("--replicas=%d", replicas))
	if _, err := e.Run(ctx, scale...); err != nil {
		return err
	}
	return Eventually(ctx, func(ctx context.Context) string {
		pods, err := e.OperatorPods(ctx)
		if err != nil {
			return err.Error()
		}
		ready := 0
		for _, p := range pods {
			if PodReady(&p) {
				ready++
			}
		}
		if len(pods) != replicas || ready != replicas {
			return fmt.Sprintf("%d operator Pods of which %d are ready, want %d", len(pods), ready, replicas)
		}
		return ""
	})
}

// OperatorPods are the operator's Pods, those that are ending included.
func (e *Environment) OperatorPods(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := e.Client.List(ctx, &pods, client.InNamespace(OperatorNamespace), OperatorSelector()); err != nil {
		return nil, fmt.Errorf("list the operator's Pods: %w", err)
	}
	return pods.Items, nil
}

// KillOperator deletes the operator's Pods at once, as a crash would.
func (e *Environment) KillOperator(ctx context.Context) error {
	err := e.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(OperatorNamespace), OperatorSelector(),
		client.GracePeriodSeconds(0))
	if err != nil {
		return fmt.Errorf("delete the operator's Pods: %w", err)
	}
	return nil
}

// OperatorLog is the end of the operator's log: at most so many lines, only those that contain about.
func (e *Environment) OperatorLog(ctx context.Context, about string, lines int) string {
	pods, err := e.OperatorPods(ctx)
	if err != nil {
		return err.Error()
	}
	var found []string
	for _, p := range pods {
		log, err := e.Clientset.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err != nil {
			found = append(found, fmt.Sprintf("(no log of %s: %v)", p.Name, err))
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, about) {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(found[max(0, len(found)-lines):], "\n")
}
