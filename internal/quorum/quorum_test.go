package quorum

import (
	"strings"
	"testing"
)

// members builds a list from a drawing: "V" a healthy voter, "v" an unhealthy one, "L" a healthy learner, "l" an
// unhealthy one. IDs count from 1.
func members(drawing string) []Member {
	var list []Member
	for i, r := range drawing {
		list = append(list, Member{
			ID:      uint64(i + 1),
			Voter:   strings.ContainsRune("Vv", r),
			Healthy: strings.ContainsRune("VL", r),
		})
	}
	return list
}

func TestProject(t *testing.T) {
	tests := map[string]struct {
		members string
		change  Change
		allowed bool
		reason  string
	}{
		"three healthy voters are quorate":                        {"VVV", Change{}, true, "3 of 3"},
		"two of three are quorate":                                {"VVv", Change{}, true, "2 of 3"},
		"one of three is not quorate":                             {"Vvv", Change{}, false, "only 1 of 3 voters would be healthy, 2 are required"},
		"two of four are not quorate":                             {"VVvv", Change{}, false, "only 2 of 4"},
		"a learner does not count":                                {"Vl", Change{}, true, "1 of 1"},
		"a cluster without voters is never quorate":               {"L", Change{}, false, "only 0 of 0"},
		"a learner may join a quorate cluster":                    {"VVv", Change{AddLearner, 0}, true, "2 of 3"},
		"no learner may join a cluster without quorum":            {"Vvv", Change{AddLearner, 0}, false, "only 1 of 3"},
		"a healthy learner may become the second voter":           {"VL", Change{Promote, 2}, true, "2 of 2"},
		"an unhealthy learner is never promoted":                  {"VVVl", Change{Promote, 4}, false, "learner 4 is not proven healthy"},
		"a voter cannot be promoted":                              {"VVV", Change{Promote, 1}, false, "votes already"},
		"a promotion that a dead voter makes unsafe is refused":   {"VvvvL", Change{Promote, 5}, false, "only 2 of 5"},
		"a healthy voter of three may be removed":                 {"VVV", Change{Remove, 3}, true, "2 of 2"},
		"the dead voter of three may be removed":                  {"VVv", Change{Remove, 3}, true, "2 of 2"},
		"a healthy voter may not be removed beside a dead one":    {"VVv", Change{Remove, 1}, false, "only 1 of 2"},
		"one of two healthy voters may be removed":                {"VV", Change{Remove, 2}, true, "1 of 1"},
		"the healthy one of two may not be removed":               {"Vv", Change{Remove, 1}, false, "only 0 of 1"},
		"the last voter may not be removed":                       {"V", Change{Remove, 1}, false, "only 0 of 0"},
		"a learner may be removed from a quorate cluster":         {"VVvl", Change{Remove, 4}, true, "2 of 3"},
		"a member that is not listed cannot be removed":           {"VVV", Change{Remove, 9}, false, "member 9 is not listed"},
		"one of three may be stopped when all are healthy":        {"VVV", Change{Stop, 1}, true, "2 of 3"},
		"no healthy one of three may be stopped beside a dead":    {"VVv", Change{Stop, 1}, false, "only 1 of 3"},
		"the dead one of three may be stopped":                    {"VVv", Change{Stop, 3}, true, "2 of 3"},
		"the only member may not be stopped":                      {"V", Change{Stop, 1}, false, "only 0 of 1"},
		"one of two may not be stopped, two voters tolerate none": {"VV", Change{Stop, 1}, false, "only 1 of 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := Project(members(test.members), test.change)
			if v.Allowed != test.allowed || !strings.Contains(v.Reason, test.reason) {
				t.Errorf("%s, %s %d: allowed %t (%s), want %t (%s)",
					test.members, test.change.Kind, test.change.Member, v.Allowed, v.Reason, test.allowed, test.reason)
			}
		})
	}
}

func TestFailureTolerance(t *testing.T) {
	for drawing, want := range map[string]int{"V": 0, "VVV": 1, "VVv": 0, "VVVVV": 2, "VVVVVVV": 3, "Vvv": 0} {
		if got := Project(members(drawing), Change{}).FailureTolerance(); got != want {
			t.Errorf("%s tolerates %d failures, want %d", drawing, got, want)
		}
	}
}
