package sim

import (
	"slices"

	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// drawVersion chooses the version that the cluster is created with: none, which is the default, or another minor. One
// that begins with 3.5 and ends with 3.7 needs its members to save snapshots in between.
func drawVersion(r *rapid.T, w *world) {
	w.firstVersion = rapid.SampledFrom([]string{"", "", "3.5.35", "3.7.3"}).Draw(r, "version")
}

// spaceActions fill and empty databases and volumes.
func spaceActions(w *world) []action {
	return []action{
		{"a client fills the database", func(r *rapid.T) {
			for range rapid.IntRange(1, 6).Draw(r, "writes") {
				w.fill(rapid.Int64Range(128<<20, gib).Draw(r, "bytes"))
			}
		}},
		{"the user deletes data and compacts", func(*rapid.T) { w.freeSpace() }},
		{"the user edits the size of the volumes", func(r *rapid.T) {
			size := rapid.SampledFrom([]int64{8, 8, 12, 20}).Draw(r, "size")
			w.editStorage(size, rapid.SampledFrom([]int64{0, 20, 40}).Draw(r, "maxSize"))
		}},
		{"the user edits the quota", func(r *rapid.T) {
			w.editQuota(rapid.SampledFrom([]int64{0, 0, gib, 2 * gib, 6 * gib}).Draw(r, "quota"))
		}},
		{"the user edits what may be compacted", func(r *rapid.T) {
			w.editMaintenance(rapid.Bool().Draw(r, "compact"), rapid.SampledFrom([]int64{1, 3, 1000}).Draw(r, "keep"))
		}},
		{"volumes can be expanded, or no longer", func(r *rapid.T) {
			w.space.expandable, w.space.stuck = rapid.Bool().Draw(r, "permitted"), rapid.Bool().Draw(r, "stuck")
			w.log("volumes can be expanded: %t, the provider fails: %t", w.space.expandable, w.space.stuck)
		}},
	}
}

// upgrade asks for the minor after the one that was asked for last, and lets the operator work for a while.
func upgrade(w *world) {
	c := w.cluster()
	if c == nil {
		return
	}
	at := slices.Index(versions(), ptr.Deref(c.Spec.Version, versions()[1]))
	if at+1 < len(versions()) {
		w.editVersion(versions()[at+1])
	}
	for range 30 {
		w.step(0)
	}
}
