package sim

import (
	"fmt"
	"pgregory.net/rapid"
	"strings"
	"testing"
)

func TestStats(t *testing.T) {
	counts := map[string]int{}
	runs, formed, writes := 0, 0, 0
	rapid.Check(t, func(r *rapid.T) {
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
		runs++
		if w.formed != 0 {
			formed++
		}
		writes += len(w.etcd.AcknowledgedWrites(w.formed))
		for _, l := range w.trace {
			f := strings.Fields(l)
			if len(f) > 4 {
				counts[strings.Join(f[1:5], " ")]++
			}
			if strings.Contains(l, "fault:") {
				counts[l[6:]]++
			}
		}
	})
	fmt.Println(runs, formed, writes)
	for k, v := range counts {
		if v > 20 {
			fmt.Println(v, k)
		}
	}
}
