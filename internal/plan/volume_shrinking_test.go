package plan_test

import (
	"testing"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// Of a volume of 4Gi a database may take the quota that follows from it, 1.6Gi.
func TestMembersMoveToSmallerVolumes(t *testing.T) {
	const why = "its volume has 8Gi and storage.size asks for 4Gi"
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi").Spec(sizeOf("4Gi")) }
	surge := func(m *state.Member) { m.Volume.Surge = true }
	four := func() *statetest.Builder {
		return statetest.Formed(4).Replicas(3).Volumes("8Gi").Spec(sizeOf("4Gi")).Grown("4Gi", 3).Budget(4).Member(3, surge)
	}
	before := resumed(3, 1)
	before.Incarnation.QuotaSize = 8 * gib
	recorded := func(size int64) func(*state.Cluster) {
		return func(c *state.Cluster) {
			for _, m := range c.Members {
				m.Volume.SizeInSpec = size
			}
		}
	}
	asIs := []string{"MovingMember: the volumes have 8Gi and storage.size asks for 4Gi: they stay, because it was not"}
	stays := func(from string) []string {
		return []string{"MovingMember: the volumes have 8Gi and storage.size asks for 4Gi, where the database could take " + from}
	}
	scenarios{
		"one more is added first": {
			cluster: three(), step: addLearner(3), blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"then the member with the highest slot leaves": {
			cluster: four(), step: retire(four(), 2), blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"nobody moves to where the data would have no room to grow": {
			cluster: three().Database("820Mi", "820Mi", 1), pending: stays("1638Mi"),
		},
		"they move on while it still fits": {
			cluster: four().Database("820Mi", "820Mi", 1), step: retire(four(), 2),
			blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"they move on although the file of one that has moved is large, when there is little data in it": {
			cluster: four().Database("1400Mi", "100Mi", 3), step: retire(four(), 2),
			blocked: []string{movesBecause(why, "demo-0, demo-1, demo-2")},
		},
		"nobody moves before every member has told how large its database is": {
			cluster: three().NoPod(1), step: start(before),
		},
		"nobody moves from volumes that may grow by need": {cluster: three().MaxSize("16Gi")},
		"nobody moves from volumes that grew by need, or that a webhook had made so large, for ever": {
			cluster: three().With(recorded(4 * gib)), pending: asIs,
		},
		"nobody moves because of an operator that is later than one that did not record the size": {
			cluster: three().With(recorded(0)), pending: asIs,
		},
		"nobody moves from a volume that merely turned out larger than was asked for": {
			cluster: statetest.Formed(3).Volumes("4Gi").Member(0, func(m *state.Member) { m.Volume.Capacity = 10 * gib }),
		},
		"nobody moves while the expansion that the size takes back has not happened": {
			cluster: statetest.Formed(3).Volumes("8Gi").Request("16Gi", 0, 1, 2).Spec(sizeOf("12Gi")),
			blocked: []string{"VolumeGrowing: waiting until Kubernetes has expanded"},
		},
	}.run(t)
}

func TestSizesOfVolumesThatAreToShrink(t *testing.T) {
	mixed := func() *statetest.Builder {
		return statetest.Formed(3).Volumes("8Gi").Spec(sizeOf("4Gi")).Grown("4Gi", 2)
	}
	full := mixed().Database("1400Mi", "1400Mi", 0)
	silent := mixed().With(func(c *state.Cluster) {
		c.Etcd.Serving, c.Etcd.Listed = false, false
	}).NoPod(0, 1, 2)
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		ensures []plan.Step
		absent  []plan.Step
	}{
		"a smaller volume is not expanded again": {cluster: mixed(), absent: []plan.Step{plan.ResizeVolumes{}}},
		"also not while nobody tells how large the databases are": {
			cluster: silent, absent: []plan.Step{plan.ResizeVolumes{}},
		},
		"it is when the data has come to need the room": {
			cluster: full, ensures: []plan.Step{resize(full, 8*gib, sameSize, 2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			scenarioEnsures(t, plan.Next(row.cluster.Build()), row.ensures, row.absent)
		})
	}
}

// Found by the simulation: the only member restarted for ever, because without it etcd's list cannot be read, and what
// was left of the one before it counted.
func TestTheQuotaDoesNotFollowFromAClaimThatIsLeftAlone(t *testing.T) {
	b := statetest.Formed(2).Replicas(1).Volumes("8Gi").NoPod(0, 1).Unlisted().Member(1, func(m *state.Member) {
		m.Volume.Capacity, m.Volume.PersistentVolume = 4*gib, "of a backup"
	})
	step, ok := plan.Next(b.Build()).Step.(plan.StartMembers)
	if !ok {
		t.Fatalf("step is %+v, want the start of a member", step)
	}
	if in := step.Members[0].Incarnation; in.QuotaSize != 0 {
		t.Errorf("the quota follows from %d bytes, want what the spec says", in.QuotaSize)
	}
}

// The record tells later which volumes are to shrink, and which became larger by something else than the spec.
func TestTheSizeInTheSpecIsRecorded(t *testing.T) {
	sized := func(spec string) *statetest.Builder {
		return statetest.Formed(3).Volumes("8Gi").Spec(sizeOf(spec))
	}
	recorded := func(size int64) func(*state.Member) {
		return func(m *state.Member) { m.Volume.SizeInSpec = size }
	}
	on := func(slot int, size int64) plan.Step {
		return plan.RecordSizeInSpec{Volume: volume(sized("8Gi"), slot), Size: size}
	}
	none := []plan.Step{plan.RecordSizeInSpec{}}
	shrunk := sized("4Gi").Grown("4Gi", 2).Member(2, recorded(4*gib)).Database("1400Mi", "1400Mi", 0)
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		ensures []plan.Step
		absent  []plan.Step
	}{
		"on volumes of a former release": {
			cluster: sized("8Gi").Member(1, recorded(0)), ensures: []plan.Step{on(1, 8*gib)},
		},
		"when it is raised to what the volumes have already": {
			cluster: sized("8Gi").Member(0, recorded(4*gib)), ensures: []plan.Step{on(0, 8*gib)},
		},
		"but not when it is lowered: the volumes are to shrink": {cluster: sized("4Gi"), absent: none},
		"with the expansion of one that had shrunk already, so that it shrinks again with the others": {
			cluster: shrunk, ensures: []plan.Step{resize(shrunk, 8*gib, sameSize, 2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			scenarioEnsures(t, plan.Next(row.cluster.Build()), row.ensures, row.absent)
		})
	}
}

func TestTheVolumeOfANewMember(t *testing.T) {
	joining := func(size string) *statetest.Builder {
		return statetest.Formed(3).Volumes("8Gi").Spec(sizeOf(size)).Replicas(5).Learner(3)
	}
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		size    int64 // also that from which its quota follows, and what is recorded
	}{
		"has the size of the spec":                                       {cluster: joining("8Gi")},
		"also when that is less than the others have, and the data fits": {cluster: joining("4Gi")},
		"else that of the others":                                        {cluster: joining("4Gi").Database("4Gi", "4Gi", 0), size: 8 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			step, ok := plan.Next(row.cluster.Build()).Step.(plan.StartMembers)
			if !ok {
				t.Fatalf("step is %+v, want the start of a member", step)
			}
			in := step.Members[0].Incarnation
			if in.VolumeSize != row.size || in.QuotaSize != row.size || in.SizeInSpec != row.size {
				t.Errorf("its volume has %d bytes, its quota follows from %d, and %d are recorded, want %d for all (0: as the "+
					"spec says)", in.VolumeSize, in.QuotaSize, in.SizeInSpec, row.size)
			}
		})
	}
}
