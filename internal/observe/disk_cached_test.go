package observe

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// disks is a reader of PersistentVolumes, by the UIDs of the claims to which they are bound.
type disks struct {
	client.Reader
	boundTo map[string]types.UID
}

func (d disks) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	claim, found := d.boundTo[key.Name]
	if !found {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumes"}, key.Name)
	}
	pv := corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{UID: claim}}}
	pv.DeepCopyInto(into.(*corev1.PersistentVolume)) //nolint:forcetypeassert // the test reads nothing else
	return nil
}

// A claim may be seen bound before its new PersistentVolume is: the two are watched apart.
func TestAPersistentVolumeIsGoneOnlyWhenTheAPIServerSaysSo(t *testing.T) {
	volume := func() *state.Volume { return statetest.Formed(3).Build().Members[1].Volume }
	bound := func(to types.UID) disks {
		return disks{boundTo: map[string]types.UID{volume().PersistentVolume: to}}
	}
	for name, tc := range map[string]struct {
		cached, live disks
		gone         bool
	}{
		"it is cached":         {cached: bound(volume().UID)},
		"it is not cached yet": {live: bound(volume().UID)},
		"the cache has one of the name for another claim": {cached: bound("other"), live: bound(volume().UID)},
		"it is not there":       {gone: true},
		"it is another claim's": {cached: bound("other"), live: bound("other"), gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			v := volume()
			if _, err := (&Observer{Live: tc.live}).readDisk(t.Context(), tc.cached, v); err != nil {
				t.Fatal(err)
			}
			if v.Disk == nil || v.Disk.Gone != tc.gone {
				t.Errorf("got %+v, want gone to be %t", v.Disk, tc.gone)
			}
		})
	}
}
