package sim

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// TestSchedules runs random schedules of edits and faults: SIM_RUNS of them, or as many as -rapid.checks says. After
// every action the invariants hold; when the faults end, the cluster becomes what the spec asks for, with all
// acknowledged writes, and comes to rest. A failure prints how to repeat it (-rapid.failfile, -rapid.seed).
func TestSchedules(t *testing.T) {
	seen := newCoverage()
	checkInParallel(t, func(r *rapid.T) { schedule(r, seen) })
	t.Log(seen)
	if seen.schedules >= longRun {
		checkCoverage(t, seen)
	}
}

func schedule(r *rapid.T, seen *coverage) { scheduleOf(r, seen, actionsOf) }

// scheduleOf draws from the actions that there are for such a cluster.
func scheduleOf(r *rapid.T, seen *coverage, actionsOf func(w *world, ephemeral bool) []action) {
	w := newWorld(4)
	defer w.endOperations()
	w.seen.schedules = 1
	ephemeral := rapid.IntRange(0, 3).Draw(r, "ephemeral") == 0
	drawTLS(r, w)
	drawVersion(r, w)
	w.space.frees = rapid.Bool().Draw(r, "frees space")
	create(w, size(r), ephemeral)
	actions := actionsOf(w, ephemeral)
	focus := focusOf(actions)
	for range rapid.IntRange(5, 60).Draw(r, "actions") {
		a := rapid.SampledFrom(actions).Draw(r, "action")
		if len(focus) > 0 && rapid.Bool().Draw(r, "focus") {
			a = rapid.SampledFrom(focus).Draw(r, "focused action")
		}
		w.seen.actions[a.name]++
		a.do(r)
		w.check()
		stopOnFailure(r, w)
	}
	settle(w)
	stopOnFailure(r, w)
	w.countSteps()
	seen.add(w.seen)
}

// focusVariable holds a regular expression of the names of actions that are drawn every other time.
const focusVariable = "QUORATE_SIM_FOCUS"

func focusOf(actions []action) []action {
	wanted := os.Getenv(focusVariable)
	if wanted == "" {
		return nil
	}
	names := regexp.MustCompile(wanted)
	return slices.DeleteFunc(slices.Clone(actions), func(a action) bool { return !names.MatchString(a.name) })
}

func stopOnFailure(r *rapid.T, w *world) {
	if len(w.failures) > 0 {
		r.Fatalf("%s", w.masked(strings.Join(w.failures, "\n")+"\n\ntrace:\n"+strings.Join(w.trace, "\n")))
	}
}

func size(r *rapid.T) int32 { return rapid.SampledFrom([]int32{1, 3, 5}).Draw(r, "replicas") }

func create(w *world, replicas int32, ephemeral bool) {
	obj := &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: clusterName}}
	obj.Spec.Replicas = ptr.To(replicas)
	obj.Spec.TLS = w.tls.DeepCopy()
	if w.firstVersion != "" {
		obj.Spec.Version = ptr.To(w.firstVersion)
	}
	if ephemeral {
		obj.Spec.Storage.Ephemeral = &v1alpha1.EphemeralStorage{}
	}
	must(w.store.create(obj))
	w.user = &user{world: w, lost: w.user != nil && w.user.lost && w.formed != 0}
	w.log("the user creates a cluster of %d, ephemeral %t, TLS %t", replicas, ephemeral, w.speaksTLS())
}

func scale(w *world, replicas int32) {
	c := w.cluster()
	if c == nil {
		return
	}
	w.log("the user scales to %d", replicas)
	c.Spec.Replicas = ptr.To(replicas)
	must(w.store.update(c, false))
}

// put writes through any member that serves. Before the cluster has formed no client has an address.
func put(w *world) {
	for _, pod := range all[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		if w.partitioned[pod.Spec.NodeName] || w.formed == 0 || state.ClusterID != w.formed {
			continue
		}
		w.puts++
		if w.etcd.Put(string(pod.UID), fmt.Sprintf("value-%d", w.puts)) == nil {
			return
		}
	}
}

func (w *world) partition(node string, cut bool) {
	w.log("%s cut off: %t", node, cut)
	if cut {
		w.partitioned[node] = true
	} else {
		delete(w.partitioned, node)
	}
	for _, pod := range all[*corev1.Pod](w.store) {
		if pod.Spec.NodeName == node {
			w.cutOff(pod, w.untrusted[pod.UID])
			w.hide(pod, w.hidden[pod.UID])
		}
	}
}

// hide cuts operators off from a member that all others, and Kubernetes, still reach.
func (w *world) hide(pod *corev1.Pod, on bool) {
	if w.hidden[pod.UID] != on {
		w.log("%s is hidden from operators: %t", pod.Name, on)
	}
	w.hidden[pod.UID] = on
	w.reachable(string(pod.UID))
}

// endMaintenance ends what people began.
func (w *world) endMaintenance() {
	w.pace = tickLength
	w.pause(false)
	w.space.stuck = false
	clear(w.kube.unpullable)
	for _, pod := range all[*corev1.Pod](w.store) {
		w.hide(pod, false)
	}
	for _, node := range w.kube.nodes {
		w.kube.taintOutOfService(node, false)
		w.kube.uncordon(node)
	}
	asked := corev1.ResourceRequirements{Requests: resources.Requests(w.cluster())}
	if slices.ContainsFunc(w.kube.nodes, func(node string) bool { return !feasible(node, asked) }) {
		w.editSpec("as much cpu as every node has", func(s *v1alpha1.EtcdClusterSpec) { s.PodTemplate.Spec.Resources = nil })
	}
	if c := w.cluster(); c.Spec.Image != nil {
		w.editSpec("the image as it was", func(s *v1alpha1.EtcdClusterSpec) { s.Image = nil })
	}
}

// settle ends all faults and waits for rest: as the spec asks, ready, and without another write.
func settle(w *world) {
	w.log("the faults end")
	w.faults = nil
	w.hibernate(false)
	w.editRepair(nil)
	w.endMaintenance()
	for _, node := range w.kube.nodes {
		if w.kube.down[node] {
			w.kube.powerOn(node)
		}
		w.partition(node, false)
	}
	// A rotation restarts every member twice, and another may be due after it.
	const rounds, rest = 400, 8
	limit := rounds
	if w.speaksTLS() {
		limit = 4 * rounds
	}
	quiet, idle := 0, 0
	for range limit {
		writes := w.writes
		w.step(0)
		if len(w.failures) > 0 {
			return
		}
		if idle++; w.writes != writes {
			idle = 0
		}
		if idle == 0 || w.help(idle >= rest) || !asSpecified(w) {
			quiet = 0
			continue
		}
		if quiet++; quiet == rest {
			checkReads(w)
			return
		}
	}
	c := w.cluster()
	w.fail("the cluster does not come to rest: %s; %s", w.unsettled(), describeStatus(c))
}

// checkReads: what rests costs the API server nothing. A single member has no budget, the lack of which is looked into.
func checkReads(w *world) {
	before := w.operators[0].liveReads
	w.step(0)
	if n := w.operators[0].liveReads - before; n > 0 && *w.cluster().Spec.Replicas > 1 {
		w.fail("the cluster rests, but the API server is asked %d times in one look", n)
	}
}

func asSpecified(w *world) bool {
	c := w.cluster()
	voters := 0
	for _, m := range w.truth().members {
		if m.Voter && m.Healthy {
			voters++
		}
	}
	return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) &&
		ptr.Deref(c.Status.Replicas, 0) == *c.Spec.Replicas && voters == int(*c.Spec.Replicas) &&
		(!w.speaksTLS() || meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionCertificatesValid)) &&
		w.unsettled() == ""
}

// help does what the status asks people for: it tells whether it did anything. Nobody but the clock helps while they
// are given time to load the next CA; it leaps once the operator has nothing else to do.
func (w *world) help(mayLeap bool) bool {
	c := w.cluster()
	asked := func(what string) bool { return strings.Contains(describeStatus(c), what) }
	switch {
	case w.acknowledges && w.user.acknowledge():
		return true
	case mayLeap && !w.acknowledges && c.Status.TLS != nil && c.Status.TLS.ClientsMustLoad != nil:
		w.sleepUntil(w.now.Add(resources.ClientGrace(c)))
		return true
	case w.speaksTLS() && asked("scale to 3 for the rotation"):
		scale(w, 3)
		return true
	case w.speaksTLS() && asked("delete all member Pods at once"):
		w.log("the user deletes all member Pods")
		for _, pod := range all[*corev1.Pod](w.store) {
			must(w.store.remove(refOf(pod), nil, false))
		}
		return true
	}
	return w.giveUp(describeStatus(c)) || w.makeRoom(describeStatus(c)) || w.byHand()
}

var randomName = regexp.MustCompile(clusterName + `-trust-[0-9a-z]+`)

// masked replaces the names that are made from random keys, so that a schedule that is repeated fails the same way.
func (w *world) masked(text string) string {
	known := map[string]string{}
	return randomName.ReplaceAllStringFunc(text, func(name string) string {
		if known[name] == "" {
			known[name] = fmt.Sprintf("%s-trust-(%d)", clusterName, len(known)+1)
		}
		return known[name]
	})
}

func describeStatus(c *v1alpha1.EtcdCluster) string {
	var parts []string
	for _, cond := range c.Status.Conditions {
		parts = append(parts, fmt.Sprintf("%s=%s %s: %s", cond.Type, cond.Status, cond.Reason, cond.Message))
	}
	return strings.Join(parts, "\n")
}
