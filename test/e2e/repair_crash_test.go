//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

func TestAMemberThatCrashesOnItsDatabaseIsReplacedAndItsVolumeKept(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3, repairAfter(5*time.Second)))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.follower())
	volume := c.volumeOf(victim)
	c.damageDatabase(victim) // the next write makes it panic
	c.onlyReplaced(ids, victim.Name)
	c.keptAsEvidence(volume)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAMemberThatCrashesOnItsLogIsOnlyReportedWhereRepairIsManualUntilAPersonAsks(t *testing.T) {
	t.Parallel()
	world := newWorld(t)
	world.localOnly()
	c := world.create("demo", spec(3, repairManually))
	c.ready()
	ids := c.ids()
	w := c.write()
	victim := c.pod(c.follower())
	volume := c.volumeOf(victim)
	w.damageLog(victim)
	c.must(framework.KillEtcd(victim))
	obj := c.condition(v1alpha1.ConditionDegraded, metav1.ConditionTrue, v1alpha1.ReasonMemberLost)
	w.goesOn()
	c.remain(ids, 5*time.Second)
	if now := c.volumeOf(c.pod(victim.Name)); now.UID != volume.UID {
		t.Errorf("%s runs on the claim %s, want %s as before", victim.Name, now.Name, volume.Name)
	}

	command := strings.Fields(c.commandIn(obj))
	t.Logf("a person runs: %s", strings.Join(command, " "))
	if !slices.Contains(command, v1alpha1.AnnotationReplaceMember+"="+resources.FormatID(ids[victim.Name])) {
		t.Fatalf("the command %q does not ask for the replacement of member %x", command, ids[victim.Name])
	}
	_, err := c.Run(c.ctx, c.Kubectl(command[1:]...)...)
	c.must(err)
	c.onlyReplaced(ids, victim.Name)
	c.keptAsEvidence(volume)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// damageDatabase overwrites the member's database with zeros, below the running etcd.
func (c *cluster) damageDatabase(pod *corev1.Pod) {
	c.t.Helper()
	path := filepath.Join(c.pathOf(pod), "data", "member", "snap", "db")
	info, err := os.Stat(path)
	c.must(err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	c.must(err)
	defer func() { c.must(file.Close()) }()
	_, err = file.WriteAt(make([]byte, info.Size()), 0)
	c.must(err)
}

// damageLog changes a byte of an entry in the member's write-ahead log, below the running etcd, so that its checksum is
// wrong.
func (w *writing) damageLog(pod *corev1.Pod) {
	w.t.Helper()
	logs, err := filepath.Glob(filepath.Join(w.pathOf(pod), "data", "member", "wal", "*.wal"))
	w.must(err)
	if len(logs) == 0 {
		w.t.Fatalf("%s has no write-ahead log", pod.Name)
	}
	path := slices.Max(logs)
	content, err := os.ReadFile(path)
	w.must(err)
	at := bytes.Index(content, []byte(w.writer.Prefix()))
	if at < 0 {
		w.t.Fatalf("%s holds no entry of the writer", path)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.must(err)
	defer func() { w.must(file.Close()) }()
	_, err = file.WriteAt([]byte{content[at] ^ 1}, int64(at))
	w.must(err)
}

// commandIn is the command that the status tells a person to run.
func (c *cluster) commandIn(obj *v1alpha1.EtcdCluster) string {
	c.t.Helper()
	message := ""
	if cond := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionProgressing); cond != nil {
		message = cond.Message
	}
	command := regexp.MustCompile(`kubectl [^;,]*=[0-9a-f]+`).FindString(message)
	if command == "" {
		c.t.Fatalf("the condition Progressing names no command to run: %s", framework.ShortStatus(obj))
	}
	return command
}

// keptAsEvidence waits until the status says that the volume is kept, and checks that it is, retired and marked.
func (c *cluster) keptAsEvidence(volume *corev1.PersistentVolumeClaim) {
	c.t.Helper()
	c.await("waiting until the status names the volume that is kept", func(obj *v1alpha1.EtcdCluster) string {
		return framework.Mentions(obj, v1alpha1.ConditionProgressing, "the volume "+volume.Name+" of a removed member is kept")
	})
	c.staysSo("the volume is to be kept", 3*time.Second, func(ctx context.Context) string {
		claims, err := c.claims(ctx)
		if err != nil {
			return err.Error()
		}
		kept := claims[volume.Name]
		if kept.UID != volume.UID || kept.DeletionTimestamp != nil || kept.Annotations[resources.AnnotationEvidence] != "true" {
			return fmt.Sprintf("%s is not kept as evidence: %v", volume.Name, kept.ObjectMeta)
		}
		for _, m := range c.get().Status.Members {
			if ptr.Deref(m.Volume, "") == volume.Name {
				return m.Name + " runs on " + volume.Name
			}
		}
		return ""
	})
}
