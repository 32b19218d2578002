package state_test

import (
	"testing"

	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestAnAlarmAboutCorruptDataConcernsTheMemberThatItNames(t *testing.T) {
	say := func(words string) *state.Cluster {
		b := statetest.Formed(3)
		for slot := range 3 {
			b.Member(slot, func(m *state.Member) { m.Probe.Errors = []string{words} })
		}
		// The ID in decimal, as etcd prints it.
		return b.Member(1, func(m *state.Member) { m.ID, m.Probe.MemberID = 17, 17 }).Build()
	}
	for words, want := range map[string][]state.Health{
		"memberID:17 alarm:CORRUPT ": {state.Healthy, state.Unhealthy, state.Healthy},
		"memberID:0 alarm:CORRUPT ":  {state.Unhealthy, state.Unhealthy, state.Unhealthy},
		"alarm:CORRUPT ":             {state.Unhealthy, state.Unhealthy, state.Unhealthy},
		"memberID:17 alarm:NOSPACE ": {state.Healthy, state.Healthy, state.Healthy},
	} {
		for slot, m := range say(words).Members {
			if m.Health != want[slot] {
				t.Errorf("%q: %s is %s (%s), want %s", words, m.Name, m.Health, m.Reason, want[slot])
			}
		}
	}
}

func TestFreeSlotPrefersANameThatClientsKnow(t *testing.T) {
	tests := map[string]struct {
		slots, services []int
		want            int
	}{
		"the lowest when all are taken that clients know": {[]int{0, 1, 2}, []int{0, 1, 2}, 3},
		"the lowest when clients know none":               {[]int{0, 2}, nil, 1},
		"the one that a lost member left, not the gap":    {[]int{0, 3}, []int{0, 2, 3}, 2},
		"the lowest of those that clients know":           {[]int{0}, []int{3, 2, 0}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := statetest.Formed(4).Build()
			var members []state.Member
			for _, slot := range test.slots {
				members = append(members, c.Members[slot])
			}
			c.Members, c.MemberServices = members, test.services
			if got := c.FreeSlot(); got != test.want {
				t.Errorf("slot %d, want %d", got, test.want)
			}
		})
	}
}
