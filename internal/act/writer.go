package act

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// fieldOwner owns the fields that the operator applies.
const fieldOwner = "quorate"

// writer writes for one cluster, and remembers every write until the cache shows it.
type writer struct {
	client.Client
	live    client.Reader
	expect  *Expectations
	cluster *v1alpha1.EtcdCluster
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
	if err := w.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
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

// apply keeps an object that the cluster owns as desired, by server-side apply; seen must be an empty object of the
// same kind. It writes only when what the operator wants has changed, or when somebody changed it in the object.
func (w *writer) apply(ctx context.Context, desired, seen client.Object, same func() bool) error {
	hash, err := hashOf(desired)
	if err != nil {
		return err
	}
	desired.SetAnnotations(withHash(desired.GetAnnotations(), hash))
	key := client.ObjectKeyFromObject(desired)
	err = w.Get(ctx, key, seen)
	if apierrors.IsNotFound(err) {
		// The cache selects by label: an object of somebody else with this name does not show in it.
		err = w.live.Get(ctx, key, seen)
	}
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("read %s: %w", describe(desired), err)
	case !metav1.IsControlledBy(seen, w.cluster):
		return fmt.Errorf("%s belongs to something else: delete or rename it: %w", describe(desired), ErrConflict)
	case seen.GetDeletionTimestamp() != nil:
		return fmt.Errorf("%s is being deleted: %w", describe(desired), errChanged)
	case seen.GetAnnotations()[resources.AnnotationDesired] == hash && kept(desired, seen) && same():
		return nil
	}
	return w.applyNow(ctx, desired)
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

// kept tells that the labels, annotations and owner that the operator set are still there.
func kept(desired, seen client.Object) bool {
	return equality.Semantic.DeepDerivative(desired.GetLabels(), seen.GetLabels()) &&
		equality.Semantic.DeepDerivative(desired.GetAnnotations(), seen.GetAnnotations())
}

func withHash(annotations map[string]string, hash string) map[string]string {
	out := map[string]string{resources.AnnotationDesired: hash}
	for k, v := range annotations {
		out[k] = v
	}
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
