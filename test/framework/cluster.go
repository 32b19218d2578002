package framework

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// CreateNamespace creates a namespace that enforces the Pod Security level restricted.
func (e *Environment) CreateNamespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
		"quorate.dev/test":                   "e2e",
	}}}
	if err := e.Client.Create(ctx, ns); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// Edit changes an object as a person would: on a conflict it starts again from the newest version.
func (e *Environment) Edit(ctx context.Context, obj client.Object, change func()) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := e.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change()
		return e.Client.Update(ctx, obj)
	})
	if err != nil {
		return fmt.Errorf("edit %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	return nil
}

// AwaitCluster waits until check finds the EtcdCluster as it should be; it returns what is missing, or an empty string.
func (e *Environment) AwaitCluster(
	ctx context.Context, key types.NamespacedName, check func(*v1alpha1.EtcdCluster) string,
) (*v1alpha1.EtcdCluster, error) {
	c := &v1alpha1.EtcdCluster{}
	err := Eventually(ctx, func(ctx context.Context) string {
		c = &v1alpha1.EtcdCluster{}
		if err := e.Client.Get(ctx, key, c); err != nil {
			return "the EtcdCluster cannot be read: " + err.Error()
		}
		return check(c)
	})
	if err != nil {
		return c, fmt.Errorf("EtcdCluster %s: %w", key, err)
	}
	return c, nil
}

// Ready tells what an EtcdCluster lacks to be as its spec wants it, by a status that speaks of this very spec; empty
// when nothing.
func Ready(c *v1alpha1.EtcdCluster) string {
	s := c.Status
	if got := ptr.Deref(s.ObservedGeneration, 0); got != c.Generation {
		return fmt.Sprintf("the status speaks of generation %d, the spec is at %d", got, c.Generation)
	}
	cond := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if cond == nil || cond.Status != metav1.ConditionTrue || cond.ObservedGeneration != c.Generation {
		return "it is not Ready: " + ShortStatus(c)
	}
	want := ptr.Deref(c.Spec.Replicas, 3)
	if got := ptr.Deref(s.Replicas, 0); got != want {
		return fmt.Sprintf("it is Ready with %d voters, want %d", got, want)
	}
	return ""
}

// ShortStatus is the status in one line.
func ShortStatus(c *v1alpha1.EtcdCluster) string {
	var b strings.Builder
	if q := c.Status.Quorum; q != nil {
		fmt.Fprintf(&b, "quorum %s, ", q.Summary)
	}
	fmt.Fprintf(&b, "leader %q", ptr.Deref(c.Status.Leader, ""))
	for _, m := range c.Status.Members {
		fmt.Fprintf(&b, ", %s %s %s", m.Name, m.Role, m.Health)
	}
	for _, cond := range c.Status.Conditions {
		fmt.Fprintf(&b, "; %s=%s (%s: %s)", cond.Type, cond.Status, cond.Reason, cond.Message)
	}
	return b.String()
}

// HasCondition tells how a condition differs from the wanted status and reason; empty when it does not.
func HasCondition(c *v1alpha1.EtcdCluster, kind string, status metav1.ConditionStatus, reason string) string {
	cond := meta.FindStatusCondition(c.Status.Conditions, kind)
	if cond == nil || cond.Status != status || cond.Reason != reason || cond.ObservedGeneration != c.Generation {
		return fmt.Sprintf("want condition %s=%s (%s): %s", kind, status, reason, ShortStatus(c))
	}
	return ""
}

// Mentions tells what the message of a condition lacks; empty when the words are in it.
func Mentions(c *v1alpha1.EtcdCluster, kind, words string) string {
	cond := meta.FindStatusCondition(c.Status.Conditions, kind)
	if cond == nil || !strings.Contains(cond.Message, words) {
		return fmt.Sprintf("the condition %s does not mention %q: %s", kind, words, ShortStatus(c))
	}
	return ""
}

// AwaitGone waits until the object is gone, or is another one of the same name.
func (e *Environment) AwaitGone(ctx context.Context, obj client.Object) error {
	uid, key := obj.GetUID(), client.ObjectKeyFromObject(obj)
	err := Eventually(ctx, func(ctx context.Context) string {
		err := e.Client.Get(ctx, key, obj)
		switch {
		case apierrors.IsNotFound(err):
			return ""
		case err != nil:
			return err.Error()
		case uid != "" && obj.GetUID() != uid:
			return ""
		case obj.GetDeletionTimestamp() == nil:
			return "it is there and not even being deleted"
		default:
			return fmt.Sprintf("it is being deleted; finalizers %v", obj.GetFinalizers())
		}
	})
	if err != nil {
		return fmt.Errorf("%T %s is to go: %w", obj, key, err)
	}
	return nil
}
