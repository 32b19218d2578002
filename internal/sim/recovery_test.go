package sim

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/resources"
)

// TestRecoveries runs random schedules in which a majority of the voters loses its data for good. The user consents to
// the recovery, at last; what was missing may come back before that, and after. They are a tenth as many as of the
// others, when the environment says how many.
func TestRecoveries(t *testing.T) {
	seen := newCoverage()
	runTenth(t)
	checkInParallel(t, func(r *rapid.T) { recoverySchedule(r, seen) })
	t.Log(seen)
	if seen.schedules >= manyRecoveries {
		checkRecoveries(t, seen)
	}
}

// manyRecoveries is the number of schedules from which on every step of a recovery has to have happened.
const manyRecoveries = 100

// checkRecoveries fails for every step of a recovery, and every action, that never happened.
func checkRecoveries(t *testing.T, seen *coverage) {
	t.Helper()
	for name, reason := range unreached {
		if kind, what, _ := strings.Cut(name, " "); reason == noRecovery && seen.rules[what]+seen.steps[what] == 0 {
			t.Errorf("%s %q never happened", kind, what)
		}
	}
	for _, a := range recoveryActions(newWorld(1)) {
		if seen.actions[a.name] == 0 {
			t.Errorf("action %q never happened", a.name)
		}
	}
}

func recoverySchedule(r *rapid.T, seen *coverage) {
	w := newWorld(4)
	defer w.endOperations()
	w.seen.schedules = 1
	drawTLS(r, w)
	create(w, size(r), false)
	for range 30 {
		w.step(0)
		put(w)
	}
	actions := recoveryActions(w)
	for range rapid.IntRange(5, 40).Draw(r, "actions") {
		a := rapid.SampledFrom(actions).Draw(r, "action")
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

func recoveryActions(w *world) []action {
	return []action{
		{"time passes and an operator reconciles several times", func(r *rapid.T) {
			for range rapid.IntRange(2, 40).Draw(r, "times") {
				w.step(0)
				put(w)
			}
		}},
		{"an operator reconciles on a stale cache", func(r *rapid.T) { reconcileStale(r, w) }},
		{"the other operator reconciles", func(*rapid.T) { w.step(1) }},
		{"a fault is due", func(r *rapid.T) { w.faults = append(w.faults, drawFault(r)) }},
		{"the operator restarts", func(*rapid.T) { w.restart(0) }},
		{"a Pod is deleted", func(r *rapid.T) { losePod(r, w, false, "delete") }},
		{"etcd is killed", func(r *rapid.T) { losePod(r, w, false, "kill") }},
		{"a node is cut off, or is connected again", func(r *rapid.T) {
			w.partition(rapid.SampledFrom(w.kube.nodes).Draw(r, "node"), rapid.Bool().Draw(r, "cut off"))
		}},
		{"a majority loses its data for good", func(r *rapid.T) { w.loseQuorum(rapid.IntRange(0, 2).Draw(r, "left")) }},
		{"a majority loses its data while another member lags", func(r *rapid.T) {
			node := rapid.SampledFrom(w.kube.nodes).Draw(r, "node")
			w.partition(node, true)
			for range 8 {
				w.step(0)
				put(w)
			}
			w.loseQuorum(2)
			w.partition(node, false)
		}},
		{"a missing member comes back", func(*rapid.T) { w.comeBack() }},
		{"the user agrees to a recovery", func(r *rapid.T) {
			w.agree(rapid.SampledFrom([]string{completely, completely, wrongID, incomplete}).Draw(r, "how"))
		}},
		{"the user scales", func(r *rapid.T) { scale(w, size(r)) }},
	}
}

// giveUp does what the status asks a person for when a recovery has stopped, or when there is a loss to agree to.
func (w *world) giveUp(status string) bool {
	asked := func(what string) bool { return strings.Contains(status, what) }
	switch {
	case asked("give the recovery up"):
		for _, cm := range all[*corev1.ConfigMap](w.store) {
			if strings.Contains(status, "delete the ConfigMap "+cm.Name) {
				w.log("a person gives recovery %s up", cm.Name)
				must(w.store.remove(refOf(cm), nil, false))
				return true
			}
		}
	case asked("was given up: delete it"):
		for _, pod := range all[*corev1.Pod](w.store) {
			if pod.Labels[resources.ComponentLabel] == resources.ComponentSalvage {
				w.log("a person deletes Pod %s", pod.Name)
				must(w.store.remove(refOf(pod), nil, false))
				return true
			}
		}
	case asked("still holds the data of its volume"):
		for _, pod := range all[*corev1.Pod](w.store) {
			if strings.Contains(status, "Pod "+pod.Name+" still holds the data") {
				w.log("a person has no use for the data in Pod %s", pod.Name)
				must(w.store.remove(refOf(pod), nil, false))
				return true
			}
		}
	case asked("spec.recovery") && w.cluster().Status.QuorumLoss != nil:
		before := w.store.version
		w.agree(completely)
		return w.store.version != before
	}
	return false
}
