//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestClustersWhoseNamesPrefixEachOtherDoNotMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.create("demo", spec(3))
	other := w.create("demo-0", spec(3, reclaim(v1alpha1.ReclaimDelete)))
	demo.ready()
	other.ready()
	ids := demo.ids()
	writing, otherWriting := demo.write(), other.write()

	other.scale(1)
	other.ready()
	otherWriting.nothingLost()
	demo.sameMembers(ids)
	old := demo.pod("demo-0")
	demo.deletePod("demo-0", 0)
	demo.replaced(old)
	other.delete()
	other.onlyLeft(map[string]int{})
	writing.goesOn()
	demo.ready()
	demo.sameMembers(ids)
	writing.nothingLost()
}

func TestManyClustersInANamespaceFormAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var clusters []*cluster
	for i := range 6 {
		clusters = append(clusters, w.create(fmt.Sprintf("many-%d", i), spec([]int32{1, 3}[i%2])))
	}
	seen := map[string]string{}
	for _, c := range clusters {
		id := *c.ready().Status.ClusterID
		if twin, found := seen[id]; found {
			t.Errorf("%s and %s have the same cluster ID %s", twin, c.key.Name, id)
		}
		seen[id] = c.key.Name
	}
	var filled []data
	for _, c := range clusters {
		filled = append(filled, c.fill())
	}
	for i, c := range clusters {
		c.holds(filled[i])
		c.empty(filled[(i+1)%len(filled)])
	}
}
