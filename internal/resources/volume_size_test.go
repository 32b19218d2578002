package resources

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestANewVolumeIsAsLargeAsTheOthers(t *testing.T) {
	c := cluster(func(c *v1alpha1.EtcdCluster) {
		c.Spec.Storage.Size, c.Spec.Storage.MaxSize = quantity("10G"), quantity("30G")
	})
	for want, size := range map[string]int64{"10G": 0, "30G": 30_000_000_000, "16Gi": 16 << 30} {
		i := bootstrapped(c, 0, "3.6.16")
		i.VolumeSize = size
		if got := Volume(c, i).Spec.Resources.Requests.Storage().String(); got != want {
			t.Errorf("a volume of %d bytes asks for %s, want %s", size, got, want)
		}
	}
}

func TestTheQuotaOfAPodFollowsTheVolumes(t *testing.T) {
	i := bootstrapped(cluster(), 0, "3.6.16")
	for size, want := range map[int64]int64{0: 3435973836, 16 << 30: 6871947672, 1 << 40: 8 << 30} {
		i.QuotaSize = size
		pod, err := ParsePod("demo", Pod(cluster(), i, state.Start{InitialCluster: i.BootstrapList}))
		if err != nil {
			t.Fatal(err)
		}
		if pod.Quota != want {
			t.Errorf("with volumes of %d bytes the quota is %d, want %d", size, pod.Quota, want)
		}
		recorded := size
		if size == 0 {
			recorded = 8 << 30
		}
		if pod.Applied != AppliedOn(cluster(), "3.6.16", recorded) || RecordedVolumeSize(pod.Applied) != recorded {
			t.Errorf("the Pod records %s, want the size of the volumes in it", pod.Applied)
		}
	}
}

func TestAGivenQuotaDoesNotFollowTheVolumes(t *testing.T) {
	for name, c := range map[string]*v1alpha1.EtcdCluster{
		"a given quota": cluster(etcdOptions(v1alpha1.EtcdOptions{QuotaBackendBytes: quantity("1Gi")})),
		"ephemeral":     cluster(ephemeral(v1alpha1.EphemeralDisk, "1Gi")),
	} {
		if a, b := AppliedOn(c, "3.6.16", 8<<30), AppliedOn(c, "3.6.16", 16<<30); a != b {
			t.Errorf("%s: Pods are outdated by larger volumes:\n%s\n%s", name, a, b)
		}
	}
}

func TestExpansionOfAVolume(t *testing.T) {
	condition := func(kind corev1.PersistentVolumeClaimConditionType, message string) corev1.PersistentVolumeClaimCondition {
		return corev1.PersistentVolumeClaimCondition{Type: kind, Status: corev1.ConditionTrue, Message: message}
	}
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   state.Growth
		usable int64
	}{
		"none": {func(*corev1.PersistentVolumeClaim) {}, state.Growth{}, 8 << 30},
		"not done yet": {
			func(p *corev1.PersistentVolumeClaim) { p.Status.Capacity = storage("4Gi") }, state.Growth{}, 4 << 30,
		},
		"a volume that is larger than was asked for": {
			func(p *corev1.PersistentVolumeClaim) { p.Status.Capacity = storage("100Gi") }, state.Growth{}, 8 << 30,
		},
		"waits for its Pod": {
			func(p *corev1.PersistentVolumeClaim) {
				p.Status.Conditions = []corev1.PersistentVolumeClaimCondition{
					condition(corev1.PersistentVolumeClaimFileSystemResizePending, "start a Pod"),
				}
			},
			state.Growth{Waiting: "FileSystemResizePending: start a Pod"}, 8 << 30,
		},
		"fails": {
			func(p *corev1.PersistentVolumeClaim) {
				p.Status.Conditions = []corev1.PersistentVolumeClaimCondition{
					condition(corev1.PersistentVolumeClaimControllerResizeError, "no room"),
					condition(corev1.PersistentVolumeClaimResizing, ""),
				}
			},
			state.Growth{Waiting: "ControllerResizeError: no room", Failed: true}, 8 << 30,
		},
		"is impossible": {
			func(p *corev1.PersistentVolumeClaim) {
				p.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
					corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible,
				}
			},
			state.Growth{Waiting: "ControllerResizeInfeasible", Failed: true}, 8 << 30,
		},
		"goes on": {
			func(p *corev1.PersistentVolumeClaim) {
				p.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
					corev1.ResourceStorage: corev1.PersistentVolumeClaimNodeResizeInProgress,
				}
			},
			state.Growth{Waiting: "NodeResizeInProgress"}, 8 << 30,
		},
	} {
		pvc := Volume(cluster(), bootstrapped(cluster(), 0, "3.6.16"))
		tc.change(pvc)
		v, err := ParseVolume("demo", pvc)
		if err != nil {
			t.Fatal(err)
		}
		if v.Growth != tc.want || v.Usable() != tc.usable {
			t.Errorf("%s: growth is %+v with %d usable bytes, want %+v with %d", name, v.Growth, v.Usable(), tc.want, tc.usable)
		}
	}
}

func TestGrowRecordsWhenAVolumeWasFull(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, full := range []bool{false, true} {
		pvc := Volume(cluster(), bootstrapped(cluster(), 0, "3.6.16"))
		Grow(pvc, resource.MustParse("16Gi"), full, now)
		v, err := ParseVolume("demo", pvc)
		if err != nil {
			t.Fatal(err)
		}
		if v.Request != 16<<30 || v.Growth.At.Equal(now) != full {
			t.Errorf("full %t: the claim asks for %d bytes and records %s, want 16Gi and the time only when it was full",
				full, v.Request, v.Growth.At)
		}
	}
}

func TestTheSizeInTheSpecIsRecordedOnAVolume(t *testing.T) {
	c := cluster()
	c.Spec.Storage.Size = new(resource.MustParse("8Gi"))
	in := bootstrapped(c, 0, "3.6.16")
	recorded := func(when string, pvc *corev1.PersistentVolumeClaim, want int64) {
		v, err := ParseVolume("demo", pvc)
		if err != nil {
			t.Fatal(err)
		}
		if v.SizeInSpec != want {
			t.Errorf("%s %d bytes are recorded as the size in the spec, want %d", when, v.SizeInSpec, want)
		}
	}
	pvc := Volume(c, in)
	recorded("of a new volume", pvc, 8<<30)
	RecordSizeInSpec(pvc, 16<<30)
	recorded("of one for which more was asked since", pvc, 16<<30)
	in.VolumeSize, in.SizeInSpec = 20<<30, 12<<30
	recorded("of one that is made as large as the others", Volume(c, in), 12<<30)
}

func storage(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
}
