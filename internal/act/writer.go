package act

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

// fieldOwner owns the fields that the operator applies.
const fieldOwner = "quorate"

// writer writes for one cluster, and remembers every write until the cache shows it.
type writer struct {
	client.Client
	live     client.Reader
	expect   *Expectations
	observer *observe.Observer
	cluster  *v1alpha1.EtcdCluster
}

func (w *writer) key() client.ObjectKey { return client.ObjectKeyFromObject(w.cluster) }

// create creates the object exclusively: somebody else's object of the same name is an error.
func (w *writer) create(ctx context.Context, obj client.Object) error {
	if err := w.Create(ctx, obj); err != nil {
		return fmt.Errorf("create %s: %w", describe(obj), err)
	}
	w.expect.Wrote(w.key(), obj)
	return nil
}

// change reads the object from the cache, lets mutate change it, and patches the difference at the resource version
// that was read: somebody else's change in between is a conflict. It writes nothing when nothing changed.
func (w *writer) change(ctx context.Context, obj client.Object, uid types.UID, mutate func()) error {
	key := client.ObjectKeyFromObject(obj)
	err := w.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		// It may have lost the label by which the cache selects.
		err = w.live.Get(ctx, key, obj)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", describe(obj), err)
	}
	if uid != "" && obj.GetUID() != uid {
		return fmt.Errorf("%s is another one by now: %w", describe(obj), errChanged)
	}
	before, _ := obj.DeepCopyObject().(client.Object)
	mutate()
	if equality.Semantic.DeepEqual(before, obj) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := w.Patch(ctx, obj, patch); err != nil {
		return fmt.Errorf("change %s: %w", describe(obj), err)
	}
	w.expect.Wrote(w.key(), obj)
	return nil
}

// update replaces the object, at the resource version that it carries.
func (w *writer) update(ctx context.Context, obj client.Object) error {
	if err := w.Update(ctx, obj); err != nil {
		return fmt.Errorf("update %s: %w", describe(obj), err)
	}
	w.expect.Wrote(w.key(), obj)
	return nil
}

// remove deletes exactly this object, and only if it is as it was seen.
func (w *writer) remove(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	uid, version := obj.GetUID(), obj.GetResourceVersion()
	pre := metav1.Preconditions{UID: &uid}
	if version != "" {
		pre.ResourceVersion = &version
	}
	err := w.Delete(ctx, obj, append(opts, client.Preconditions(pre))...)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", describe(obj), err)
	}
	w.expect.Deleted(w.key(), obj)
	return nil
}

// kept is an object that the cluster owns and keeps as desired.
type kept struct {
	desired client.Object
	// seen is an empty object of the same kind, to read into.
	seen client.Object
	// same tells that the spec of seen is as desired, apart from defaults; mend makes it so.
	same func() bool
	mend func()
}

// apply keeps an object as desired. It writes only when what the operator wants has changed (by server-side apply), or
// when somebody changed it in the object. That is mended by a patch: applying would merge lists such as the ports of a
// Service with what somebody else put there.
func (w *writer) apply(ctx context.Context, k kept) error {
	desired, seen := k.desired, k.seen
	hash, err := hashOf(desired)
	if err != nil {
		return err
	}
	desired.SetAnnotations(merged(desired.GetAnnotations(), map[string]string{resources.AnnotationDesired: hash}))
	key := client.ObjectKeyFromObject(desired)
	err = w.Get(ctx, key, seen)
	if apierrors.IsNotFound(err) {
		// The cache selects by label: an object of somebody else with this name does not show in it.
		err = w.live.Get(ctx, key, seen)
		if err == nil && w.cached(seen) {
			return fmt.Errorf("%s is not in the cache yet: %w", describe(desired), errChanged)
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		return w.applyNow(ctx, desired)
	case err != nil:
		return fmt.Errorf("read %s: %w", describe(desired), err)
	case metav1.GetControllerOf(seen) == nil && seen.GetLabels()[resources.LabelCluster] == w.cluster.Name:
		// Left by a predecessor that was deleted without its dependents: applying makes it this cluster's.
		if err := w.mayAdopt(ctx, seen); err != nil {
			return err
		}
	case !metav1.IsControlledBy(seen, w.cluster):
		return fmt.Errorf("%s belongs to something else: delete or rename it: %w", describe(desired), ErrConflict)
	case seen.GetDeletionTimestamp() != nil:
		// Its finalizers may keep it for long, and its end is an event.
		return &RefusedError{Blocked: []plan.Blocked{{
			Reason:  v1alpha1.ReasonWaiting,
			Message: describe(desired) + " is being deleted, and is made anew once it is gone: its finalizers keep it",
		}}}
	case seen.GetAnnotations()[resources.AnnotationDesired] == hash:
		return w.mend(ctx, k)
	}
	// Another operator that is ahead of this one's cache may have raised a budget: a conflict then.
	desired.SetResourceVersion(seen.GetResourceVersion())
	return w.applyNow(ctx, desired)
}

// cached tells that the object is one that the cache holds once it is up to date: whoever found it missing there has
// decided on an older cluster.
func (w *writer) cached(o client.Object) bool {
	return o.GetLabels()[resources.LabelCluster] == w.cluster.Name && metav1.IsControlledBy(o, w.cluster)
}

// mend patches what somebody changed.
func (w *writer) mend(ctx context.Context, k kept) error {
	if k.same() && equality.Semantic.DeepDerivative(k.desired.GetLabels(), k.seen.GetLabels()) &&
		equality.Semantic.DeepDerivative(k.desired.GetAnnotations(), k.seen.GetAnnotations()) {
		return nil
	}
	return w.change(ctx, k.seen, k.seen.GetUID(), func() {
		k.mend()
		k.seen.SetLabels(merged(k.seen.GetLabels(), k.desired.GetLabels()))
		k.seen.SetAnnotations(merged(k.seen.GetAnnotations(), k.desired.GetAnnotations()))
	})
}

func (w *writer) applyNow(ctx context.Context, desired client.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return fmt.Errorf("convert %s: %w", describe(desired), err)
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	err = w.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldOwner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s: %w", describe(desired), err)
	}
	desired.SetUID(u.GetUID())
	desired.SetResourceVersion(u.GetResourceVersion())
	w.expect.Wrote(w.key(), desired)
	return nil
}

// merged is over laid over base; both stay as they are.
func merged(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = make(map[string]string, len(over))
	}
	maps.Copy(out, over)
	return out
}

func hashOf(obj client.Object) (string, error) {
	b, err := json.Marshal(obj)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", describe(obj), err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

func describe(obj client.Object) string {
	return fmt.Sprintf("%s %s", kindOf(obj), obj.GetName())
}
