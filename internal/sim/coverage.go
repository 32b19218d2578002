package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
)

// coverage counts what schedules reached, so that a rule, a step or a fault that never happens is noticed.
type coverage struct {
	sync.Mutex // while it is added to
	schedules  int
	// rules that had something to say, and proposed those whose step it was, by the name of the rule.
	rules, proposed map[string]int
	// steps that were done, by their type.
	steps map[string]int
	// faults that came into effect, and actions that were drawn.
	faults, actions map[string]int
}

func newCoverage() *coverage {
	return &coverage{
		rules: map[string]int{}, proposed: map[string]int{}, steps: map[string]int{}, faults: map[string]int{},
		actions: map[string]int{},
	}
}

// add counts another schedule's.
func (c *coverage) add(other *coverage) {
	c.Lock()
	defer c.Unlock()
	c.schedules += other.schedules
	for _, pair := range [][2]map[string]int{
		{c.rules, other.rules}, {c.proposed, other.proposed}, {c.steps, other.steps}, {c.faults, other.faults},
		{c.actions, other.actions},
	} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
}

// String is the report.
func (c *coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules\n", c.schedules)
	for _, part := range []struct {
		title  string
		counts map[string]int
	}{
		{"rules that had something to say", c.rules},
		{"rules that proposed the step", c.proposed},
		{"steps that were done", c.steps},
		{"faults", c.faults},
		{"actions", c.actions},
	} {
		fmt.Fprintf(&b, "\n%s\n", part.title)
		names := slices.SortedFunc(maps.Keys(part.counts), func(x, y string) int {
			return cmp.Or(cmp.Compare(part.counts[y], part.counts[x]), strings.Compare(x, y))
		})
		for _, name := range names {
			fmt.Fprintf(&b, "%9d  %s\n", part.counts[name], name)
		}
	}
	return b.String()
}

// journal takes what the reconciler logs: which rules spoke and what they proposed.
type journal struct{ world *world }

func (j journal) Init(logr.RuntimeInfo)          {}
func (j journal) Enabled(int) bool               { return true }
func (j journal) Error(error, string, ...any)    {}
func (j journal) WithValues(...any) logr.LogSink { return j }
func (j journal) WithName(string) logr.LogSink   { return j }

// Info takes the plan of a reconcile; see EtcdClusterReconciler.Reconcile.
func (j journal) Info(_ int, message string, values ...any) {
	if message != "Planned" {
		return
	}
	planned := map[string]any{}
	for i := 0; i+1 < len(values); i += 2 {
		planned[fmt.Sprint(values[i])] = values[i+1]
	}
	rules, _ := planned["rules"].([]string)
	for _, name := range rules {
		j.world.seen.rules[name]++
	}
	if rule, _ := planned["rule"].(string); rule != "" {
		j.world.seen.proposed[rule]++
		j.world.log("plans to %v (%s): %v", planned["step"], rule, planned["reason"])
	}
}
