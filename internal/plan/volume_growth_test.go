package plan_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

const (
	gib      = int64(1 << 30)
	specAsks = "storage.size asks for it"
	sameSize = "all volumes are to have the same size"
	dataFull = "the data fills more than 80 % of the quota, which follows the size of the volumes"
	crowded  = "the database takes more than 60 % of the volume"
)

func sizeOf(size string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { q := resource.MustParse(size); s.Storage.Size = &q }
}

// resize is the resize of the volumes of these slots.
func resize(b *statetest.Builder, to int64, why string, slots ...int) plan.Step {
	s := plan.ResizeVolumes{Size: to, SizeInSpec: ptr.To(resources.StorageSize(b.Build().Object)).Value(), Why: why}
	for _, m := range b.Build().Members {
		if m.Volume != nil {
			s.SizeInSpec = max(s.SizeInSpec, m.Volume.SizeInSpec)
		}
	}
	for _, slot := range slots {
		v := b.Build().Members[slot].Volume
		s.Claims = append(s.Claims, plan.Claim{Name: v.Name, UID: v.UID, Request: v.Request})
	}
	return s
}

func TestVolumesGetTheSizeOfTheSpec(t *testing.T) {
	none := []plan.Step{plan.ResizeVolumes{}}
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi") }
	larger := three().Spec(sizeOf("16Gi"))
	down := three().NoPod(1).Spec(sizeOf("16Gi"))
	lost := three().NoPod(0, 1).With(func(c *state.Cluster) { c.Etcd.Serving, c.Etcd.Listed = false, false }).Spec(sizeOf("16Gi"))
	half := three().Spec(sizeOf("16Gi")).Grown("16Gi", 0)
	unbound := three().Spec(sizeOf("16Gi")).Member(1, func(m *state.Member) { m.Volume.Capacity = 0 })
	tooMuch := three().Request("80Ti", 0, 1, 2).Spec(sizeOf("10Gi"))
	foreign := three().Spec(sizeOf("16Gi")).Member(2, func(m *state.Member) { m.Volume.PersistentVolume = "other" })
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		ensures []plan.Step
		absent  []plan.Step
	}{
		"all have it":                                     {cluster: three(), absent: none},
		"the spec asks for more":                          {cluster: larger, ensures: []plan.Step{resize(larger, 16*gib, specAsks, 0, 1, 2)}},
		"also for a member without a Pod":                 {cluster: down, ensures: []plan.Step{resize(down, 16*gib, specAsks, 0, 1, 2)}},
		"also without a majority":                         {cluster: lost, ensures: []plan.Step{resize(lost, 16*gib, specAsks, 0, 1, 2)}},
		"what was begun is finished":                      {cluster: half, ensures: []plan.Step{resize(half, 16*gib, specAsks, 1, 2)}},
		"a claim without a volume cannot be changed":      {cluster: unbound, ensures: []plan.Step{resize(unbound, 16*gib, specAsks, 0, 2)}},
		"another's volume is left alone":                  {cluster: foreign, ensures: []plan.Step{resize(foreign, 16*gib, specAsks, 0, 1)}},
		"an expansion that is under way is left to go on": {cluster: three().Spec(sizeOf("16Gi")).Request("16Gi", 0, 1, 2), absent: none},
		"what did not take place can be taken back":       {cluster: tooMuch, ensures: []plan.Step{resize(tooMuch, 10*gib, specAsks, 0, 1, 2)}},
		"but not to what the volume has":                  {cluster: three().Request("80Ti", 0, 1, 2), absent: none},
		"a smaller size shrinks no volume":                {cluster: three().Spec(sizeOf("4Gi")), absent: none},
		"a volume that is larger than was asked for is no measure": {
			cluster: three().Member(0, func(m *state.Member) { m.Volume.Capacity = 100 * gib }), absent: none,
		},
		"nothing is done while the cluster is paused": {cluster: three().Spec(sizeOf("16Gi")).Spec(pausing), absent: none},
		"a retired volume is left as it is": {
			cluster: three().LeftoverVolume(3, true).With(func(c *state.Cluster) {
				c.Leftovers.Volumes[0].Request, c.Leftovers.Volumes[0].Capacity = gib, gib
			}), absent: none,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := plan.Next(row.cluster.Build())
			scenarioEnsures(t, d, row.ensures, row.absent)
		})
	}
}

// scenarioEnsures checks the ensures only.
func scenarioEnsures(t *testing.T, d plan.Decision, want, absent []plan.Step) {
	t.Helper()
	for _, e := range want {
		if diff := diffOf(e, ensureLike(d, e)); diff != "" {
			t.Errorf("ensure (-want +got):\n%s", diff)
		}
	}
	for _, e := range absent {
		if got := ensureLike(d, e); got != nil {
			t.Errorf("ensure must not be: %#v", got)
		}
	}
}

func TestVolumesGrowByThemselves(t *testing.T) {
	none := []plan.Step{plan.ResizeVolumes{}}
	// The quota of 8Gi is 3.2Gi, 80 % of it are 2.56Gi.
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi").MaxSize("64Gi") }
	data := three().Database("3Gi", "2700Mi", 1)
	little := three().MaxSize("9Gi").Database("3Gi", "2700Mi", 1)
	much := statetest.Formed(3).Volumes("1Gi").MaxSize("64Gi").Database("2Gi", "2Gi", 1)
	crash := func(after time.Duration) *statetest.Builder {
		return three().Crash(1).Member(1, func(m *state.Member) {
			m.Pod.LastExit.Message = "panic: write /var/lib/etcd/member/wal/0.tmp: no space left on device"
			m.Pod.LastExit.At = statetest.Now
			if after > 0 {
				m.Volume.Growth.At = statetest.Now.Add(-after)
			}
		})
	}
	full := func(b *statetest.Builder) plan.Step {
		s, _ := resize(b, 12*gib, "demo-1 stopped because its volume is full", 0, 1, 2).(plan.ResizeVolumes)
		s.Full = true
		return s
	}
	given := three().Spec(func(s *v1alpha1.EtcdClusterSpec) {
		q := resource.MustParse("6Gi")
		s.Etcd = &v1alpha1.EtcdOptions{QuotaBackendBytes: &q}
	}).Database("5Gi", "5Gi", 1)
	half := three().Grown("12Gi", 0)
	half.Member(0, func(m *state.Member) { m.Volume.Capacity = 8 * gib })
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		ensures []plan.Step
		absent  []plan.Step
	}{
		"not when there is room":                      {cluster: three().Database("3Gi", "2Gi", 0, 1, 2), absent: none},
		"not without maxSize":                         {cluster: statetest.Formed(3).Volumes("8Gi").Database("3Gi", "3Gi", 1), absent: none},
		"when data fills the quota, by half, all":     {cluster: data, ensures: []plan.Step{resize(data, 12*gib, dataFull, 0, 1, 2)}},
		"never beyond maxSize":                        {cluster: little, ensures: []plan.Step{resize(little, 9*gib, dataFull, 0, 1, 2)}},
		"in one go by as many steps as are needed":    {cluster: much, ensures: []plan.Step{resize(much, 8*gib, dataFull, 0, 1, 2)}},
		"when a member finds its volume full":         {cluster: crash(0), ensures: []plan.Step{full(crash(0))}},
		"not twice for one full volume":               {cluster: crash(5 * time.Minute), absent: none},
		"again when it is full again":                 {cluster: crash(time.Hour), ensures: []plan.Step{full(crash(time.Hour))}},
		"a given quota does not grow, but its volume": {cluster: given, ensures: []plan.Step{resize(given, 12*gib, crowded, 0, 1, 2)}},
		"a growth that was begun is finished":         {cluster: half, ensures: []plan.Step{resize(half, 12*gib, sameSize, 1, 2)}},
		"not while another goes on": {
			cluster: three().Request("12Gi", 0, 1, 2).Database("8Gi", "8Gi", 1), absent: none,
		},
		"not when no larger quota follows": {
			cluster: statetest.Formed(3).Volumes("20Gi").MaxSize("64Gi").Database("8Gi", "8Gi", 1), absent: none,
		},
	} {
		t.Run(name, func(t *testing.T) {
			scenarioEnsures(t, plan.Next(row.cluster.Build()), row.ensures, row.absent)
		})
	}
}

func TestGrowthIsTold(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi") }
	waits := func(b *statetest.Builder) *statetest.Builder {
		return b.Request("16Gi", 2).Member(2, func(m *state.Member) { m.Volume.Growth.Waiting = "FileSystemResizePending: x" })
	}
	scenarios{
		"what the spec asks for is waited for": {
			cluster: waits(three().Grown("16Gi", 0, 1).Spec(sizeOf("16Gi"))),
			blocked: []string{"VolumeGrowing: from 8Gi to 16Gi (FileSystemResizePending: x)"},
		},
		"what is more goes on in the background": {
			cluster: waits(three().Request("16Gi", 0, 1, 2).MaxSize("16Gi")),
			pending: []string{"VolumeGrowing: from 8Gi to 16Gi"},
		},
		"a failing provider is told, and the way back": {
			cluster: waits(three().Request("16Gi", 0, 1, 2).Spec(sizeOf("16Gi"))).Member(2, func(m *state.Member) {
				m.Volume.Growth.Failed, m.Volume.Growth.Waiting = true, "ControllerResizeError: no room"
			}),
			blocked: []string{
				"VolumeGrowthRefused: (ControllerResizeError: no room). Give it room, or take the expansion back",
				"VolumeGrowing: from 8Gi to 16Gi",
			},
		},
		"volumes that may not grow further": {
			cluster: three().MaxSize("8Gi").Database("3Gi", "3Gi", 0),
			pending: []string{"VolumeGrowing: volumes cannot grow further: raise storage.maxSize"},
		},
		"a full volume that nobody permits to grow": {
			cluster: three().Crash(1).Member(1, func(m *state.Member) { m.Pod.LastExit.Message = "no space left on device" }),
			blocked: []string{
				"VolumeFull: demo-1 stopped because its volume is full: raise storage.size, or set storage.maxSize",
				"StartingMember: demo-1 is not running",
			},
		},
		"Pods whose quota does not follow the volumes yet are restarted": {
			cluster: three().Grown("16Gi", 0, 1, 2).Spec(sizeOf("16Gi")).Budget(3),
			step: plan.DeletePod{
				Name: "demo-2", UID: podUID(2), Why: "it has to load the quota that follows from its larger volume",
			},
			blocked: []string{"VolumeGrowing: members restart one at a time, because it has to load the quota"},
		},
		"not while a volume has yet to grow": {
			cluster: three().Grown("16Gi", 0, 1).Request("16Gi", 2).Spec(sizeOf("16Gi")).Budget(3),
			blocked: []string{"VolumeGrowing: waiting until Kubernetes has expanded"},
		},
		"not for a larger quota of the same volumes, by another default rule": {
			cluster: three().Member(1, func(m *state.Member) { m.Pod.Quota = gib }),
		},
		"those of a release that did not record it are not, as long as their quota is the right one": {
			cluster: three().With(func(c *state.Cluster) {
				for _, m := range c.Members {
					m.Pod.Applied = `{"version":"3.6.16"}`
				}
			}),
		},
	}.run(t)
}

func TestANewMemberGetsTheVolumeAndQuotaOfTheOthers(t *testing.T) {
	c := statetest.Formed(3).Volumes("8Gi").MaxSize("16Gi").Grown("16Gi", 0, 1, 2).Replicas(5).Learner(3)
	step, ok := plan.Next(c.Build()).Step.(plan.StartMembers)
	if !ok || len(step.Members) != 1 {
		t.Fatalf("the step is %#v, want that the learner starts", step)
	}
	if in := step.Members[0].Incarnation; in.VolumeSize != 16*gib || in.QuotaSize != 16*gib {
		t.Errorf("its volume gets %d bytes and its quota follows %d, want 16Gi for both", in.VolumeSize, in.QuotaSize)
	}
	c = statetest.Formed(3).Volumes("8Gi").Request("16Gi", 0, 1, 2).Spec(sizeOf("16Gi")).NoPod(1)
	step, _ = plan.Next(c.Build()).Step.(plan.StartMembers)
	if in := step.Members[0].Incarnation; in.QuotaSize != 8*gib {
		t.Errorf("its quota follows %d bytes, want 8Gi while the volumes have no more", in.QuotaSize)
	}
}
