// Package kubetest is Kubernetes in memory for tests, and what it holds of a cluster that speaks TLS.
package kubetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/quorate/quorate/api/v1alpha1"
)

// CertManagerCertificate is the kind by which certificates are asked of cert-manager.
var CertManagerCertificate = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}

// API is an API server with optimistic concurrency. Beyond what the fake client of controller-runtime does, it gives
// UIDs, honours them as preconditions, and refuses the changes of Secrets and ConfigMaps that Kubernetes refuses.
type API struct {
	client.WithWatch

	// Before is called before each write ("create", "update", "patch", "resize", "apply", "delete") of an object and each
	// dry run ("try to create"), with the client behind the API, which calls it no more. An error is the answer. It may be
	// nil.
	Before func(ctx context.Context, behind client.WithWatch, verb string, obj client.Object) error
	// Writes that succeeded, such as "create Secret demo-peer-ca".
	Writes []string

	uids int
}

// New is an API server that holds the objects.
func New(t testing.TB, objects ...client.Object) *API {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatalf("register kinds: %v", err)
		}
	}
	scheme.AddKnownTypeWithName(CertManagerCertificate, &unstructured.Unstructured{})
	list := CertManagerCertificate.GroupVersion().WithKind("CertificateList")
	scheme.AddKnownTypeWithName(list, &unstructured.UnstructuredList{})
	behind := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.EtcdCluster{}, &corev1.Pod{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}).
		Build()
	a := &API{}
	a.WithWatch = interceptor.NewClient(behind, interceptor.Funcs{
		Create: a.create, Update: a.update, Patch: a.patch, Delete: a.remove, Apply: a.apply, SubResourcePatch: a.resize,
	})
	return a
}

func (a *API) create(
	ctx context.Context, behind client.WithWatch, obj client.Object, opts ...client.CreateOption,
) error {
	var o client.CreateOptions
	o.ApplyOptions(opts)
	if slices.Contains(o.DryRun, metav1.DryRunAll) {
		return a.tryCreate(ctx, behind, obj)
	}
	if obj.GetUID() == "" {
		a.uids++
		obj.SetUID(types.UID(fmt.Sprintf("uid-made-%d", a.uids)))
	}
	return a.write(ctx, behind, "create", obj, func() error { return behind.Create(ctx, obj, opts...) })
}

// tryCreate answers a dry run, which stores nothing: whether the object exists is looked at after all else.
func (a *API) tryCreate(ctx context.Context, behind client.WithWatch, obj client.Object) error {
	if a.Before != nil {
		if err := a.Before(ctx, behind, "try to create", obj); err != nil {
			return err
		}
	}
	if _, err := stored(ctx, behind, obj); !apierrors.IsNotFound(err) {
		if err != nil {
			return err
		}
		resource := schema.GroupResource{Resource: strings.ToLower(kindOf(obj, behind)) + "s"}
		return apierrors.NewAlreadyExists(resource, obj.GetName())
	}
	return nil
}

func (a *API) update(
	ctx context.Context, behind client.WithWatch, obj client.Object, opts ...client.UpdateOption,
) error {
	return a.write(ctx, behind, "update", obj, func() error {
		if err := mayUpdate(ctx, behind, obj); err != nil {
			return err
		}
		return behind.Update(ctx, obj, opts...)
	})
}

func (a *API) patch(
	ctx context.Context, behind client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
) error {
	return a.write(ctx, behind, "patch", obj, func() error { return behind.Patch(ctx, obj, patch, opts...) })
}

// resize patches a Pod through its subresource of that name.
func (a *API) resize(
	ctx context.Context, behind client.Client, subresource string, obj client.Object, patch client.Patch,
	_ ...client.SubResourcePatchOption,
) error {
	writing, ok := behind.(client.WithWatch)
	if !ok || subresource != "resize" {
		return fmt.Errorf("subresource %s", subresource)
	}
	return a.write(ctx, writing, "resize", obj, func() error { return behind.Patch(ctx, obj, patch) })
}

func (a *API) apply(
	ctx context.Context, behind client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption,
) error {
	applied, ok := obj.(client.Object)
	if !ok {
		return fmt.Errorf("%T is not an object", obj)
	}
	return a.write(ctx, behind, "apply", applied, func() error { return behind.Apply(ctx, obj, opts...) })
}

func (a *API) remove(
	ctx context.Context, behind client.WithWatch, obj client.Object, opts ...client.DeleteOption,
) error {
	return a.write(ctx, behind, "delete", obj, func() error {
		var o client.DeleteOptions
		o.ApplyOptions(opts)
		if o.Preconditions != nil && o.Preconditions.UID != nil {
			seen, err := stored(ctx, behind, obj)
			if err == nil && seen.GetUID() != *o.Preconditions.UID {
				return apierrors.NewConflict(schema.GroupResource{}, obj.GetName(), fmt.Errorf("the UID is %s", seen.GetUID()))
			}
		}
		return behind.Delete(ctx, obj, opts...)
	})
}

func (a *API) write(
	ctx context.Context, behind client.WithWatch, verb string, obj client.Object, do func() error,
) error {
	if a.Before != nil {
		if err := a.Before(ctx, behind, verb, obj); err != nil {
			return err
		}
	}
	what := verb + " " + kindOf(obj, behind) + " " + obj.GetName()
	if err := do(); err != nil {
		return err
	}
	a.Writes = append(a.Writes, what)
	return nil
}

// Wrote are the writes of objects whose name begins with the prefix.
func (a *API) Wrote(prefix string) []string {
	return slices.DeleteFunc(slices.Clone(a.Writes), func(w string) bool {
		return !strings.HasPrefix(w[strings.LastIndex(w, " ")+1:], prefix)
	})
}

func kindOf(obj client.Object, c client.Client) string {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return fmt.Sprintf("%T", obj)
	}
	return gvk.Kind
}

// mayUpdate refuses what the API server refuses: a change of a Secret's type, and of anything immutable.
func mayUpdate(ctx context.Context, behind client.Client, obj client.Object) error {
	seen, err := stored(ctx, behind, obj)
	if err != nil {
		return nil //nolint:nilerr // the update itself tells
	}
	kind := schema.GroupKind{Kind: kindOf(obj, behind)}
	switch was := seen.(type) {
	case *corev1.Secret:
		if is, ok := obj.(*corev1.Secret); ok && is.Type != was.Type {
			return apierrors.NewInvalid(kind, obj.GetName(), nil)
		}
	case *corev1.ConfigMap:
		is, ok := obj.(*corev1.ConfigMap)
		if ok && was.Immutable != nil && *was.Immutable && !equality.Semantic.DeepEqual(was.Data, is.Data) {
			return apierrors.NewInvalid(kind, obj.GetName(), nil)
		}
	}
	return nil
}

func stored(ctx context.Context, behind client.Client, obj client.Object) (client.Object, error) {
	seen, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", obj)
	}
	return seen, behind.Get(ctx, client.ObjectKeyFromObject(obj), seen)
}
