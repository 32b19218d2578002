package plan_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func quotaOf(size string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		s.Etcd = &v1alpha1.EtcdOptions{QuotaBackendBytes: new(resource.MustParse(size))}
	}
}

func TestAQuotaThatIsEdited(t *testing.T) {
	// The quota of 8Gi is 3276 MiB. demo-0 leads.
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi").Budget(3) }
	holds := func(quota, who, why string) string {
		return "the spec asks for a quota of " + quota + ", which is held back from " + who +
			", with all that waits for the same restart (etcd): " + why
	}
	left := "RollingOut: members restart one at a time, because spec.etcd changed; left: demo-0, demo-1, demo-2"
	const all = "demo-0, demo-1, demo-2"
	large := func() *statetest.Builder {
		b := statetest.Formed(3).Spec(quotaOf("12Gi")).Volumes("20Gi").Budget(3).Database("10Gi", "9Gi", 0, 1, 2)
		return b.Spec(func(s *v1alpha1.EtcdClusterSpec) { s.Etcd = nil })
	}
	scenarios{
		"reaches the members": {
			cluster: three().Database("1Gi", "1Gi", 0, 1, 2).Spec(quotaOf("2Gi")), blocked: []string{left},
			step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "spec.etcd changed"},
		},
		"reaches none when the data of one would fill it": {
			cluster: three().Database("1Gi", "1Gi", 1).Spec(quotaOf("1Gi")), blocked: []string{
				"InvalidSpec: " + holds("1Gi", all, "the data of demo-1 takes more than 80 % of that, and etcd would accept no writes. "+
					"Delete data that is not needed, compact and defragment; or raise etcd.quotaBackendBytes")},
		},
		"waits for files that fit it once they are defragmented": {
			cluster: three().Database("1Gi", "700Mi", 0, 1).Spec(quotaOf("1Gi")), step: defragment(three(), 1),
			blocked: []string{"RollingOut: " + holds("1Gi", all, "members are defragmented first, one at a time; left: demo-0, demo-1")},
		},
		"and for a person when that did not help": {
			cluster: three().Database("1Gi", "700Mi", 1).Spec(quotaOf("1Gi")).Member(1, func(m *state.Member) {
				m.Defragmentation = endedAgo(time.Minute, "no answer in time")
			}),
			blocked: []string{"RollingOut: " + holds("1Gi", all, "the file of demo-1 is too large for it still (it failed: no answer in time)")},
			wake:    9 * time.Minute,
		},
		"also where its volume has too little space for that": {
			cluster: three().Database("6Gi", "2Gi", 1).Spec(quotaOf("3Gi")), blocked: []string{"RollingOut: " + holds("3Gi", all,
				"the file of demo-1 is too large for it, and its volume has too little space for the copy")},
		},
		"and where the spec does not permit it": {
			cluster: three().Database("1Gi", "700Mi", 1).Spec(quotaOf("1Gi")).
				Spec(defragmentations(v1alpha1.Defragmentation{Mode: ptr.To(v1alpha1.DefragmentationDisabled)})),
			blocked: []string{"RollingOut: " + holds("1Gi", all, "the file of demo-1 is too large for it, and maintenance.defragmentation")},
		},
		"and where the leadership would come back at once": {
			cluster: three().With(onNodes(3, 1, 2)).Database("1Gi", "700Mi", 0).Spec(quotaOf("1Gi")), blocked: []string{
				"RollingOut: " + holds("1Gi", all, "demo-0 leads and has to be defragmented, and all others are on cordoned nodes")},
		},
		"waits for those that do not tell what they have": {
			cluster: three().Database("1Gi", "700Mi", 2).Database("100Mi", "90Mi", 0, 1).Unreachable(2).Spec(quotaOf("500Mi")),
			blocked: []string{"StartingMember: demo-2", "RollingOut: " + holds("500Mi", all,
				"files that are too large for it are defragmented first, once all voters are healthy")},
		},
		"reaches none either when an explicit one is removed that the data needs": {
			cluster: large(), blocked: []string{"InvalidSpec: " + holds("8Gi", all, "the data of demo-0, demo-1, demo-2 takes")},
		},
		"waits for volumes that are to hold it": {
			cluster: three().Spec(sizeOf("20Gi")).Spec(quotaOf("15Gi")).Request("20Gi", 0, 1, 2), blocked: []string{
				"VolumeGrowing: waiting", "VolumeGrowing: " + holds("15Gi", all, "waiting until the volumes have as much; the smallest has 8Gi")},
		},
		"may be raised while data fills the former one": {
			cluster: three().Database("3Gi", "3Gi", 0, 1, 2).Spec(quotaOf("6Gi")), blocked: []string{left},
			step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "spec.etcd changed"},
		},
		"goes on when one that has it wrote a larger file from the log": {
			cluster: three().Database("1Gi", "700Mi", 0).Spec(quotaOf("1Gi")).Member(0, func(m *state.Member) { m.Probe.Quota = gib }),
			blocked: []string{left}, step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "spec.etcd changed"},
		},
		"does not hold back what has nothing to do with it": {
			cluster: three().Database("3Gi", "3Gi", 0, 1, 2).Spec(func(s *v1alpha1.EtcdClusterSpec) {
				s.Etcd = &v1alpha1.EtcdOptions{SnapshotCount: new(int64(5000))}
			}),
			step: plan.DeletePod{Name: member(2), UID: podUID(2), Why: "spec.etcd changed"}, blocked: []string{left},
		},
	}.run(t)
}

// A member that starts anew for whatever reason must not be the one whose quota stops the writes of all.
func TestWhoStartsWhileAQuotaIsHeldBackGetsThatOfTheOthers(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3).Volumes("8Gi").Budget(3) }
	for name, row := range map[string]struct {
		cluster *statetest.Builder
		want    int64
	}{
		"one below the data":     {three().Database("1Gi", "1Gi", 0, 1, 2).Spec(quotaOf("500Mi")).NoPod(2), 3435973836},
		"one beyond the volumes": {three().Spec(sizeOf("20Gi")).Spec(quotaOf("15Gi")).Request("20Gi", 0, 1, 2).NoPod(2), 8 * gib},
		"one that fits is given": {three().Database("1Gi", "1Gi", 0, 1, 2).Spec(quotaOf("4Gi")).NoPod(2), 0},
	} {
		t.Run(name, func(t *testing.T) {
			step, starts := plan.Next(row.cluster.Build()).Step.(plan.StartMembers)
			if !starts {
				t.Fatal("no member is started")
			}
			if got := step.Members[0].Incarnation.Quota; got != row.want {
				t.Errorf("it is given a quota of %d bytes instead of the spec's, want %d", got, row.want)
			}
		})
	}
}

func TestAQuotaThatWasHeldBackIsLoadedInTheEnd(t *testing.T) {
	c := statetest.Formed(3).Spec(quotaOf("2Gi")).Volumes("8Gi").Budget(3).Member(1, func(m *state.Member) { m.Pod.Quota = 8 * gib })
	scenarios{"": {
		cluster: c, step: plan.DeletePod{Name: member(1), UID: podUID(1), Why: "it has to load the quota of the spec"},
		blocked: []string{"RollingOut: members restart one at a time, because it has to load the quota of the spec; left: demo-1"},
	}}.run(t)
}
