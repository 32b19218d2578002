//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/tenant"
)

// The test measures gaps: it does not run in parallel with others.

func TestAKubernetesOnTopMissesNothingWhateverHappensToItsDatastore(t *testing.T) {
	full(t)
	w := newWorld(t)
	w.localOnly()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	w.ctx = ctx
	c := w.create("demo", spec(3))
	c.ready()
	k := c.kubernetesOnTop()
	k.mustSpeakTLS()
	k.populate()
	k.keysAreInEveryMember()
	k.observe()

	k.fault("nothing", func() { k.must(k.writer.Timeline.MoreAfter(k.ctx, time.Now(), 200)) })
	k.fault("scaled from 3 to 5", func() { k.scale(5); k.ready() })
	k.fault("scaled from 5 to 3", func() { k.scale(3); k.ready() })
	k.fault("etcd of the leader is killed", k.leaderKilled)
	k.fault("a Pod is deleted", k.podDeleted, ending)
	k.fault("a member is removed by hand and replaced", k.memberReplaced, ending)
	k.fault("certificates are renewed", k.certificatesRenewed)
	k.restart("kube-apiserver is restarted, nothing else")
	k.rotateCA()
	leader := k.leader()
	follows, leads := func(name string) bool { return name != leader }, func(name string) bool { return name == leader }
	k.fault("the followers' Pods are deleted in turn after the rotation", func() { k.podsDeleted(follows) }, ending)
	k.fault("the leader's Pod is deleted", func() { k.podsDeleted(leads) }, ending, noLeader)

	k.finish()
	k.keysAreInEveryMember()
}

// onTop is a Kubernetes whose datastore is the cluster of a test, and what is seen of it.
type onTop struct {
	*cluster
	plane     *tenant.ControlPlane
	objects   dynamic.Interface
	clientset kubernetes.Interface

	readiness *tenant.Timeline
	writer    *tenant.Writer
	watches   map[string]*tenant.Watch
	etcd      *tenant.EtcdWatch
	rows      []row
}

// row is what a fault has cost.
type row struct {
	fault                    string
	took, unready, unwritten time.Duration
}

func (c *cluster) kubernetesOnTop() *onTop {
	c.t.Helper()
	plane, err := tenant.Start(c.ctx, c.Environment, c.key, c.t.TempDir())
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Log(plane.Logs(60))
		}
		if err := plane.Stop(); err != nil {
			c.t.Error(err)
		}
	})
	c.must(err)
	k := &onTop{cluster: c, plane: plane, watches: map[string]*tenant.Watch{}}
	k.objects, err = dynamic.NewForConfig(plane.Config())
	c.must(err)
	k.clientset, err = kubernetes.NewForConfig(plane.Config())
	c.must(err)
	return k
}

// observe polls the readiness, opens the watches and starts the writer.
func (k *onTop) observe() {
	k.t.Helper()
	ctx, stop := context.WithCancel(k.ctx)
	k.t.Cleanup(stop)
	const namespace = "writing"
	_, err := k.clientset.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	k.must(err)
	k.readiness, err = tenant.PollReadiness(ctx, k.plane.Config())
	k.must(err)
	k.writer, err = tenant.NewWriter(ctx, k.objects, namespace)
	k.must(err)
	var revision uint64
	for _, kind := range tenant.Kinds() {
		k.watches[kind.Resource], revision, err = tenant.OpenWatch(ctx, k.objects, kind, namespace)
		k.must(err)
	}
	k.etcd, err = k.plane.WatchEtcd(ptr.Deref(k.get().Status.Version, ""), revision, k.writer)
	k.must(err)
	k.writer.Run(ctx)
	k.t.Cleanup(func() { stop(); k.writer.Stop() })
}

// noLeader is how a member refuses a watch that is opened while it knows of no leader. Whose connection ends with the
// leader's Pod may open it on a member that is about to be elected (server/etcdserver/api/v3rpc/interceptor.go,
// newStreamInterceptor); the API server lists again then, and the writer's watches tell that nothing was missed.
const noLeader = "etcdserver: no leader"

// ending is what a client hears that opens a watch in the instant in which a member stops: over TLS etcd serves gRPC by
// an HTTP server (server/embed/serve.go), which answers a handler that returns before it wrote anything with 200 and no
// header. The API server lists again then, too.
const ending = "malformed header: missing HTTP content-type"

// fault does something to the datastore. Afterwards the API server must be ready and written to, and its own watches
// of etcd must not have been cut, but for a reason that is expected.
func (k *onTop) fault(name string, act func(), expected ...string) {
	k.t.Helper()
	caches, cuts := k.watchCacheStarts(), k.cutWatches()
	if r := k.measure(name, act); max(r.unready, r.unwritten) > tolerable {
		k.t.Errorf("%s: the API server was not ready for %s and wrote nothing for %s, want at most %s",
			name, r.unready, r.unwritten, tolerable)
	}
	for cache, starts := range k.watchCacheStarts() {
		if starts != caches[cache] {
			k.t.Errorf("%s: the watch cache %s was filled %d times, before %d", name, cache, starts, caches[cache])
		}
	}
	cut := slices.DeleteFunc(k.cutWatches()[len(cuts):], func(line string) bool {
		return slices.ContainsFunc(expected, func(why string) bool { return strings.Contains(line, why) })
	})
	if len(cut) > 0 {
		k.t.Errorf("%s: %d watches of the API server on etcd were cut, the first one: %s", name, len(cut), cut[0])
	}
}

// restart restarts the API server, and the watch on etcd, both of which read their CA once.
func (k *onTop) restart(name string) {
	k.t.Helper()
	k.measure(name, func() {
		k.must(k.plane.RestartAPIServer(k.ctx))
		k.must(k.etcd.Restart(k.ctx))
	})
}

func (k *onTop) measure(name string, act func()) row {
	k.t.Helper()
	from := time.Now()
	act()
	r := row{fault: name, took: time.Since(from)}
	done := time.Now()
	ctx, cancel := k.within(settle)
	defer cancel()
	k.must(k.writer.Timeline.MoreAfter(ctx, done, 50))
	k.must(k.readiness.MoreAfter(ctx, done, 20))
	k.must(k.plane.Running())
	k.must(k.etcd.Failure())
	to := time.Now()
	r.unready, r.unwritten = k.readiness.LongestGap(from, to), k.writer.Timeline.LongestGap(from, to)
	k.rows = append(k.rows, r)
	return r
}

func (k *onTop) watchCacheStarts() map[string]int {
	k.t.Helper()
	starts, err := tenant.WatchCacheStarts(k.ctx, k.clientset)
	k.must(err)
	return starts
}

func (k *onTop) cutWatches() []string {
	k.t.Helper()
	cut, err := k.plane.CutWatches()
	k.must(err)
	return cut
}

func (k *onTop) leaderKilled() {
	before := k.pod(k.leader())
	k.must(framework.KillEtcd(before))
	k.restarted(before)
	k.ready()
}

func (k *onTop) podDeleted() {
	old := k.pod(k.follower())
	k.deletePod(old.Name, 30)
	k.replaced(old)
}

// podsDeleted has the clients of these members connect anew.
func (k *onTop) podsDeleted(these func(name string) bool) {
	for _, m := range k.get().Status.Members {
		if !these(m.Name) {
			continue
		}
		old := k.pod(m.Name)
		k.deletePod(old.Name, 30)
		k.replaced(old)
	}
}

// memberReplaced puts a new member, at first a learner, behind an endpoint that the API server uses.
func (k *onTop) memberReplaced() {
	victim := k.follower()
	id := k.ids()[victim]
	k.eventually("removing "+victim, settle, func(context.Context) string {
		if k.ids()[victim] != id {
			return ""
		}
		// Etcd refuses it for some seconds after a member was away.
		_, err := k.tryKubectl("exec", k.memberBeside(victim), "--", "etcdctl", "member", "remove", fmt.Sprintf("%x", id))
		return errorText(err)
	})
	k.eventually("waiting until "+victim+" is another member", settle, func(context.Context) string {
		if got := k.ids()[victim]; got == 0 || got == id {
			return fmt.Sprintf("it is member %x, was %x", got, id)
		}
		return ""
	})
	k.ready()
}

// keysAreInEveryMember lists the keys in each member as a person would, and compares them with the objects that the API
// server lists.
func (k *onTop) keysAreInEveryMember() {
	k.t.Helper()
	for _, m := range k.get().Status.Members {
		count := 0
		k.eventually("comparing the keys in "+m.Name+" with the objects", 30*time.Second, func(ctx context.Context) string {
			objects, err := tenant.Keys(ctx, k.objects)
			if err != nil {
				return err.Error()
			}
			keys := tenant.KeysIn(k.etcdctl(m.Name, "get", "/", "--prefix", "--keys-only"))
			count = len(keys)
			return difference(objects, keys)
		})
		k.t.Logf("%s holds the keys of all %d objects", m.Name, count)
	}
}

// difference tells what only one of two sorted lists holds; empty when they are the same.
func difference(objects, keys []string) string {
	var faults []string
	for _, key := range objects {
		if _, found := slices.BinarySearch(keys, key); !found {
			faults = append(faults, key+" is not in etcd")
		}
	}
	for _, key := range keys {
		if _, found := slices.BinarySearch(objects, key); !found {
			faults = append(faults, key+" is in etcd and no object")
		}
	}
	return strings.Join(faults[:min(10, len(faults))], ", ")
}

// finish stops everything, reads back what was acknowledged, compares it with what each watch saw, and prints the gaps.
func (k *onTop) finish() {
	k.t.Helper()
	k.writer.Stop()
	written := 0
	for _, kind := range tenant.Kinds() {
		acknowledged := k.writer.Acknowledged(kind)
		written += len(acknowledged)
		if err := k.writer.CheckStored(k.ctx, kind); err != nil {
			k.t.Error(err)
		}
		k.sawEverything(kind, acknowledged)
	}
	k.must(k.etcd.Stop(k.ctx))
	k.must(k.plane.Failure())
	failed, last := k.writer.Timeline.Failures()
	k.t.Logf("%d writes, %d attempts failed (the last one: %v)\n%s", written, failed, last, k.table())
}

// sawEverything compares what both watches of a kind saw with what was acknowledged.
func (k *onTop) sawEverything(kind tenant.Kind, acknowledged []tenant.Entry) {
	k.t.Helper()
	k.eventually("waiting until the watches have seen all "+kind.Resource, time.Minute, func(context.Context) string {
		through, direct := k.watches[kind.Resource].LastSeen(), k.etcd.History(kind).LastSeen()
		if want := acknowledged[len(acknowledged)-1].Revision; min(through, direct) < want {
			return fmt.Sprintf("they have seen revisions %d and %d, want %d", through, direct, want)
		}
		return ""
	})
	history := k.watches[kind.Resource].Stop()
	for _, end := range history.Unexplained(k.plane.Restarts()) {
		k.t.Errorf("the watch of %s was cut at %s: %s", kind.Resource, end.At.Format(time.TimeOnly), end.Reason)
	}
	if kind.Uncached && len(history.Holes) > 0 {
		k.t.Errorf("the watch of %s could not resume %d times, and had to list", kind.Resource, len(history.Holes))
	}
	pending := k.writer.Pending(kind)
	for _, fault := range history.Check(acknowledged, pending) {
		k.t.Errorf("the watch of %s: %s", kind.Resource, fault)
	}
	for _, fault := range k.etcd.History(kind).Check(acknowledged, pending) {
		k.t.Errorf("etcd's own watch of %s: %s", kind.Resource, fault)
	}
	k.t.Logf("%s: %d writes acknowledged and seen by both watches; that of the API server resumed %d times by "+
		"resourceVersion and %d times by a list", kind.Resource, len(acknowledged), history.Resumed, len(history.Holes))
}

func (k *onTop) table() string {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "longest gap\treadiness\twrites\tthe whole took\t")
	for _, r := range k.rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", r.fault, r.unready.Round(time.Millisecond),
			r.unwritten.Round(time.Millisecond), r.took.Round(100*time.Millisecond))
	}
	_ = table.Flush() // a buffer takes everything
	return b.String()
}
