//go:build e2e

package e2e

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestEphemeralMembersAreMovedForATemplateAndUpgradedInPlace(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("cache", v1alpha1.EtcdClusterSpec{
		Replicas: ptr.To[int32](3), Version: ptr.To("3.6.16"),
		Storage: v1alpha1.StorageSpec{Ephemeral: &v1alpha1.EphemeralStorage{}},
	})
	c.ready()
	ids := c.ids()
	w := c.write()

	before, start := c.incarnations(), time.Now()
	c.edit(version("3.7.3"))
	c.runs("3.7.3")
	t.Logf("3.6.16 to 3.7.3 took %s", time.Since(start).Round(100*time.Millisecond))
	c.remade(before, false, true)
	c.sameMembers(ids)
	w.goesOn()

	watched := c.membership()
	before, start = c.incarnations(), time.Now()
	c.edit(template(func(t *v1alpha1.PodTemplate) {
		t.Spec = &v1alpha1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](40)}
	}))
	c.ready()
	t.Logf("three members were moved in %s", time.Since(start).Round(100*time.Millisecond))
	c.remade(before, true, true)
	if seen := watched(); seen.fewestVoters < 3 || seen.mostMembers > 4 {
		t.Errorf("etcd listed %d voters at least and %d members at most, want 3 and 4: one at a time is added, and then "+
			"another one removed", seen.fewestVoters, seen.mostMembers)
	}
	for name, id := range c.ids() {
		if ids[name] == id {
			t.Errorf("%s is member %x still: it did not move, and its data went with its Pod", name, id)
		}
		if got := ptr.Deref(c.pod(name).Spec.TerminationGracePeriodSeconds, 0); got != 40 {
			t.Errorf("%s has a grace period of %d s, want 40", name, got)
		}
	}
	c.staysAsItIs()
	c.isSealed()
	w.nothingLost()
	w.gapAtMost(tolerable)
}
