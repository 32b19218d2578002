// Package sim runs the real reconciler against a model of Kubernetes and of etcd, under schedules of faults that are
// drawn at random, and checks after every action that nothing happened that must never happen.
package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ref names an object.
type ref struct{ kind, namespace, name string }

func refOf(obj client.Object) ref {
	return ref{kindOf(obj), obj.GetNamespace(), obj.GetName()}
}

func kindOf(obj any) string { return reflect.TypeOf(obj).Elem().Name() }

func (r ref) resource() schema.GroupResource { return schema.GroupResource{Resource: r.kind} }

// change is one entry of a kind's history, from which caches are fed. A nil object is a deletion.
type change struct {
	ref ref
	obj client.Object
	at  time.Time
}

// store is the API server: objects with optimistic concurrency, finalization and history.
type store struct {
	now func() time.Time
	// refuseSize tells why another size of a claim is refused, and whether admission does it.
	refuseSize func(old, now *corev1.PersistentVolumeClaim) (why string, forbidden bool)
	objects    map[ref]client.Object
	history    map[string][]change
	version    uint64
}

func newStore(now func() time.Time) *store {
	return &store{now: now, objects: map[ref]client.Object{}, history: map[string][]change{}}
}

func (s *store) put(obj client.Object) {
	s.version++
	obj.SetResourceVersion(strconv.FormatUint(s.version, 10))
	r := refOf(obj)
	s.objects[r] = clone(obj)
	s.history[r.kind] = append(s.history[r.kind], change{r, s.objects[r], s.now()})
}

func (s *store) drop(r ref) {
	s.version++
	delete(s.objects, r)
	s.history[r.kind] = append(s.history[r.kind], change{r, nil, s.now()})
}

// at is the object as it was at a time; nil when there was none.
func (s *store) at(r ref, then time.Time) client.Object {
	for _, ch := range slices.Backward(s.history[r.kind]) {
		if ch.ref == r && !ch.at.After(then) {
			return ch.obj
		}
	}
	return nil
}

// tryCreate tells what create would answer.
func (s *store) tryCreate(obj client.Object) error {
	if r := refOf(obj); s.objects[r] != nil {
		return apierrors.NewAlreadyExists(r.resource(), r.name)
	}
	return nil
}

func (s *store) create(obj client.Object) error {
	if err := s.tryCreate(obj); err != nil {
		return err
	}
	obj.SetUID(types.UID(fmt.Sprintf("uid-%d", s.version+1)))
	obj.SetCreationTimestamp(metav1.NewTime(s.now()))
	obj.SetGeneration(1)
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	s.put(obj)
	return nil
}

// update replaces all but the status, or the status alone.
func (s *store) update(obj client.Object, status bool) error {
	r := refOf(obj)
	old := s.objects[r]
	if old == nil {
		return apierrors.NewNotFound(r.resource(), r.name)
	}
	if obj.GetUID() != "" && obj.GetUID() != old.GetUID() ||
		obj.GetResourceVersion() != "" && obj.GetResourceVersion() != old.GetResourceVersion() {
		return apierrors.NewConflict(r.resource(), r.name, fmt.Errorf("the object has been modified"))
	}
	if !status {
		if err := checkImmutable(obj, old); err != nil {
			return err
		}
		if err := s.checkSize(obj, old); err != nil {
			return err
		}
	}
	return s.replace(obj, status)
}

// resize changes cpu and memory of a Pod.
func (s *store) resize(pod *corev1.Pod) error {
	old, exists := s.objects[refOf(pod)].(*corev1.Pod)
	if !exists {
		return apierrors.NewNotFound(refOf(pod).resource(), pod.Name)
	}
	if why := mayResize(old, pod); why != "" {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, pod.Name, field.ErrorList{
			field.Forbidden(field.NewPath("spec"), why),
		})
	}
	return s.replace(pod, false)
}

// replace is update without what the API server validates.
func (s *store) replace(obj client.Object, status bool) error {
	old := s.objects[refOf(obj)]
	merged, other := clone(obj), clone(old)
	if status {
		merged, other = other, merged
	}
	copyField(merged, other, "Status")
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	merged.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	merged.SetUID(old.GetUID())
	merged.SetCreationTimestamp(old.GetCreationTimestamp())
	merged.SetResourceVersion(old.GetResourceVersion())
	merged.SetGeneration(old.GetGeneration())
	if !reflect.DeepEqual(part(merged, "Spec"), part(old, "Spec")) {
		merged.SetGeneration(old.GetGeneration() + 1)
	}
	if !reflect.DeepEqual(merged, old) {
		s.put(merged)
	}
	set(obj, s.objects[refOf(obj)])
	return nil
}

// checkImmutable refuses what the API server refuses: another type of a Secret, other data in an immutable ConfigMap,
// another spec of a Pod or claim.
func checkImmutable(obj, old client.Object) error {
	valid := true
	switch o := old.(type) {
	case *corev1.Secret:
		now, _ := obj.(*corev1.Secret)
		valid = now.Type == o.Type
	case *corev1.ConfigMap:
		now, _ := obj.(*corev1.ConfigMap)
		valid = !ptr.Deref(o.Immutable, false) || ptr.Deref(now.Immutable, false) && reflect.DeepEqual(now.Data, o.Data)
	case *corev1.Pod:
		now, _ := obj.(*corev1.Pod)
		valid = mayChange(o, now) == ""
	case *corev1.PersistentVolumeClaim:
		now, _ := obj.(*corev1.PersistentVolumeClaim)
		spec := *now.Spec.DeepCopy()
		spec.Resources = o.Spec.Resources
		valid = equal(spec, o.Spec)
	}
	if !valid {
		return apierrors.NewInvalid(schema.GroupKind{Kind: kindOf(old)}, old.GetName(), nil)
	}
	return nil
}

// checkSize refuses sizes of claims that the API server refuses.
func (s *store) checkSize(obj, old client.Object) error {
	was, isClaim := old.(*corev1.PersistentVolumeClaim)
	now, _ := obj.(*corev1.PersistentVolumeClaim)
	if !isClaim {
		return nil
	}
	why, forbidden := s.refuseSize(was, now)
	switch {
	case why == "":
		return nil
	case forbidden:
		return apierrors.NewForbidden(refOf(old).resource(), old.GetName(), errors.New(why))
	default:
		return apierrors.NewInvalid(schema.GroupKind{Kind: kindOf(old)}, old.GetName(), field.ErrorList{
			field.Forbidden(field.NewPath("spec", "resources", "requests", "storage"), why),
		})
	}
}

// patch applies a JSON merge patch, and writes the result by update or resize.
func (s *store) patch(obj client.Object, data []byte, write func(client.Object) error) error {
	r := refOf(obj)
	old := s.objects[r]
	if old == nil {
		return apierrors.NewNotFound(r.resource(), r.name)
	}
	var delta map[string]any
	if err := json.Unmarshal(data, &delta); err != nil {
		return fmt.Errorf("decode the patch: %w", err)
	}
	content, err := encode(old)
	if err != nil {
		return err
	}
	merged, err := json.Marshal(mergePatch(content, delta))
	if err != nil {
		return fmt.Errorf("encode the patched object: %w", err)
	}
	result := emptyLike(obj)
	if err := json.Unmarshal(merged, result); err != nil {
		return fmt.Errorf("decode the patched object: %w", err)
	}
	if err := write(result); err != nil {
		return err
	}
	set(obj, result)
	return nil
}

// remove deletes as Kubernetes does: a Pod on a node ends first, a claim waits until no Pod uses it, a volume until its
// claim is gone.
func (s *store) remove(r ref, pre *metav1.Preconditions, force bool) error {
	old := s.objects[r]
	if old == nil {
		return apierrors.NewNotFound(r.resource(), r.name)
	}
	if pre != nil && (pre.UID != nil && *pre.UID != old.GetUID() ||
		pre.ResourceVersion != nil && *pre.ResourceVersion != old.GetResourceVersion()) {
		return apierrors.NewConflict(r.resource(), r.name, fmt.Errorf("the precondition failed"))
	}
	pod, isPod := old.(*corev1.Pod)
	_, isClaim := old.(*corev1.PersistentVolumeClaim)
	_, isVolume := old.(*corev1.PersistentVolume)
	if force || !isClaim && !isVolume && (!isPod || pod.Spec.NodeName == "") {
		s.drop(r)
		return nil
	}
	if old.GetDeletionTimestamp() == nil {
		marked := clone(old)
		now := metav1.NewTime(s.now())
		marked.SetDeletionTimestamp(&now)
		s.put(marked)
	}
	return nil
}

// all objects of a kind, in the order of their names so that a run can be repeated.
func all[T client.Object](s *store) []T {
	list := view[T](s)
	for i, t := range list {
		list[i], _ = clone(t).(T)
	}
	return list
}

// view is all, without copies: only to be read.
func view[T client.Object](s *store) []T {
	var zero T
	kind := kindOf(zero)
	var list []T
	for r, obj := range s.objects {
		if t, ok := obj.(T); ok && r.kind == kind {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b T) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	})
	return list
}

func get[T client.Object](s *store, namespace, name string) (T, bool) {
	var zero T
	obj := s.objects[ref{kindOf(zero), namespace, name}]
	if obj == nil {
		return zero, false
	}
	t, ok := clone(obj).(T)
	return t, ok
}
