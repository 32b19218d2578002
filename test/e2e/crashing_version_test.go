//go:build e2e

package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

// crashingVersion is no release of etcd.
const crashingVersion = "3.7.98"

// A release that ends as soon as it starts reaches one member; the version edited back heals it.
func TestAVersionThatCrashesStopsAtOneMemberAndIsMendedByEditingItBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localOnly() // into which an image can be loaded
	w.loadCrashingVersion()
	c := w.create("demo", spec(3, version("3.6.16")))
	c.ready()
	ids, before := c.ids(), c.incarnations()
	writing := c.write()
	c.edit(version(crashingVersion))
	broken := ""
	c.eventually("waiting for a member that crashes", settle, func(context.Context) string {
		for name, now := range c.incarnations() {
			for _, s := range c.pod(name).Status.ContainerStatuses {
				if end := s.LastTerminationState.Terminated; end != nil && s.RestartCount >= 3 && now.pod == before[name].pod {
					broken = name
					return ""
				}
			}
		}
		return "there is none"
	})
	c.staysSo("the other members are to be left alone", 8*time.Second, func(context.Context) string {
		return c.othersTouched(before, broken)
	})
	c.await("waiting until the crash is reported", func(obj *v1alpha1.EtcdCluster) string {
		for _, m := range obj.Status.Members {
			if m.Name == broken && m.Health == v1alpha1.HealthHealthy {
				return broken + " is reported healthy"
			}
		}
		return framework.HasCondition(obj, v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonQuorate)
	})
	writing.goesOn()

	c.edit(version("3.6.16"))
	c.ready()
	c.runs("3.6.16")
	if others := c.othersTouched(before, broken); others != "" {
		t.Error(others)
	}
	c.sameMembers(ids)
	writing.nothingLost()
	writing.gapAtMost(tolerable)
}

// loadCrashingVersion puts the operator into an image in the place of etcd, whose flags it does not know.
func (w *world) loadCrashingVersion() {
	w.t.Helper()
	tarball := filepath.Join(w.t.TempDir(), "etcd.tar")
	_, err := w.Run(w.ctx, w.Tool("pack", "--ref", "gcr.io/etcd-development/etcd:v"+crashingVersion, "--out", tarball,
		"--entrypoint", "/usr/local/bin/etcd", "--file", "bin/image/quorate=/usr/local/bin/etcd")...)
	w.must(err)
	_, err = w.Run(w.ctx, w.Tool("load", tarball)...)
	w.must(err)
}
