package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// reportInTime reports also when the time for the reconcile is over: what took it is what people have to know.
func (r *EtcdClusterReconciler) reportInTime(ctx context.Context, c *state.Cluster, d plan.Decision, o outcome) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
		defer cancel()
		ctx = late
	}
	return r.report(ctx, c, d, o)
}

// report tells in events what happened and writes the status once, if it changed.
func (r *EtcdClusterReconciler) report(ctx context.Context, c *state.Cluster, d plan.Decision, o outcome) error {
	obj := c.Object.DeepCopy()
	before := obj.Status.DeepCopy()
	obj.Status = status(c, d, o)
	r.Metrics.observe(c, append(slices.Clone(o.blocked), d.Blocked...))
	if c.NamespaceDeleting {
		return r.writeStatus(ctx, before, obj) // no event can be created any more
	}
	if o.done {
		log.FromContext(ctx).Info("Done", "step", d.Step.String(), "reason", d.Reason, "rule", d.Rule)
		r.Events.Eventf(obj, nil, corev1.EventTypeNormal, d.Activity, actionOf(d.Step), "%s", note(d))
	}
	for _, s := range o.news {
		log.FromContext(ctx).Info("Done", "step", s.String())
		r.Events.Eventf(obj, nil, corev1.EventTypeNormal, reasonOf(s), actionOf(s), "%s", truncate(s.String(), 900))
	}
	if err := r.writeStatus(ctx, before, obj); err != nil {
		return err
	}
	for _, cond := range obj.Status.Conditions {
		r.tellTransition(ctx, obj, meta.FindStatusCondition(before.Conditions, cond.Type), cond)
	}
	return nil
}

// writeStatus writes the status if it changed.
func (r *EtcdClusterReconciler) writeStatus(
	ctx context.Context, before *v1alpha1.EtcdClusterStatus, obj *v1alpha1.EtcdCluster,
) error {
	if equality.Semantic.DeepEqual(before, &obj.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

// newsworthy tells that people want to hear of an ensure: of certificates after the first ones.
func newsworthy(c *state.Cluster, s plan.Step) bool {
	if c.Latch == nil {
		return false
	}
	switch s := s.(type) {
	case plan.ResizeVolumes:
		return true
	case plan.PublishCertificate:
		return s.Renew
	case plan.SetAuthority:
		return true
	default:
		return false
	}
}

func reasonOf(s plan.Step) string {
	switch s.(type) {
	case plan.SetAuthority:
		return v1alpha1.ReasonRotatingCA
	case plan.ResizeVolumes:
		return v1alpha1.ReasonVolumeGrowing
	default:
		return v1alpha1.ReasonCertificateRenewing
	}
}

// note is the step, and why unless the step says so itself.
func note(d plan.Decision) string {
	step := d.Step.String()
	if d.Reason == "" || strings.Contains(step, d.Reason) {
		return truncate(step, 900)
	}
	return truncate(step+": "+d.Reason, 900)
}

// tellTransition emits an event when a condition changed its status or reason. Progressing is left out: its steps
// have events of their own, and what it waits for is in its message; except for what a person must mend.
func (r *EtcdClusterReconciler) tellTransition(
	ctx context.Context, obj *v1alpha1.EtcdCluster, was *metav1.Condition, is metav1.Condition,
) {
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	switch {
	case is.Type == v1alpha1.ConditionProgressing && !needsPerson(is.Reason):
		return
	case is.Type == v1alpha1.ConditionReady:
		return
	case is.Type == v1alpha1.ConditionDegraded && expected(is.Reason):
		return // Available tells it
	case was == nil && is.Type == v1alpha1.ConditionAvailable && is.Status != metav1.ConditionTrue,
		was == nil && is.Type == v1alpha1.ConditionCertificatesValid,
		was == nil && is.Type == v1alpha1.ConditionDegraded && is.Status != metav1.ConditionTrue:
		return
	case expected(is.Reason):
	case is.Type == v1alpha1.ConditionAvailable && is.Status != metav1.ConditionTrue,
		is.Type == v1alpha1.ConditionCertificatesValid && is.Status != metav1.ConditionTrue,
		is.Type == v1alpha1.ConditionDegraded && is.Status == metav1.ConditionTrue,
		is.Type == v1alpha1.ConditionProgressing:
		kind = corev1.EventTypeWarning
	}
	log.FromContext(ctx).Info("Condition changed", "condition", is.Type, "status", is.Status, "reason", is.Reason,
		"message", is.Message)
	r.Events.Eventf(obj, nil, kind, is.Reason, "Observe"+is.Type, "%s is %s: %s", is.Type, is.Status,
		truncate(is.Message, 900))
}

// needsPerson tells that nothing goes on until a person does something.
func needsPerson(reason string) bool {
	switch reason {
	case v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonOwnershipConflict, v1alpha1.ReasonWrongClusterID,
		v1alpha1.ReasonMemberLost, v1alpha1.ReasonVolumeWiped, v1alpha1.ReasonUnmanagedMember,
		v1alpha1.ReasonVersionRefused, v1alpha1.ReasonAuthRequired, v1alpha1.ReasonCertificateProblem,
		v1alpha1.ReasonActionFailed, v1alpha1.ReasonVolumeGrowthRefused, v1alpha1.ReasonVolumeFull:
		return true
	default:
		return false
	}
}

// actionOf is what events call the action: the step's name, and what it is done to where several come at once.
// Events that differ in their note alone are taken for one (client-go tools/events, getKey).
func actionOf(s plan.Step) string {
	switch named := s.(type) {
	case plan.PublishCertificate:
		return stepName(s) + "/" + string(named.Name)
	case plan.SetAuthority:
		return stepName(s) + "/" + string(named.Side)
	default:
		return stepName(s)
	}
}

// stepName is the name of the step's type.
func stepName(s plan.Step) string { return reflect.TypeOf(s).Name() }

// truncate cuts a message at n bytes: events take 1024, conditions 32768.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
