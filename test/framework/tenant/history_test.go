package tenant

import (
	"strings"
	"testing"
	"time"
)

func TestAWatchMustHaveSeenEachWriteOnceAndInItsTurn(t *testing.T) {
	a, b, c := Entry{10, "a", "1"}, Entry{12, "b", "2"}, Entry{15, "c", "3"}
	later := Entry{14, "b", "2 again"}
	tests := map[string]struct {
		history History
		pending string
		want    string // part of the only fault; none when empty
	}{
		"all in order": {history: History{Events: []Entry{a, b, c}}},
		"one missed": {
			history: History{Events: []Entry{a, c}}, want: "{Revision:12 Name:b Value:2} was acknowledged and not seen",
		},
		"the last one missed": {
			history: History{Events: []Entry{a, b}}, want: "{Revision:15 Name:c Value:3} was acknowledged and not seen",
		},
		"another value than the acknowledged one": {
			history: History{Events: []Entry{a, {12, "b", "other"}, c}}, want: "{Revision:12 Name:b Value:2}",
		},
		"one that nobody wrote": {
			history: History{Events: []Entry{a, b, {13, "x", "?"}, c}}, want: "before {Revision:15 Name:c Value:3} these were seen",
		},
		"one that nobody wrote at the end": {
			history: History{Events: []Entry{a, b, c, {16, "x", "?"}}}, want: "is no further write that was acknowledged",
		},
		"the last write took place without an acknowledgement": {
			history: History{Events: []Entry{a, b, c, {16, "x", "?"}}}, pending: "?",
		},
		"a list covers what the watch could not see": {
			history: History{Events: []Entry{a, c}, Holes: []Hole{{After: 10, UpTo: 14, Listed: map[string]Entry{"a": a, "b": b}}}},
		},
		"a list shows a later state": {
			history: History{Events: []Entry{a, c}, Holes: []Hole{{After: 10, UpTo: 14, Listed: map[string]Entry{"b": later}}}},
		},
		"a list that should show it does not": {
			history: History{Events: []Entry{a, c}, Holes: []Hole{{After: 10, UpTo: 14, Listed: map[string]Entry{"a": a}}}},
			want:    "{Revision:12 Name:b Value:2} was acknowledged and not seen",
		},
		"a list from before the write": {
			history: History{Events: []Entry{a, c}, Holes: []Hole{{After: 5, UpTo: 11, Listed: map[string]Entry{"b": b}}}},
			want:    "{Revision:12 Name:b Value:2} was acknowledged and not seen",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			faults := test.history.Check([]Entry{a, b, c}, test.pending)
			found := strings.Join(faults, "; ")
			if (test.want == "") != (len(faults) == 0) || !strings.Contains(found, test.want) {
				t.Errorf("Check found %q, want %q", found, test.want)
			}
		})
	}
}

func TestEventsOutOfOrderAreFound(t *testing.T) {
	a, b := Entry{10, "a", "1"}, Entry{12, "b", "2"}
	for name, events := range map[string][]Entry{"swapped": {b, a}, "twice": {a, b, b}} {
		if faults := (History{Events: events}).Check([]Entry{a, b}, ""); len(faults) == 0 {
			t.Errorf("%s: Check found nothing in %v", name, events)
		}
	}
}

func TestOnlyARestartExplainsTheEndOfAWatch(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	history := History{Ends: []End{{At: at(5)}, {At: at(10)}, {At: at(15)}, {At: at(25)}}}
	restarts := []Window{{at(10), at(20)}}
	ends := history.Unexplained(restarts)
	if len(ends) != 2 || ends[0].At != at(5) || ends[1].At != at(25) {
		t.Errorf("the restart at 10 to 20 s leaves %v unexplained, want those at 5 and 25 s", ends)
	}
}
