package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func clone(obj client.Object) client.Object {
	c, _ := obj.DeepCopyObject().(client.Object)
	return c
}

func emptyLike(obj client.Object) client.Object {
	c, _ := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(client.Object)
	return c
}

// set makes into a copy of from; both are of one kind.
func set(into, from client.Object) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(clone(from)).Elem())
}

// part is a field of an object's struct; nil when the kind has none of this name.
func part(obj client.Object, name string) any {
	f := reflect.ValueOf(obj).Elem().FieldByName(name)
	if !f.IsValid() {
		return nil
	}
	return f.Interface()
}

func copyField(into, from client.Object, name string) {
	f := reflect.ValueOf(into).Elem().FieldByName(name)
	if f.IsValid() {
		f.Set(reflect.ValueOf(from).Elem().FieldByName(name))
	}
}

// sorted are the objects of a kind, or all of them if none is given, in the order of their names.
func sorted(objects map[ref]client.Object, kind string) []client.Object {
	refs := make([]ref, 0, len(objects))
	for r := range objects {
		if kind == "" || r.kind == kind {
			refs = append(refs, r)
		}
	}
	slices.SortFunc(refs, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	list := make([]client.Object, 0, len(refs))
	for _, r := range refs {
		list = append(list, objects[r])
	}
	return list
}

func encode(obj any) (map[string]any, error) {
	b, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var content map[string]any
	if err := json.Unmarshal(b, &content); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return content, nil
}

// mergePatch applies an RFC 7386 merge patch.
func mergePatch(into, delta map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for k, v := range delta {
		switch nested, isMap := v.(map[string]any); {
		case v == nil:
			delete(into, k)
		case isMap:
			below, _ := into[k].(map[string]any)
			into[k] = mergePatch(below, nested)
		default:
			into[k] = v
		}
	}
	return into
}
