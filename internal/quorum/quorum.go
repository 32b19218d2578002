// Package quorum is the only majority arithmetic in the project: it tells whether a change of the membership, or of
// what runs, leaves a proven majority behind.
package quorum

import "fmt"

// Member is what a projection needs to know of a member.
type Member struct {
	ID    uint64
	Voter bool
	// Healthy is true only for a member proven healthy. What is not known counts as unhealthy: no permission is built
	// on a guess.
	Healthy bool
}

// Kind of a change.
type Kind int

const (
	// None changes nothing: the verdict is about the cluster as it is.
	None Kind = iota
	// AddLearner adds a member that does not vote.
	AddLearner
	// Promote makes a learner a voter.
	Promote
	// Remove takes a member out of the membership.
	Remove
	// Stop stops a member that stays in the membership.
	Stop
)

func (k Kind) String() string {
	return [...]string{"none", "add a learner", "promote", "remove", "stop"}[k]
}

// Change is what is about to be done.
type Change struct {
	Kind Kind
	// Member is the ID of the member that the change is about; 0 with None and AddLearner.
	Member uint64
}

// Verdict tells whether a change may be done, and how the cluster would stand after it.
type Verdict struct {
	Allowed bool
	// Reason is one sentence part with the operands, for people.
	Reason string
	// Voters, Healthy (voters proven healthy) and Required (majority) after the change.
	Voters, Healthy, Required int
}

// FailureTolerance is the number of healthy voters that may fail before the majority is lost.
func (v Verdict) FailureTolerance() int { return max(0, v.Healthy-v.Required) }

// Majority of a number of voters.
func Majority(voters int) int { return voters/2 + 1 }

// Project tells how the cluster stands after the change, and allows it only when a proven-healthy majority remains.
// A learner that is promoted must be proven healthy itself, because from then on the majority may need it.
func Project(members []Member, change Change) Verdict {
	v := Verdict{}
	target := Member{}
	for _, m := range members {
		if m.ID == change.Member {
			target = m
		}
		if m.Voter {
			v.Voters++
			v.Healthy += count(m.Healthy)
		}
	}
	if needsTarget(change.Kind) && target.ID == 0 {
		v.Reason = fmt.Sprintf("member %x is not listed", change.Member)
		return v
	}
	switch change.Kind {
	case Promote:
		return promote(v, target)
	case Remove:
		v.Voters -= count(target.Voter)
		v.Healthy -= count(target.Voter && target.Healthy)
	case Stop:
		v.Healthy -= count(target.Voter && target.Healthy)
	case None, AddLearner:
	}
	return judge(v)
}

func promote(v Verdict, learner Member) Verdict {
	if learner.Voter {
		v.Reason = fmt.Sprintf("member %x votes already", learner.ID)
		return v
	}
	if !learner.Healthy {
		v.Reason = fmt.Sprintf("learner %x is not proven healthy", learner.ID)
		return v
	}
	v.Voters++
	v.Healthy++
	return judge(v)
}

func judge(v Verdict) Verdict {
	v.Required = Majority(v.Voters)
	v.Allowed = v.Voters > 0 && v.Healthy >= v.Required
	if v.Allowed {
		v.Reason = fmt.Sprintf("%d of %d voters would be healthy, %d are required", v.Healthy, v.Voters, v.Required)
	} else {
		v.Reason = fmt.Sprintf("only %d of %d voters would be healthy, %d are required", v.Healthy, v.Voters, v.Required)
	}
	return v
}

func needsTarget(k Kind) bool { return k == Promote || k == Remove || k == Stop }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
