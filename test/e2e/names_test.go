//go:build e2e

package e2e

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// names are those of the list's objects, sorted.
func names(list client.ObjectList) ([]string, error) {
	var found []string
	err := meta.EachListItem(list, func(obj runtime.Object) error {
		found = append(found, obj.(client.Object).GetName())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the names of a list: %w", err)
	}
	slices.Sort(found)
	return found, nil
}
