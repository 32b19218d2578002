//go:build e2e

package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestADowngradeIsCancelledForARepairAndGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, version("3.7.3")))
	c.ready()
	ids := c.ids()
	w := c.write()
	seen := c.downgrades()
	victim := c.follower()
	c.edit(version("3.6.16"))
	c.eventually("waiting until the downgrade is enabled", settle, func(context.Context) string {
		if !slices.Contains(seen.so(), "enabled") {
			return "it is not"
		}
		return ""
	})
	c.must(c.Client.Delete(c.ctx, c.volumeOf(c.pod(victim))))
	c.deletePod(victim, 0)
	c.onlyReplaced(ids, victim)
	c.runs("3.6.16")
	if got, want := seen.so(), []string{"enabled", "disabled", "enabled"}; len(got) < len(want) || !slices.Equal(got[:3], want) {
		t.Errorf("members told that the downgrade is %v, want %v: it is cancelled for the repair, and goes on", got, want)
	}
	w.goesOn()

	ids = c.ids()
	before, start := c.incarnations(), time.Now()
	c.edit(version("3.5.35"))
	c.runs("3.5.35")
	t.Logf("3.6.16 down to 3.5.35 took %s", time.Since(start).Round(100*time.Millisecond))
	c.remade(before, true, true)
	c.sameMembers(ids)
	c.onlyVolumesOfMembers()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// downgrades is what the members told, one after the other, of a downgrade of etcd.
type downgrades struct {
	mu   sync.Mutex
	told []string
}

// downgrades follows what the members tell: "enabled" while any of them tells so, then "disabled" when all that answer
// do.
func (c *cluster) downgrades() *downgrades {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.ctx)
	d := &downgrades{}
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			d.add(c.downgradeTold(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	c.t.Cleanup(func() { stop(); done.Wait() })
	return d
}

// downgradeTold is empty when too few members answer.
func (c *cluster) downgradeTold(ctx context.Context) string {
	pods, err := c.members.Pods(ctx)
	if err != nil {
		return ""
	}
	answered := 0
	for i := range pods {
		etcd, err := c.members.ClientOf(ctx, &pods[i])
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		status, err := etcd.Status(ctx, etcd.Endpoints()[0])
		cancel()
		if err != nil {
			continue
		}
		answered++
		if status.DowngradeInfo.GetEnabled() {
			return "enabled"
		}
	}
	if answered < 2 {
		return ""
	}
	return "disabled"
}

func (d *downgrades) add(told string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := len(d.told) == 0
	if told == "" || first && told != "enabled" || !first && d.told[len(d.told)-1] == told {
		return
	}
	d.told = append(d.told, told)
}

// so is what was told so far, without repetitions.
func (d *downgrades) so() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told)
}
