package tenant

import (
	"fmt"
	"slices"
	"time"
)

// History is what a watch saw.
type History struct {
	// Events in the order in which they came.
	Events []Entry
	// Holes are where the watch had to list, because the API server could not give it the events any more.
	Holes []Hole
	// Ends are when an open watch ended without being asked to.
	Ends []End
	// Resumed counts how often the watch went on from the last event that it had seen.
	Resumed int
}

// Hole is a list in the place of events.
type Hole struct {
	// After is the last revision that was seen before, UpTo that of the list.
	After, UpTo uint64
	Listed      map[string]Entry
}

// End is the end of an open watch.
type End struct {
	At     time.Time
	Reason string
}

// Check compares with what was acknowledged, in order: each write must have been seen once, at its revision and in its
// turn, or be covered by a list. Pending is a value that may have been written last without an acknowledgement; empty
// when there is none. Each string tells one difference.
func (h History) Check(acknowledged []Entry, pending string) []string {
	const shown = 5
	var faults []string
	fault := func(format string, args ...any) {
		if len(faults) < shown {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	rest := h.Events
	for _, want := range acknowledged {
		at := slices.Index(rest, want)
		switch {
		case at == 0:
			rest = rest[1:]
		case at > 0:
			fault("before %+v these were seen: %+v", want, rest[:min(at, shown)])
			rest = rest[at+1:]
		case !h.listed(want):
			fault("%+v was acknowledged and not seen in its turn", want)
		}
	}
	if len(rest) == 1 && pending != "" && rest[0].Value == pending {
		rest = nil
	}
	for _, event := range rest {
		fault("%+v was seen and is no further write that was acknowledged", event)
	}
	for i := 1; i < len(h.Events); i++ {
		if h.Events[i].Revision <= h.Events[i-1].Revision {
			fault("%+v was seen after %+v", h.Events[i], h.Events[i-1])
		}
	}
	return faults
}

// LastSeen is the revision of the last event; 0 when there is none.
func (h History) LastSeen() uint64 {
	if len(h.Events) == 0 {
		return 0
	}
	return h.Events[len(h.Events)-1].Revision
}

// listed tells whether a list covers the write: it shows it, or a later state of the same object.
func (h History) listed(want Entry) bool {
	return slices.ContainsFunc(h.Holes, func(hole Hole) bool {
		got := hole.Listed[want.Name]
		return hole.After < want.Revision && want.Revision <= hole.UpTo && (got == want || got.Revision > want.Revision)
	})
}

// Unexplained are the ends of the watch that fall into no restart of the API server.
func (h History) Unexplained(restarts []Window) []End {
	var ends []End
	for _, end := range h.Ends {
		if !slices.ContainsFunc(restarts, func(w Window) bool { return !end.At.Before(w.From) && !end.At.After(w.To) }) {
			ends = append(ends, end)
		}
	}
	return ends
}
