package plan_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func maintain(m v1alpha1.MaintenanceSpec) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Maintenance = &m }
}

func defragmentations(d v1alpha1.Defragmentation) func(*v1alpha1.EtcdClusterSpec) {
	return maintain(v1alpha1.MaintenanceSpec{Defragmentation: &d})
}

func TestDefragmentation(t *testing.T) {
	// At 12:00 UTC; demo-0 leads.
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi") }
	fragmented := func(slots ...int) *statetest.Builder { return three().Database("1Gi", "400Mi", slots...) }
	ended := func(d time.Duration, err string) *statetest.Builder {
		return fragmented(1).Member(1, func(m *state.Member) { m.Defragmentation = endedAgo(d, err) })
	}
	window := func(schedule string) func(*v1alpha1.EtcdClusterSpec) {
		return maintain(v1alpha1.MaintenanceSpec{Window: &v1alpha1.MaintenanceWindow{
			Schedule: schedule, Duration: &metav1.Duration{Duration: time.Hour},
		}})
	}
	single := func() *statetest.Builder {
		return statetest.Formed(1).Replicas(1).Volumes("8Gi").Database("1Gi", "400Mi", 0)
	}
	scenarios{
		"a file that is half unused":     {cluster: fragmented(2), step: defragment(three(), 2)},
		"followers one at a time":        {cluster: fragmented(0, 1, 2), step: defragment(three(), 1)},
		"the leader is moved away first": {cluster: fragmented(0), step: handOver(three(), 0, 1)},
		"not to a node that is cordoned, from which it would come back": {
			cluster: fragmented(0).With(onNodes(3, 1, 2)),
			pending: []string{"Defragmenting: demo-0 leads and is defragmented once another voter is on a node that is not cordoned"},
		},
		"not when less than half is unused":      {cluster: three().Database("1Gi", "600Mi", 0, 1, 2)},
		"not for less than 100 MiB":              {cluster: three().Database("120Mi", "21Mi", 0, 1, 2)},
		"not when it is switched off":            {cluster: fragmented(1).Spec(defragmentations(v1alpha1.Defragmentation{Mode: ptr.To(v1alpha1.DefragmentationDisabled)}))},
		"thresholds of the spec":                 {cluster: three().Database("1Gi", "900Mi", 1).Spec(defragmentations(v1alpha1.Defragmentation{UnusedPercent: ptr.To[int32](10)})), step: defragment(three(), 1)},
		"a size of the spec":                     {cluster: fragmented(1).Spec(defragmentations(v1alpha1.Defragmentation{MinUnused: ptr.To(resource.MustParse("1Gi"))}))},
		"not again within the hour":              {cluster: ended(30*time.Minute, "")},
		"again after an hour":                    {cluster: ended(time.Hour, ""), step: defragment(three(), 1)},
		"one that failed is tried again earlier": {cluster: ended(10*time.Minute, "x"), step: defragment(three(), 1)},
		"and not at once": {
			cluster: ended(4*time.Minute, "no answer in time"), wake: 6 * time.Minute,
			pending: []string{"Defragmenting: the defragmentation of demo-1 failed (no answer in time) and is tried again at 2026-11-21T12:06:00Z"},
		},
		"not into a volume without room for the copy": {
			cluster: three().Volumes("1Gi").Database("700Mi", "300Mi", 1).MaxSize("1Gi"),
			pending: []string{
				"VolumeGrowing: and volumes cannot grow further",
				"Defragmenting: demo-1 is not defragmented, because its volume has too little space",
			},
		},
		"nothing else is changed while it goes on, and the member is not blamed": {
			cluster: three().Replicas(5).Member(1, func(m *state.Member) {
				m.Defragmentation.Running, m.Probe, m.Pod.Ready = true, state.Probe{Err: "no answer in time"}, false
			}),
			blocked: []string{
				"Defragmenting: demo-1 is being defragmented: nothing else is changed meanwhile",
				"StartingMember: demo-1 is being defragmented and does not answer meanwhile",
				"ScalingUp: 5 voters are wanted, 3 are listed: waiting until all voters are healthy",
			},
		},
		"a member that does not run is started all the same": {
			cluster: three().NoPod(2).Member(1, func(m *state.Member) { m.Defragmentation.Running = true }),
			step:    start(resumed(3, 2)),
			blocked: []string{"Defragmenting: demo-1 is being defragmented"},
		},
		"not while a member is unhealthy": {
			cluster: fragmented(1).Crash(2), blocked: []string{"StartingMember: demo-2"},
		},
		"not while a member is not ready for clients": {
			cluster: fragmented(1).Member(2, func(m *state.Member) { m.Pod.Ready = false }),
			blocked: []string{"StartingMember: demo-2"},
		},
		"not before anything else that is to be done": {
			cluster: fragmented(1).LeftoverVolume(3, true),
			step:    plan.DeleteVolume{Name: "demo-3-00000000000000f3", UID: "uid-volume-f3"},
		},
		"not a single member: nothing would serve": {
			cluster: single(), pending: []string{"Defragmenting: set maintenance.defragmentation.singleMember to permit it"},
		},
		"but when the spec permits it": {
			cluster: single().Spec(defragmentations(v1alpha1.Defragmentation{SingleMember: ptr.To(true)})),
			step:    defragment(statetest.Formed(1), 0),
		},
		"in the maintenance window": {cluster: fragmented(1).Spec(window("30 11 * * *")), step: defragment(three(), 1)},
		"not outside of it": {
			cluster: fragmented(1, 2).Spec(window("30 13 * * *")), wake: 90 * time.Minute,
			pending: []string{"Defragmenting: demo-1, demo-2 is defragmented when the maintenance window opens, at 2026-11-21T13:30:00Z"},
		},
	}.run(t)
}

func TestAnImpossibleMaintenanceWindowIsRefused(t *testing.T) {
	never := maintain(v1alpha1.MaintenanceSpec{Window: &v1alpha1.MaintenanceWindow{
		Schedule: "0 3 30 2 *", Duration: &metav1.Duration{Duration: time.Hour},
	}})
	scenarios{
		"a day that no year has": {
			cluster: statetest.Formed(3).Spec(never),
			blocked: []string{`InvalidSpec: spec.maintenance.window is refused: schedule "0 3 30 2 *": it never comes`},
		},
	}.run(t)
}
