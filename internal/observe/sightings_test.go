package observe

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestWhatIsNotReadyCountsFromWhenItWasSeen(t *testing.T) {
	const ahead = 10 * time.Minute // is how far the operator's clock is ahead of the others
	written := statetest.Now
	observed := func(s *sightings, after time.Duration, since time.Time) *state.Cluster {
		c := statetest.Formed(3).Member(1, func(m *state.Member) { m.Pod.Ready, m.Pod.NotReadySince = false, since }).
			With(func(c *state.Cluster) {
				c.Now, c.Nodes["node-1"] = written.Add(ahead+after), state.Node{NotReadySince: since}
			}).Build()
		s.apply("default/demo", c)
		return c
	}
	s := &sightings{}
	seen := func(what string, c *state.Cluster, want time.Time) {
		t.Helper()
		if pod, node := c.Members[1].Pod.NotReadySince, c.Nodes["node-1"].NotReadySince; !pod.Equal(want) || !node.Equal(want) {
			t.Errorf("%s: the Pod counts from %v, the node from %v; want %v", what, pod, node, want)
		}
	}
	first := written.Add(ahead)
	seen("the first sight", observed(s, 0, written), first)
	seen("a later one", observed(s, time.Minute, written), first)
	seen("after it was ready in between", observed(s, 2*time.Minute, written.Add(time.Minute)), first.Add(2*time.Minute))
	seen("ready", observed(s, 3*time.Minute, time.Time{}), time.Time{})
	seen("after it was seen to be ready", observed(s, 4*time.Minute, written), first.Add(4*time.Minute))
	seen("written by a clock that is ahead of the operator's", observed(s, 0, first.Add(time.Hour)), first.Add(time.Hour))
	seen("by an operator that was restarted", observed(&sightings{}, 5*time.Minute, written), first.Add(5*time.Minute))
	s.forget("default/demo")
	seen("after the cluster was gone", observed(s, 6*time.Minute, written), first.Add(6*time.Minute))
}
