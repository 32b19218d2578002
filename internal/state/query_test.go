package state_test

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestFreeSlot(t *testing.T) {
	tests := map[string]struct {
		cluster *statetest.Builder
		slot    int
	}{
		"is the first of a cluster without members": {statetest.Fresh(), 0},
		"comes after the members":                   {statetest.Formed(3), 3},
		"is a gap": {
			statetest.Formed(3).With(func(c *state.Cluster) { c.Members = append(c.Members[:1], c.Members[2:]...) }), 1,
		},
		"is none that a learner holds":                      {statetest.Formed(3).Learner(3), 4},
		"is none that a former member's Pod holds":          {statetest.Formed(3).LeftoverPod(3), 4},
		"may be one of which only a retired volume is left": {statetest.Formed(3).LeftoverVolume(3, true), 3},
		"is none whose Pod's name belongs to something else": {
			statetest.Formed(3).With(func(c *state.Cluster) {
				c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: "demo-3"}}
			}), 4,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.cluster.Build().FreeSlot(); got != test.slot {
				t.Errorf("the free slot is %d, want %d", got, test.slot)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := statetest.Fresh().With(func(c *state.Cluster) { c.Object.Spec.Replicas = nil }).Build()
	if c.Replicas() != 3 || c.ReclaimPolicy() != v1alpha1.ReclaimRetain || c.Ephemeral() ||
		c.Version() != statetest.Version {
		t.Errorf("defaults are %d replicas, %s, ephemeral %t, version %s", c.Replicas(), c.ReclaimPolicy(), c.Ephemeral(),
			c.Version())
	}
	c = statetest.Ephemeral(3).Build()
	if c.ReclaimPolicy() != v1alpha1.ReclaimDelete {
		t.Errorf("ephemeral data is kept: %s", c.ReclaimPolicy())
	}
	c = statetest.Formed(3).With(func(c *state.Cluster) { c.DefaultVersion = "3.7.3" }).Build()
	if c.Version() != statetest.Version {
		t.Errorf("the version %s follows the operator's default", c.Version())
	}
	c = statetest.Formed(3).Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To("3.7.3") }).Build()
	if c.Version() != "3.7.3" {
		t.Errorf("the version %s is not the spec's", c.Version())
	}
}
