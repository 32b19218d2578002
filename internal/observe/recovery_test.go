package observe

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func TestVolumesOfARecoveryBelongToIt(t *testing.T) {
	volumes := []state.Volume{
		{Name: "lost", Token: "lost-1", Generation: 1, Started: true},
		{Name: "lost and kept", Token: "lost-1", Generation: 1, Retired: true},
		{Name: "new", Token: "new-2", Generation: 2},
		{Name: "strange", Token: "strange-1", Generation: 1},
	}
	tests := map[string]struct {
		latch            *state.Latch
		members, foreign int
		volume           string
		former           int
	}{
		"before the new cluster takes the lost one's place its volume is no member's": {
			latch: &state.Latch{Token: "lost-1", Generation: 1, Formed: true}, members: 1, foreign: 1, volume: "new",
		},
		"after it the lost one's are no members', until they are marked": {
			latch: &state.Latch{Token: "new-2", Generation: 2, Formed: true}, members: 1, foreign: 1, former: 1,
		},
		"without a latch nothing tells": {members: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := &state.Cluster{Object: &v1alpha1.EtcdCluster{}, Latch: test.latch, Recoveries: []*state.Recovery{
				{From: "lost-1", To: "new-2", Loss: state.QuorumLoss{ID: "1"}},
			}}
			join(c, objects{volumes: volumes}, answers{})
			r := c.Recoveries[0]
			got := ""
			if r.Volume != nil {
				got = r.Volume.Name
			}
			if len(c.Members) != test.members || len(c.Leftovers.Foreign) != test.foreign || got != test.volume ||
				len(r.Former) != test.former {
				t.Errorf("%d members, foreign %v, the volume %q, former %v; want %d, %d, %q, %d", len(c.Members),
					c.Leftovers.Foreign, got, r.Former, test.members, test.foreign, test.volume, test.former)
			}
		})
	}
}

func TestAPodThatReadsAVolumeIsWaitedForOnlyIfItIsAnothers(t *testing.T) {
	tests := map[string]struct {
		owner                types.UID
		inspections, foreign int
	}{
		"its own":                    {owner: "own", inspections: 1},
		"an orphan's":                {inspections: 1},
		"that of a former cluster's": {owner: "former", foreign: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "demo", UID: "own"}}
			pod := resources.InspectionPod(object, "quorate:v1", "demo-0-a", "uid", "")
			pod.OwnerReferences = nil
			if test.owner != "" {
				pod.OwnerReferences = []metav1.OwnerReference{{UID: test.owner, Controller: new(true)}}
			}
			c := &state.Cluster{Object: object}
			if !takeHelper(c, pod, &objects{}) {
				t.Fatal("it is taken for a member's")
			}
			if len(c.Inspections) != test.inspections || len(c.Leftovers.Foreign) != test.foreign {
				t.Errorf("%d inspections, foreign %v; want %d, %d", len(c.Inspections), c.Leftovers.Foreign, test.inspections,
					test.foreign)
			}
		})
	}
}

func TestAPodThatSalvagesForNobodyIsGivenUp(t *testing.T) {
	name := resources.SalvageName("", "1")
	c := &state.Cluster{Object: &v1alpha1.EtcdCluster{}, Latch: &state.Latch{Token: "lost-1"}, Recoveries: []*state.Recovery{
		{From: "lost-1", To: "new-2", Loss: state.QuorumLoss{ID: "1"}},
	}}
	join(c, objects{salvages: map[string]state.Salvage{name: {Pod: name}, "other": {Pod: "other"}}}, answers{})
	if c.Recoveries[0].Salvage == nil || c.Recoveries[0].Salvage.Pod != name {
		t.Errorf("the salvage of the recovery is %v, want %s", c.Recoveries[0].Salvage, name)
	}
	if len(c.GivenUp) != 1 || c.GivenUp[0].Pod != "other" {
		t.Errorf("given up %v, want the other Pod", c.GivenUp)
	}
}
