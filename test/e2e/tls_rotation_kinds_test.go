//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// It kills the operator that all tests share: it does not run in parallel with others.
func TestARotationOfTheCAsGoesOnWhereAKilledOperatorLeftIt(t *testing.T) {
	c := newWorld(t).create("demo", spec(3, withTLS(clientGrace(0))))
	c.ready()
	old := c.credentials()
	l := c.load()
	stops := c.stops()

	processes := c.processes()
	c.edit(withTLS(caRotation("once")))
	c.restartedMembers(processes, 1)
	c.must(c.KillOperator(c.ctx)) // while members learn to trust the new CAs
	c.signedByAnother(old, state.ClientSide)
	c.must(c.KillOperator(c.ctx)) // while new certificates are brought to members
	processes = c.processes()
	c.restartedMembers(processes, 1)
	c.must(c.KillOperator(c.ctx)) // while members forget the old CAs

	c.rotated(old)
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	c.rolled(stops, 2)
	c.shutOut(old)
}

// restartedMembers waits until so many members run in other processes than before.
func (c *cluster) restartedMembers(before map[string]string, want int) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("waiting until %d members were restarted", want), settle, func(context.Context) string {
		restarted := 0
		for name, now := range c.processes() {
			if now != before[name] {
				restarted++
			}
		}
		if restarted < want {
			return fmt.Sprintf("%d were", restarted)
		}
		return ""
	})
}

// signedByAnother waits until another CA signs on the side.
func (c *cluster) signedByAnother(old credentials, side state.Side) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("waiting until another %s CA signs", side), settle, func(context.Context) string {
		if c.authority(side) == old.authorities[side] {
			return "it is the one of before"
		}
		return ""
	})
}

func TestTheCAsOfASingleMemberAreRotated(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, withTLS(clientGrace(0))))
	c.ready()
	ids, old := c.ids(), c.credentials()
	l := c.load()
	c.edit(withTLS(caRotation("once")))
	c.rotated(old)
	l.goesOn()
	l.unnoticed()
	c.sameMembers(ids)
	c.shutOut(old)
}

func TestTheCAsOfEphemeralMembersAreRotatedByReplacingThem(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("cache", v1alpha1.EtcdClusterSpec{
		Replicas: ptr.To[int32](3),
		Storage:  v1alpha1.StorageSpec{Ephemeral: &v1alpha1.EphemeralStorage{}},
		TLS:      &v1alpha1.TLSSpec{ClientGrace: &metav1.Duration{}},
	})
	c.ready()
	ids := c.ids()
	old := c.credentials()
	l := c.load()
	c.edit(withTLS(caRotation("once")))
	c.rotated(old)
	l.goesOn()
	l.unnoticed()
	l.gapAtMost(tolerable)
	for name, id := range c.ids() {
		if id == ids[name] {
			t.Errorf("%s is member %x as before, want a new ID: a restart would lose its data", name, id)
		}
	}
	c.shutOut(old)
}
