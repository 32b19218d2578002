package plan

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// relocationNeed has a voter moved that cannot stay on its volume or node. It may well be healthy: nothing stops it
// before another one has taken its place.
func relocationNeed(c *state.Cluster, m state.Member) need {
	why := otherClass(c, m.Volume)
	if why == "" {
		why = stranded(c, m)
	}
	if why == "" && c.Replicas() == 1 && cordoned(c, m) && !surging(c, m) {
		why = "it is the only member, and its node " + m.Pod.Node + " is cordoned"
	}
	if why == "" {
		return need{}
	}
	return need{how: moved, activity: v1alpha1.ReasonMovingMember, why: why}
}

// otherClass says that the volume is of another storage class than the spec names; empty when it is not. A spec that
// names none is content with what there is. What was asked for counts as well as what the claim has: an admission
// webhook that changes it has nobody moved for ever.
func otherClass(c *state.Cluster, v *state.Volume) string {
	wanted := ptr.Deref(c.Object.Spec.Storage.StorageClassName, "")
	if v == nil || wanted == "" || v.StorageClass == wanted || v.ActualStorageClass == wanted {
		return ""
	}
	return fmt.Sprintf("its volume is of storage class %q and the spec asks for %q",
		cmp.Or(v.ActualStorageClass, v.StorageClass), wanted)
}

// stranded says that the Pod, created again as the spec asks for now, could not be where its volume is; empty when it
// could. A node that ceases to be one that the spec admits moves nobody: what runs there stays, as for any other Pod.
func stranded(c *state.Cluster, m state.Member) string {
	if m.Volume == nil || m.Volume.Disk == nil || !m.Volume.Disk.Unfit || m.Pod == nil {
		return ""
	}
	version, _ := target(c, m)
	switch changed := resources.Compare(m.Pod.Applied, desiredTemplate(c, m)).Recreate; {
	case len(changed) == 0 && (!difference(c, m, version).Image || runsWith(c, m, version)):
		return ""
	case slices.Equal(changed, []string{"storage.size"}) && wantedQuota(c) == m.Quota():
		return "" // volumes have grown, and the quota has not
	}
	return "its volume cannot be attached to any node that spec.podTemplate admits"
}

// unbound tells, after what the scheduler says, which claim has no volume yet: it may be of a class that does not
// exist, which no scheduler names. Empty when it has one.
func unbound(v *state.Volume) string {
	if v == nil || v.PersistentVolume != "" {
		return ""
	}
	return fmt.Sprintf("; no volume is bound to its claim %s of storage class %q yet", v.Name,
		cmp.Or(v.ActualStorageClass, v.StorageClass))
}
