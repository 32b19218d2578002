//go:build e2e

package e2e

import (
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

func TestAMemberThatEtcdCallsCorruptIsReplacedAndItsVolumeKept(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.follower())
	volume := c.volumeOf(victim)
	c.raiseCorrupt(c.leader(), ids[victim.Name])
	c.onlyReplaced(ids, victim.Name)
	w.goesOn() // no write is accepted while the alarm is raised
	w.nothingLost()
	claims, err := c.claims(c.ctx)
	c.must(err)
	if kept, found := claims[volume.Name]; !found || kept.Annotations[resources.AnnotationEvidence] != "true" {
		t.Errorf("the volume %s of the corrupt member is not kept as evidence: %v", volume.Name, kept.Annotations)
	}
}

func TestCorruptionThatNobodyIsNamedForIsLeftToPeople(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids := c.ids()
	c.raiseCorrupt(c.leader(), 0)
	c.condition(v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonAlarm)
	c.remain(ids, 5*time.Second)
}

// raiseCorrupt raises the alarm as etcd does when it finds that a member's data differs.
func (c *cluster) raiseCorrupt(through string, id uint64) {
	c.t.Helper()
	client, err := c.members.Client(c.ctx, through)
	c.must(err)
	_, err = etcdserverpb.NewMaintenanceClient(client.ActiveConnection()).Alarm(c.ctx, &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: id, Alarm: etcdserverpb.AlarmType_CORRUPT,
	})
	c.must(err)
}
