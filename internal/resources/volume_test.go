package resources

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestVolumeObject(t *testing.T) {
	golden(t, "volume-default", Volume(cluster(), bootstrapped(cluster(), 0, "3.6.16")))
	c := cluster(reclaim(v1alpha1.ReclaimDelete), func(c *v1alpha1.EtcdCluster) {
		c.Spec.Storage.Size, c.Spec.Storage.StorageClassName = quantity("20Gi"), new("ssd")
	})
	golden(t, "volume-joined", Volume(c, joined()))
}

// joined is the incarnation of a member that was added to the bootstrapped cluster.
func joined() state.Incarnation {
	return state.Incarnation{
		Slot: 3, Generation: 1, Token: testToken, Size: 3, ClusterID: 0xc1, MemberID: 0xabc,
		PeerURL: PeerURL(cluster(), 3), Version: "3.6.16",
	}
}

func TestVolumeRoundTrip(t *testing.T) {
	c := cluster(reclaim(v1alpha1.ReclaimDelete))
	i := bootstrapped(c, 1, "3.6.16")
	fresh := state.Volume{
		Name: VolumeName("demo", 1, i.MemberID), UID: "uid", ResourceVersion: "7", Owner: testUID, Slot: 1,
		Generation: 1, Token: testToken, Size: 3, InitialCluster: i.BootstrapList, ClusterID: i.ClusterID,
		MemberID: i.MemberID, Version: "3.6.16", PeerURL: i.PeerURL, Request: 8 << 30,
		SizeInSpec: 8 << 30,
	}
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   func(*state.Volume)
	}{
		"as it is made": {func(*corev1.PersistentVolumeClaim) {}, func(*state.Volume) {}},
		"started": {
			func(p *corev1.PersistentVolumeClaim) { RecordStarted(p, 0xc1) },
			func(v *state.Volume) { v.Started, v.ClusterID = true, 0xc1 },
		},
		"placed": {
			func(p *corev1.PersistentVolumeClaim) {
				p.Spec.VolumeName = "pv-1"
				RecordPlacement(p, "pv-1", "node-1")
			},
			func(v *state.Volume) {
				v.PersistentVolume, v.RecordedPersistentVolume, v.Node = "pv-1", "pv-1", "node-1"
			},
		},
		"moved to another node": {
			func(p *corev1.PersistentVolumeClaim) { RecordPlacement(p, "pv-1", "a"); RecordPlacement(p, "", "b") },
			func(v *state.Volume) { v.RecordedPersistentVolume, v.Node = "pv-1", "b" },
		},
		"re-created by a backup tool: the first PersistentVolume stays recorded": {
			func(p *corev1.PersistentVolumeClaim) {
				RecordPlacement(p, "pv-1", "a")
				p.Spec.VolumeName = "pv-2"
				RecordPlacement(p, "pv-2", "")
			},
			func(v *state.Volume) { v.PersistentVolume, v.RecordedPersistentVolume, v.Node = "pv-2", "pv-1", "a" },
		},
		"about to run another version": {
			func(p *corev1.PersistentVolumeClaim) { RecordVersion(p, "3.6.17") },
			func(v *state.Volume) { v.Version = "3.6.17" },
		},
		"a stand-in": {
			func(p *corev1.PersistentVolumeClaim) { RecordSurge(p) }, func(v *state.Volume) { v.Surge = true },
		},
		"retiring": {
			func(p *corev1.PersistentVolumeClaim) { RecordRetiring(p, true) },
			func(v *state.Volume) { v.Retiring = true },
		},
		"retiring withdrawn": {
			func(p *corev1.PersistentVolumeClaim) { RecordRetiring(p, true); RecordRetiring(p, false) },
			func(*state.Volume) {},
		},
		"retired": {
			func(p *corev1.PersistentVolumeClaim) { RecordRetiring(p, true); RecordRetired(p) },
			func(v *state.Volume) { v.Retired = true },
		},
		"being deleted": {
			func(p *corev1.PersistentVolumeClaim) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} },
			func(v *state.Volume) { v.Terminating = true },
		},
		"owner withdrawn": {
			func(p *corev1.PersistentVolumeClaim) { SetOwner(p, cluster(), false) },
			func(v *state.Volume) { v.Owner = "" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			pvc := Volume(c, i)
			pvc.UID, pvc.ResourceVersion = "uid", "7"
			tc.change(pvc)
			want := fresh
			tc.want(&want)
			got, err := ParseVolume("demo", pvc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the volume came back otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAJoinedVolumeKeepsTheBootstrapItBelongsTo(t *testing.T) {
	c := cluster(func(c *v1alpha1.EtcdCluster) { c.Spec.Storage.StorageClassName = new("ssd") })
	v, err := ParseVolume("demo", Volume(c, joined()))
	if err != nil {
		t.Fatal(err)
	}
	want := state.Volume{
		Name: "demo-3-0000000000000abc", Slot: 3, Generation: 1, Token: testToken, Size: 3, ClusterID: 0xc1,
		MemberID: 0xabc, Version: "3.6.16", PeerURL: PeerURL(cluster(), 3), StorageClass: "ssd", ActualStorageClass: "ssd",
		Request:    8 << 30,
		SizeInSpec: 8 << 30,
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("the volume came back otherwise (-want +got):\n%s", diff)
	}
}

// The default class, which admission writes into the claim, must not look like a change of the class.
func TestTheStorageClassIsTheOneAskedFor(t *testing.T) {
	pvc := Volume(cluster(), bootstrapped(cluster(), 0, "3.6.16"))
	pvc.Spec.StorageClassName = new("the-default")
	v, err := ParseVolume("demo", pvc)
	if err != nil {
		t.Fatal(err)
	}
	if v.StorageClass != "" {
		t.Errorf("storage class is %q, want none", v.StorageClass)
	}
}

func TestParseVolumeRefusesRecordsThatDoNotFit(t *testing.T) {
	label := func(member string) func(*corev1.PersistentVolumeClaim) {
		return func(p *corev1.PersistentVolumeClaim) { p.Labels[LabelMember] = member }
	}
	annotate := func(key, value string) func(*corev1.PersistentVolumeClaim) {
		return func(p *corev1.PersistentVolumeClaim) { p.Annotations[key] = value }
	}
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   string
	}{
		"no records":             {func(p *corev1.PersistentVolumeClaim) { p.Annotations = nil }, "generation is"},
		"no label":               {func(p *corev1.PersistentVolumeClaim) { p.Labels = nil }, "do not make up the name"},
		"retired is no Boolean":  {annotate(AnnotationRetired, "1"), "retired is"},
		"started is no Boolean":  {annotate(AnnotationStarted, "TRUE"), "started is"},
		"cluster ID is none":     {annotate(AnnotationClusterID, "zz"), "cluster-id is"},
		"no member ID":           {annotate(AnnotationMemberID, ""), "member-id is"},
		"another member's ID":    {annotate(AnnotationMemberID, "abc"), "do not make up the name"},
		"another slot's label":   {label("demo-1"), "do not make up"},
		"no size":                {annotate(AnnotationSize, ""), "size is"},
		"restored elsewhere":     {func(p *corev1.PersistentVolumeClaim) { p.Namespace = "copy" }, "another namespace"},
		"of a cluster demo-0":    {label("demo-0-0"), "do not make up"},
		"peer URL of other slot": {annotate(AnnotationPeerURL, PeerURL(cluster(), 1)), "peer-url is"},
	} {
		t.Run(name, func(t *testing.T) {
			pvc := Volume(cluster(), bootstrapped(cluster(), 0, "3.6.16"))
			tc.change(pvc)
			v, err := ParseVolume("demo", pvc)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), pvc.Name) {
				t.Fatalf("got error %v, want one with %q and the claim's name", err, tc.want)
			}
			if v != (state.Volume{}) {
				t.Errorf("a volume came with the error: %+v", v)
			}
		})
	}
}

func TestSetOwnerLeavesOtherOwnersAlone(t *testing.T) {
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{other}}}
	SetOwner(pvc, cluster(), true)
	SetOwner(pvc, cluster(), true)
	if len(pvc.OwnerReferences) != 2 || ownerOf(pvc) != testUID {
		t.Fatalf("owners are %v, want the other one and the cluster once", pvc.OwnerReferences)
	}
	SetOwner(pvc, cluster(), false)
	if diff := cmp.Diff([]metav1.OwnerReference{other}, pvc.OwnerReferences); diff != "" {
		t.Errorf("owners differ (-want +got):\n%s", diff)
	}
}
