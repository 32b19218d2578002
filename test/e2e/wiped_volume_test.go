//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestAMemberWhoseVolumeWasWipedRefusesToStartAndIsReported(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3))
	c.ready()
	w := c.write()
	victim := c.pod(c.follower())
	id := c.ids()[victim.Name]
	c.wipe(victim)
	c.must(framework.KillEtcd(victim))
	c.condition(v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonVolumeWiped)
	c.event(v1alpha1.ReasonVolumeWiped)
	w.goesOn()
	for _, m := range c.get().Status.Members {
		want := v1alpha1.HealthHealthy
		if m.Name == victim.Name {
			want = v1alpha1.HealthUnhealthy
		}
		if m.Health != want {
			t.Errorf("%s is reported %s (%v), want %s", m.Name, m.Health, m.Message, want)
		}
	}
	if got := c.ids()[victim.Name]; got != id {
		t.Errorf("%s is member %x, want %x: a member whose volume was wiped is left alone", victim.Name, got, id)
	}
	// The way out that the condition names: the member is removed by hand, and a new one is added.
	c.etcdctl(c.memberBeside(victim.Name), "member", "remove", fmt.Sprintf("%x", id))
	c.ready()
	if got := c.ids()[victim.Name]; got == id {
		t.Errorf("%s is member %x again, want a new one", victim.Name, got)
	}
	w.nothingLost()
	w.gapAtMost(tolerable)
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
	claim := c.volumeOf(pod)
	pv := &corev1.PersistentVolume{}
	c.must(c.Client.Get(c.ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv))
	if pv.Spec.Local == nil {
		c.t.Fatalf("volume %s is not a local one, so its files cannot be reached: %v", pv.Name, pv.Spec)
	}
	entries, err := os.ReadDir(pv.Spec.Local.Path)
	c.must(err)
	if len(entries) == 0 {
		c.t.Fatalf("%s is empty already: it is not the member's volume", pv.Spec.Local.Path)
	}
	for _, entry := range entries {
		c.must(os.RemoveAll(filepath.Join(pv.Spec.Local.Path, entry.Name())))
	}
}
