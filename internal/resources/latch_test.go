package resources

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestLatchObject(t *testing.T) {
	c := cluster()
	golden(t, "latch", Latch(c, NewLatch(c, 1, testToken, 3, "3.6.16")))
}

func TestLatchRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*state.Latch){
		"as bootstrap makes it": func(*state.Latch) {},
		"formed":                func(l *state.Latch) { l.Formed = true },
		"a later generation":    func(l *state.Latch) { l.Generation = 2 },
		"as read from the API":  func(l *state.Latch) { l.UID, l.ResourceVersion = "uid", "12" },
		"some launched":         func(l *state.Latch) { l.Launched = []uint64{0xabc, 1} },
		"a version that is kept": func(l *state.Latch) {
			l.Formed, l.Version = true, "3.6.17"
		},
	} {
		for _, policy := range []v1alpha1.ReclaimPolicy{v1alpha1.ReclaimRetain, v1alpha1.ReclaimDelete} {
			t.Run(name+" "+string(policy), func(t *testing.T) {
				c := cluster(reclaim(policy))
				want := NewLatch(c, 1, testToken, 3, "3.6.16")
				change(&want)
				got, err := ParseLatch(Latch(c, want))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the latch came back otherwise (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestNewLatchDerivesWhatEtcdDerives(t *testing.T) {
	l := NewLatch(cluster(), 1, testToken, 3, "3.6.16")
	const list = "demo-0=https://demo-0.demo-peers.shop.svc:2380,demo-1=https://demo-1.demo-peers.shop.svc:2380," +
		"demo-2=https://demo-2.demo-peers.shop.svc:2380"
	if l.InitialCluster != list {
		t.Errorf("initial cluster is %q, want %q", l.InitialCluster, list)
	}
	members := LatchMembers(cluster(), l)
	if len(members) != 3 {
		t.Fatalf("the latch of size 3 has %d members", len(members))
	}
	ids := map[uint64]bool{}
	for slot, m := range members {
		want := state.Incarnation{
			Slot: slot, Generation: 1, Token: testToken, Size: 3, BootstrapList: list, ClusterID: l.ClusterID,
			MemberID: state.BootstrapMemberID(PeerURL(cluster(), slot), testToken),
			PeerURL:  PeerURL(cluster(), slot), Version: "3.6.16",
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("slot %d differs (-want +got):\n%s", slot, diff)
		}
		ids[m.MemberID] = true
	}
	if len(ids) != 3 {
		t.Errorf("the members share IDs: %v", ids)
	}
	if other := NewLatch(cluster(), 2, "other", 3, "3.6.16"); other.ClusterID == l.ClusterID {
		t.Error("two tokens give one cluster ID")
	}
}

func TestDataIsOwnedOnlyWhenItShallGoWithTheCluster(t *testing.T) {
	for name, tc := range map[string]struct {
		cluster *v1alpha1.EtcdCluster
		owned   bool
	}{
		"by default volumes are retained":   {cluster(), false},
		"Retain":                            {cluster(reclaim(v1alpha1.ReclaimRetain)), false},
		"Delete":                            {cluster(reclaim(v1alpha1.ReclaimDelete)), true},
		"ephemeral data goes with its Pods": {cluster(ephemeral(v1alpha1.EphemeralDisk, "")), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLatch(tc.cluster, 1, testToken, 3, "3.6.16")
			for _, obj := range []metav1.Object{
				Latch(tc.cluster, l), Volume(tc.cluster, bootstrapped(tc.cluster, 0, "3.6.16")),
			} {
				owner := metav1.GetControllerOf(obj)
				if (owner != nil) != tc.owned || len(obj.GetOwnerReferences()) > 1 {
					t.Fatalf("%s has the owners %v", obj.GetName(), obj.GetOwnerReferences())
				}
				if tc.owned && (owner.UID != testUID || owner.Kind != "EtcdCluster" || !*owner.BlockOwnerDeletion) {
					t.Errorf("%s has the owner %v", obj.GetName(), owner)
				}
			}
		})
	}
}

func TestParseLatchRefusesARecordThatContradictsItself(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.ConfigMap)
		want   string
	}{
		"no data":              {func(cm *corev1.ConfigMap) { cm.Data = nil }, "generation is"},
		"generation 0":         {func(cm *corev1.ConfigMap) { cm.Data["generation"] = "0" }, "generation is"},
		"no token":             {func(cm *corev1.ConfigMap) { delete(cm.Data, "token") }, "token is missing"},
		"another token":        {func(cm *corev1.ConfigMap) { cm.Data["token"] = "x" }, "cluster-id is"},
		"another size":         {func(cm *corev1.ConfigMap) { cm.Data["size"] = "5" }, "has 3 members, but size is 5"},
		"no version":           {func(cm *corev1.ConfigMap) { delete(cm.Data, "version") }, "version is missing"},
		"formed is no Boolean": {func(cm *corev1.ConfigMap) { cm.Data["formed"] = "yes" }, "formed is"},
		"another cluster ID":   {func(cm *corev1.ConfigMap) { cm.Data["cluster-id"] = "1" }, "but etcd derives"},
		"no cluster ID":        {func(cm *corev1.ConfigMap) { delete(cm.Data, "cluster-id") }, "cluster-id is"},
		"no list of launched":  {func(cm *corev1.ConfigMap) { delete(cm.Data, "launched") }, "launched is missing"},
		"launched is no list":  {func(cm *corev1.ConfigMap) { cm.Data["launched"] = "abc,,1" }, "launched has"},
		"launched has no ID":   {func(cm *corev1.ConfigMap) { cm.Data["launched"] = "0" }, "launched has"},
		"another namespace":    {func(cm *corev1.ConfigMap) { cm.Namespace = "copy" }, "another cluster or namespace"},
		"another cluster's":    {func(cm *corev1.ConfigMap) { cm.Labels[LabelCluster] = "x" }, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster()
			cm := Latch(c, NewLatch(c, 1, testToken, 3, "3.6.16"))
			tc.change(cm)
			l, err := ParseLatch(cm)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got error %v, want one with %q", err, tc.want)
			}
			if !reflect.DeepEqual(l, state.Latch{}) {
				t.Errorf("a latch came with the error: %+v", l)
			}
		})
	}
}
