package observe

import (
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// A restore brings back claims with their records but with data of another bootstrap: no list of this cluster can
// speak of their members, so they are neither started, nor retired, nor deleted.
func TestDataOfAnotherBootstrapIsReportedAndLeftAlone(t *testing.T) {
	c := &state.Cluster{Object: &v1alpha1.EtcdCluster{}, Latch: &state.Latch{Generation: 2, Token: "mine-2", Formed: true}}
	join(c, objects{volumes: []state.Volume{
		{Name: "restored", Generation: 1, Token: "theirs-1", Started: true},
		{Name: "retired theirs", Generation: 1, Token: "theirs-1", Retired: true},
		{Name: "of an earlier generation", Generation: 1, Token: "mine-1"},
	}}, answers{})
	if len(c.Leftovers.Foreign) != 1 || c.Leftovers.Foreign[0].Name != "restored" {
		t.Errorf("foreign %v, want the restored claim", c.Leftovers.Foreign)
	}
	if len(c.Leftovers.Volumes) != 1 || c.Leftovers.Volumes[0].Name != "of an earlier generation" {
		t.Errorf("leftovers %v, want the claim of the earlier generation of this lineage", c.Leftovers.Volumes)
	}
	if len(c.Members) != 0 {
		t.Errorf("members %v, want none", c.Members)
	}
}
