package sim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/resources"
)

// nodeActions are the maintenance of nodes, which any cluster has to survive.
func nodeActions(w *world) []action {
	node := func(r *rapid.T) string { return rapid.SampledFrom(w.kube.nodes).Draw(r, "node") }
	return []action{
		{"a node is drained", func(r *rapid.T) { w.kube.drain(node(r)) }},
		{"all nodes are drained at once", func(*rapid.T) {
			for _, n := range w.kube.nodes[1:] {
				w.kube.drain(n)
			}
		}},
		{"a node is cordoned, or its maintenance ends", func(r *rapid.T) {
			if n := node(r); rapid.Bool().Draw(r, "cordoned") {
				w.kube.cordon(n, true)
			} else {
				w.kube.uncordon(n)
			}
		}},
		{"an image cannot be pulled, or can again", func(r *rapid.T) {
			v := rapid.SampledFrom(versions()).Draw(r, "version")
			w.kube.unpullable[v] = !w.kube.unpullable[v]
			w.log("etcd %s cannot be pulled: %t", v, w.kube.unpullable[v])
		}},
		{"etcd runs out of space, or a person makes room", func(r *rapid.T) {
			if pod := anyPod(r, w); pod != nil && rapid.Bool().Draw(r, "out of space") {
				w.alarm(pod)
			} else {
				w.disarm()
			}
		}},
		{"operators cannot reach a member, or can again", func(r *rapid.T) {
			if pod := anyPod(r, w); pod != nil {
				w.hide(pod, rapid.Bool().Draw(r, "hidden"))
			}
		}},
		{"the user pauses or resumes", func(r *rapid.T) { w.pause(rapid.Bool().Draw(r, "paused")) }},
	}
}

// durableActions take more away than a cluster in its Pods could survive.
func durableActions(w *world) []action {
	node := func(r *rapid.T) string { return rapid.SampledFrom(w.kube.nodes).Draw(r, "node") }
	return []action{
		{"the user hibernates or wakes the cluster", func(r *rapid.T) {
			w.hibernate(rapid.Bool().Draw(r, "asleep"))
		}},
		{"a node loses power", func(r *rapid.T) { w.kube.powerOff(node(r)) }},
		{"a node boots", func(r *rapid.T) { w.kube.powerOn(node(r)) }},
		{"a node is cut off, or is connected again", func(r *rapid.T) {
			w.partition(node(r), rapid.Bool().Draw(r, "cut off"))
		}},
		{"somebody vouches that a node is off, or withdraws that", func(r *rapid.T) {
			w.kube.taintOutOfService(node(r), rapid.Bool().Draw(r, "off"))
		}},
		{"a node is taken away", func(r *rapid.T) { w.removeNode(node(r)) }},
		{"the latch is deleted", func(*rapid.T) {
			if w.formed != 0 {
				deleteNamed(w, "ConfigMap", resources.LatchName(clusterName))
			}
		}},
		{"a backup tool copies all volumes", func(*rapid.T) { w.snapshot() }},
		{"a backup tool puts an older copy in place of a volume", func(r *rapid.T) {
			if pod := anyPod(r, w); pod != nil {
				w.suffer(pod, volumeForeign)
			}
		}},
		{"a member loses its data", func(r *rapid.T) {
			what := rapid.SampledFrom(mishaps()).Draw(r, "how")
			if pod := anyPod(r, w); pod != nil {
				w.suffer(pod, what)
			}
		}},
	}
}

// anyPod is one of the members' Pods: those that read volumes are not what mishaps are about.
func anyPod(r *rapid.T, w *world) *corev1.Pod {
	pods := slices.DeleteFunc(all[*corev1.Pod](w.store), func(p *corev1.Pod) bool {
		return p.Labels[resources.ComponentLabel] == resources.ComponentInspection
	})
	if len(pods) == 0 {
		return nil
	}
	return pods[rapid.IntRange(0, len(pods)-1).Draw(r, "pod")]
}

// editActions are edits of the spec other than its size.
func editActions(w *world) []action {
	return []action{
		{"the user edits the version", func(r *rapid.T) {
			w.editVersion(rapid.SampledFrom(versions()).Draw(r, "version"))
		}},
		{"the user upgrades by a minor, and waits for it", func(*rapid.T) { upgrade(w) }},
		{"the user edits the template", func(r *rapid.T) {
			edits := templateEdits()
			e := edits[rapid.IntRange(0, len(edits)-1).Draw(r, "edit")]
			w.editSpec(e.name, e.do)
		}},
		{"the user edits the storage class", func(r *rapid.T) {
			w.editStorageClass(rapid.SampledFrom([]string{"", "slow", "fast"}).Draw(r, "class"))
		}},
		{"the user edits the reclaim policy", func(*rapid.T) { w.swapReclaimPolicy() }},
	}
}
