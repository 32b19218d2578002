package sim

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/quorum"
)

// TestSchedules runs random schedules of edits and faults: SIM_RUNS of them, or as many as -rapid.checks says. After
// every action the invariants hold; when the faults end, the cluster becomes what the spec asks for, with all
// acknowledged writes, and comes to rest. RAPID_FAILFILE or -rapid.seed repeats a failure.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { schedule(r) })
}

func schedule(r *rapid.T) {
	w := newWorld(4)
	ephemeral := rapid.IntRange(0, 3).Draw(r, "ephemeral") == 0
	create(w, size(r), ephemeral)
	actions := actionsOf(w, ephemeral)
	for range rapid.IntRange(5, 60).Draw(r, "actions") {
		a := rapid.SampledFrom(actions).Draw(r, "action")
		a.do(r)
		w.check()
		stopOnFailure(r, w)
	}
	settle(w)
	stopOnFailure(r, w)
}

func stopOnFailure(r *rapid.T, w *world) {
	if len(w.failures) > 0 {
		r.Fatalf("%s\n\ntrace:\n%s", strings.Join(w.failures, "\n"), strings.Join(w.trace, "\n"))
	}
}

func size(r *rapid.T) int32 { return rapid.SampledFrom([]int32{1, 3, 5}).Draw(r, "replicas") }

func create(w *world, replicas int32, ephemeral bool) {
	obj := &v1alpha1.EtcdCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: clusterName}}
	obj.Spec.Replicas = ptr.To(replicas)
	if ephemeral {
		obj.Spec.Storage.Ephemeral = &v1alpha1.EphemeralStorage{}
	}
	must(w.store.create(obj))
	w.log("the user creates a cluster of %d, ephemeral %t", replicas, ephemeral)
}

// action is something that happens.
type action struct {
	name string
	do   func(*rapid.T)
}

func actionsOf(w *world, ephemeral bool) []action {
	step := func(r *rapid.T) {
		i := rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(r, "operator")
		w.operators[i].cache.sync()
		w.reconcile(i)
		w.tick()
	}
	list := []action{
		{"time passes and an operator reconciles", step},
		{"time passes and an operator reconciles several times", func(r *rapid.T) {
			for range rapid.IntRange(2, 12).Draw(r, "times") {
				w.operators[0].cache.sync()
				w.reconcile(0)
				w.tick()
				put(w)
			}
		}},
		{"an operator reconciles on a stale cache", func(r *rapid.T) {
			i := rapid.IntRange(0, 1).Draw(r, "operator")
			for _, kind := range []string{"Pod", "PersistentVolumeClaim", "ConfigMap", "EtcdCluster", "Service", "PodDisruptionBudget"} {
				w.operators[i].cache.advance(kind, rapid.IntRange(0, 4).Draw(r, kind))
			}
			w.reconcile(i)
		}},
		{"time passes", func(r *rapid.T) {
			for range rapid.IntRange(1, 8).Draw(r, "ticks") {
				w.tick()
			}
		}},
		{"a client writes", func(*rapid.T) { put(w) }},
		{"the user scales", func(r *rapid.T) { scale(w, size(r)) }},
		{"a fault is due", func(r *rapid.T) {
			f := fault{in: rapid.IntRange(1, 12).Draw(r, "calls from now")}
			switch rapid.IntRange(0, 4).Draw(r, "kind") {
			case 0:
				f.crash = true
			case 1:
				f.crash, f.after = true, true
			case 2:
				f.what = etcd.DropRequest
			case 3:
				f.what = etcd.LoseReply
			default:
				f.other = true
			}
			w.faults = append(w.faults, f)
		}},
		{"a Service or the budget is deleted", func(r *rapid.T) {
			kind := rapid.SampledFrom([]string{"Service", "PodDisruptionBudget"}).Draw(r, "kind")
			for _, obj := range sorted(w.store.objects) {
				if kindOf(obj) == kind {
					w.log("somebody deletes %s %s", kind, obj.GetName())
					must(w.store.remove(refOf(obj), nil, false))
					return
				}
			}
		}},
		{"a Pod is deleted", func(r *rapid.T) { losePod(r, w, ephemeral, "delete") }},
		{"a Pod is force-deleted", func(r *rapid.T) { losePod(r, w, ephemeral, "force") }},
		{"etcd is killed", func(r *rapid.T) { losePod(r, w, ephemeral, "kill") }},
		{"the operator restarts", func(*rapid.T) { w.restart(0) }},
	}
	if ephemeral {
		return list
	}
	return append(list,
		action{"a node loses power", func(r *rapid.T) {
			node := rapid.SampledFrom(w.kube.nodes).Draw(r, "node")
			w.log("%s loses power", node)
			w.kube.powerOff(node)
		}},
		action{"a node boots", func(r *rapid.T) {
			node := rapid.SampledFrom(w.kube.nodes).Draw(r, "node")
			w.log("%s boots", node)
			w.kube.powerOn(node)
		}},
		action{"a node is cut off, or is connected again", func(r *rapid.T) {
			w.partition(rapid.SampledFrom(w.kube.nodes).Draw(r, "node"), rapid.Bool().Draw(r, "cut off"))
		}},
		action{"the latch is deleted", func(*rapid.T) {
			if cm, ok := get[*corev1.ConfigMap](w.store, namespace, clusterName+"-latch"); ok && w.formed != 0 {
				w.log("somebody deletes the latch")
				must(w.store.remove(refOf(cm), nil, false))
			}
		}},
		action{"the EtcdCluster is deleted and created again", func(r *rapid.T) {
			w.log("the user deletes the cluster and creates it again")
			must(w.store.remove(ref{"EtcdCluster", namespace, clusterName}, nil, false))
			create(w, size(r), false)
		}},
	)
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

// losePod takes a Pod away. An ephemeral cluster loses one only while it can afford it: what the schedule itself
// destroys is no fault of the operator.
func losePod(r *rapid.T, w *world, ephemeral bool, how string) {
	pods := all[*corev1.Pod](w.store)
	if len(pods) == 0 {
		return
	}
	pod := pods[rapid.IntRange(0, len(pods)-1).Draw(r, "pod")]
	if ephemeral && how != "kill" {
		if w.formed == 0 || !w.affordable(pod) {
			return
		}
	}
	w.log("somebody deletes Pod %s (%s)", pod.Name, how)
	switch how {
	case "kill":
		w.etcd.Stop(string(pod.UID))
	case "force":
		// A node that is cut off goes on running the process until its kubelet hears of the deletion.
		if !w.partitioned[pod.Spec.NodeName] {
			w.etcd.Stop(string(pod.UID))
		}
		must(w.store.remove(refOf(pod), nil, true))
	default:
		must(w.store.remove(refOf(pod), nil, false))
	}
}

// affordable tells that a majority of the members keep their Pods when this one goes.
func (w *world) affordable(leaving *corev1.Pod) bool {
	staying := map[uint64]bool{}
	for _, pod := range all[*corev1.Pod](w.store) {
		state, _ := w.etcd.State(string(pod.UID))
		staying[state.MemberID] = pod.DeletionTimestamp == nil && pod.UID != leaving.UID
	}
	t := w.truth()
	for i := range t.members {
		t.members[i].Healthy = t.members[i].Healthy && staying[t.members[i].ID]
	}
	return quorum.Project(t.members, quorum.Change{}).Allowed
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
			w.etcd.Partition(string(pod.UID), cut)
			w.etcd.Unreachable(string(pod.UID), cut)
		}
	}
}

// settle ends all faults and waits for rest: as the spec asks, ready, and without another write.
func settle(w *world) {
	w.log("the faults end")
	w.faults = nil
	for _, node := range w.kube.nodes {
		w.kube.powerOn(node)
		w.partition(node, false)
	}
	const rounds, rest = 400, 8
	quiet := 0
	for range rounds {
		writes := w.writes
		w.operators[0].cache.sync()
		w.reconcile(0)
		w.tick()
		if len(w.failures) > 0 {
			return
		}
		if w.writes != writes || !asSpecified(w) {
			quiet = 0
			continue
		}
		if quiet++; quiet == rest {
			return
		}
	}
	c := w.cluster()
	w.fail("the cluster does not come to rest: %s", describeStatus(c))
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
		ptr.Deref(c.Status.Replicas, 0) == *c.Spec.Replicas && voters == int(*c.Spec.Replicas)
}

func describeStatus(c *v1alpha1.EtcdCluster) string {
	var parts []string
	for _, cond := range c.Status.Conditions {
		parts = append(parts, fmt.Sprintf("%s=%s %s: %s", cond.Type, cond.Status, cond.Reason, cond.Message))
	}
	return strings.Join(parts, "\n")
}
