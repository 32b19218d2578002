package act

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

var errNoCertManager = fmt.Errorf("cert-manager is not installed: install it, or choose another tls.mode: %w",
	ErrConflict)

// requestCertificates keeps the Certificates of cert-manager, which are read live: the operator does not watch kinds
// that may not be installed.
func requestCertificates(ctx context.Context, w *writer, c *state.Cluster) error {
	for _, name := range state.CertificateNames() {
		desired := resources.CertManagerCertificate(w.cluster, name, c.TLS.Certificates[name].Wanted)
		seen := &unstructured.Unstructured{}
		seen.SetGroupVersionKind(desired.GroupVersionKind())
		err := w.live.Get(ctx, client.ObjectKeyFromObject(desired), seen)
		switch {
		case meta.IsNoMatchError(err):
			return errNoCertManager
		case apierrors.IsNotFound(err):
			err := w.Create(ctx, desired)
			if apierrors.IsNotFound(err) {
				return errNoCertManager // its kinds were removed while the operator ran, whose client remembers them
			}
			if err != nil {
				return fmt.Errorf("create %s: %w", describe(desired), err)
			}
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", describe(desired), err)
		case seen.GetLabels()[resources.LabelCluster] != w.cluster.Name,
			metav1.GetControllerOf(seen) != nil && !metav1.IsControlledBy(seen, w.cluster):
			return fmt.Errorf("%s belongs to something else: delete or rename it: %w", describe(desired), ErrConflict)
		case metav1.IsControlledBy(seen, w.cluster) && sameNames(desired, seen) &&
			equality.Semantic.DeepDerivative(desired.Object["spec"], seen.Object["spec"]):
			continue
		}
		if err := w.mayAdopt(ctx, seen); err != nil {
			return err
		}
		before := seen.DeepCopy()
		seen.Object["spec"] = desired.Object["spec"]
		seen.SetOwnerReferences(desired.GetOwnerReferences())
		seen.SetLabels(merged(seen.GetLabels(), desired.GetLabels()))
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := w.Patch(ctx, seen, patch); err != nil {
			return fmt.Errorf("change %s: %w", describe(desired), err)
		}
	}
	return nil
}

// sameNames compares the lists, which a derivative takes to be equal when the wanted one is empty.
func sameNames(desired, seen *unstructured.Unstructured) bool {
	for _, field := range []string{"dnsNames", "ipAddresses", "usages"} {
		want, _, _ := unstructured.NestedStringSlice(desired.Object, "spec", field)
		has, _, _ := unstructured.NestedStringSlice(seen.Object, "spec", field)
		if !slices.Equal(want, has) {
			return false
		}
	}
	return true
}
