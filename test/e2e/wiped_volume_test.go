//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
)

func TestAMemberWhoseVolumeWasWipedRefusesToStartAndIsReplaced(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3))
	c.ready()
	w := c.write()
	victim := c.pod(c.follower())
	ids := c.ids()
	c.wipe(victim)
	c.must(framework.KillEtcd(victim))
	c.onlyReplaced(ids, victim.Name)
	w.nothingLost()
	w.gapAtMost(tolerable)
	c.onlyVolumesOfMembers()
}

// memberBeside is the name of a member that is not the named one.
func (c *cluster) memberBeside(not string) string {
	c.t.Helper()
	for name := range c.ids() {
		if name != not {
			return name
		}
	}
	c.t.Fatalf("there is no member besides %s", not)
	return ""
}

// wipe removes everything from the member's volume, below the running etcd.
func (c *cluster) wipe(pod *corev1.Pod) {
	c.t.Helper()
	path := c.pathOf(pod)
	entries, err := os.ReadDir(path)
	c.must(err)
	if len(entries) == 0 {
		c.t.Fatalf("%s is empty already: it is not the member's volume", path)
	}
	for _, entry := range entries {
		c.must(os.RemoveAll(filepath.Join(path, entry.Name())))
	}
}

// pathOf is where the member's volume is mounted on this machine.
func (c *cluster) pathOf(pod *corev1.Pod) string {
	c.t.Helper()
	claim := c.volumeOf(pod)
	pv := &corev1.PersistentVolume{}
	c.must(c.Client.Get(c.ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv))
	if pv.Spec.Local == nil {
		c.t.Fatalf("volume %s is not a local one, so its files cannot be reached: %v", pv.Name, pv.Spec)
	}
	return pv.Spec.Local.Path
}
