package tenant

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Entry is the state of an object at one revision of etcd, which is its resourceVersion.
type Entry struct {
	Revision uint64
	Name     string
	Value    string
}

// Kind is one of the kinds of objects that a Writer writes.
type Kind struct {
	// Resource as in the URL and in the key in etcd.
	Resource string
	// Uncached kinds have no watch cache in the API server: their watches are watches of etcd, and can always resume.
	Uncached bool

	// write writes the value of a round.
	write func(ctx context.Context, objects dynamic.ResourceInterface, r round) (*unstructured.Unstructured, error)
	// value is what was written to an object.
	value func(object *unstructured.Unstructured) string
}

// round is one write.
type round struct {
	namespace string
	n         int
	value     string
}

const (
	// namePrefix is that of all objects that a Writer writes.
	namePrefix = "written-"
	// updated is the name of the one object that is updated.
	updated = namePrefix + "again"
)

// Kinds are ConfigMaps and Events, which are created, and one Secret, which is updated.
func Kinds() []Kind {
	return []Kind{
		{Resource: "configmaps", write: createConfigMap, value: func(o *unstructured.Unstructured) string {
			value, _, _ := unstructured.NestedString(o.Object, "data", "value")
			return value
		}},
		{Resource: "secrets", write: updateSecret, value: func(o *unstructured.Unstructured) string {
			encoded, _, _ := unstructured.NestedString(o.Object, "data", "value")
			value, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return err.Error()
			}
			return string(value)
		}},
		{Resource: "events", Uncached: true, write: createEvent, value: func(o *unstructured.Unstructured) string {
			value, _, _ := unstructured.NestedString(o.Object, "message")
			return value
		}},
	}
}

func (k Kind) of(client dynamic.Interface, namespace string) dynamic.ResourceInterface {
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: k.Resource}).Namespace(namespace)
}

func (k Kind) entry(o *unstructured.Unstructured) (Entry, error) {
	revision, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("resourceVersion of %s %s: %w", k.Resource, o.GetName(), err)
	}
	return Entry{revision, o.GetName(), k.value(o)}, nil
}

// list returns the objects that a Writer has written, by name, and the revision of the list.
func (k Kind) list(ctx context.Context, client dynamic.Interface, namespace string) (map[string]Entry, uint64, error) {
	list, err := k.of(client, namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", k.Resource, err)
	}
	revision, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("resourceVersion of a list of %s: %w", k.Resource, err)
	}
	entries := map[string]Entry{}
	for i := range list.Items {
		if !strings.HasPrefix(list.Items[i].GetName(), namePrefix) {
			continue
		}
		if entries[list.Items[i].GetName()], err = k.entry(&list.Items[i]); err != nil {
			return nil, 0, err
		}
	}
	return entries, revision, nil
}

func (r round) object(kind string, content map[string]any) *unstructured.Unstructured {
	content["apiVersion"], content["kind"] = "v1", kind
	content["metadata"] = map[string]any{"name": fmt.Sprintf("%s%06d", namePrefix, r.n)}
	return &unstructured.Unstructured{Object: content}
}

func createConfigMap(
	ctx context.Context, objects dynamic.ResourceInterface, r round,
) (*unstructured.Unstructured, error) {
	return create(ctx, objects, r.object("ConfigMap", map[string]any{"data": map[string]any{"value": r.value}}))
}

func createEvent(
	ctx context.Context, objects dynamic.ResourceInterface, r round,
) (*unstructured.Unstructured, error) {
	return create(ctx, objects, r.object("Event", map[string]any{
		"message": r.value, "reason": "Written", "type": "Normal", "source": map[string]any{"component": "writer"},
		"involvedObject": map[string]any{"kind": "Secret", "name": updated, "namespace": r.namespace},
	}))
}

// create creates an object, or finds it where an earlier attempt has created it without an answer.
func create(
	ctx context.Context, objects dynamic.ResourceInterface, o *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	created, err := objects.Create(ctx, o, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return objects.Get(ctx, o.GetName(), metav1.GetOptions{})
	}
	return created, err
}

func updateSecret(
	ctx context.Context, objects dynamic.ResourceInterface, r round,
) (*unstructured.Unstructured, error) {
	patch := fmt.Sprintf(`{"stringData":{"value":%q}}`, r.value)
	return objects.Patch(ctx, updated, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
}
