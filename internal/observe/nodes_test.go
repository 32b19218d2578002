package observe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// manyNodes is an API server with so many nodes, each with a list of images, that gives no more than it is asked for; or a
// cache, which says that it cannot continue (sigs.k8s.io/controller-runtime pkg/cache/internal, CacheReader.List).
type manyNodes struct {
	client.Reader
	nodes  int
	cached bool
	pages  *[]int
}

func (m manyNodes) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if m.cached && o.Continue != "" {
		return errors.New("continue list option is not supported by the cache")
	}
	first, _ := strconv.Atoi(o.Continue) // none is the first page
	end := m.nodes
	if o.Limit > 0 {
		end = min(end, first+int(o.Limit))
	}
	list, ok := into.(*corev1.NodeList)
	if !ok {
		return fmt.Errorf("it lists %T", into)
	}
	for i := first; i < end; i++ {
		node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("node-", i)}}
		node.Status.Images = []corev1.ContainerImage{{Names: []string{"image"}}}
		list.Items = append(list.Items, node)
	}
	if end < m.nodes {
		list.Continue = strconv.Itoa(end)
	}
	if m.cached {
		list.Continue = "continue-not-supported"
	}
	*m.pages = append(*m.pages, len(list.Items))
	return nil
}

func TestNodesAreReadLiveInPages(t *testing.T) {
	for name, row := range map[string]struct {
		live bool
		want string
	}{
		"from the API server": {live: true, want: "[250 250 100]"},
		"not from a cache, which would leave out all but the first": {want: "[600]"},
	} {
		t.Run(name, func(t *testing.T) {
			var pages []int
			reader := manyNodes{nodes: 600, cached: !row.live, pages: &pages}
			o := &Observer{}
			if row.live {
				o.Live = reader
			}
			c := statetest.Formed(3).With(func(c *state.Cluster) { c.Nodes = map[string]state.Node{} }).Build()
			nodes, err := o.listNodes(t.Context(), reader, c)
			if err != nil {
				t.Fatal(err)
			}
			if len(nodes) != 600 || len(c.Nodes) != 600 {
				t.Errorf("%d nodes are listed and %d known, want 600", len(nodes), len(c.Nodes))
			}
			if got := fmt.Sprint(pages); got != row.want {
				t.Errorf("read in pages of %s, want %s", got, row.want)
			}
			if nodes[0].Status.Images != nil {
				t.Errorf("images are kept: %v", nodes[0].Status.Images)
			}
		})
	}
}
