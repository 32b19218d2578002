// Package plan decides what to do next with a cluster. It is pure: ordered rules look at one observation
// (state.Cluster) and yield a Decision. Each rule is one small function in a file of its own, with a table test.
//
// To add a rule: write a function of type rule, put it at its place in rules, and describe it in a table test.
package plan

import (
	"reflect"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// Decision is what to do now, and what is waited for.
type Decision struct {
	// Ensures are harmless and done in order before Step.
	Ensures []Step
	// Step is the one thing that affects membership or availability; nil when there is none to do.
	Step Step
	// Activity is the reason (a constant of the API) under which Step or the first of Blocked is reported.
	Activity string
	// Reason is one sentence that says why Step is done; empty without a step.
	Reason string
	// Rule is the rule that proposed Step; empty without a step.
	Rule string
	// Rules are those that had something to say: an ensure, Step, or what is waited for; in their order.
	Rules []string
	// Blocked tells what is waited for, the most important first.
	Blocked []Blocked
	// Pending goes on in the background and asks for no attention: the cluster is as specified meanwhile.
	Pending []Blocked
	// ClientsMustLoad names what clients have to load before a rotation goes on; empty when none waits for them.
	ClientsMustLoad string
	// Asleep says that the cluster is hibernated as it shall be, no Pod of it being left; empty when it is not.
	Asleep string
	// Wake is when to look again although no event may come; zero leaves it to the events and the slow poll.
	Wake time.Duration
}

// Proposes tells that this very step is to be done.
func (d Decision) Proposes(step Step) bool {
	same := func(s Step) bool { return reflect.DeepEqual(s, step) }
	return same(d.Step) || slices.ContainsFunc(d.Ensures, same)
}

// Blocked is one thing that is waited for.
type Blocked struct {
	// Reason is a constant of the API.
	Reason string
	// Message says what is waited for and, where a person must act, what to do.
	Message string
}

// class of steps that a rule can forbid.
type class int

const (
	// membership: add, promote, remove, and hand over the leadership for that.
	membership class = 1 << iota
	// creation: start members that do not run.
	creation
	// revival: create the Pod of a voter that has none, or whose containers ended for good.
	revival
	// cleanup: delete what is no longer needed.
	cleanup
	// authority: go on with the rotation of a certificate authority.
	authority
	// leadership: move the leader away from where it may be stopped.
	leadership
)

// rule looks at the cluster and adds to the decision. The order of the rules is the policy.
type rule struct {
	name string
	look func(*walk)
}

// rules in their order. A rule that waits forbids classes of steps but does not end the walk, so that a member that
// is not running can always be started again; and what may be refused for long, such as the Pod of a new member, comes
// after that.
var rules = []rule{
	{"deleting", deleting},
	{"paused", paused},
	{"stray volumes", strayVolumes},
	{"ownership", ownership},
	{"invalid spec", invalidSpec},
	{"transport", transport},
	{"keep services and records", keep},
	{"volume growth", volumeGrowth},
	{"operation in flight", operationInFlight},
	{"labels of Pods", podMetadata},
	{"certificates", certificates},
	{"recovery", recovery},
	{"bootstrap", bootstrap},
	{"wrong cluster ID", wrongClusterID},
	{"unmanaged member", unmanagedMember},
	{"authentication required", authRequired},
	{"outliving containers", outliving},
	{"finish removal", finishRemoval},
	{"hibernate", hibernate},
	{"quorum loss", quorumLoss},
	{"quorum lost", quorumLost},
	{"untrusting members", untrusting},
	{"alarms", alarms},
	{"no space", noSpace},
	{"downgrade", downgrade},
	{"replace lost member", replaceLost},
	{"requests", requests},
	{"missing Pod", missingPod},
	{"drain", drain},
	{"learner in flight", learnerInFlight},
	{"version edit", versionEdit},
	{"quota edit", quotaEdit},
	{"resize", resize},
	{"change members", changeMembers},
	{"scale up", scaleUp},
	{"scale down", scaleDown},
	{"clean up", cleanUp},
	{"defragmentation", defragmentation},
	{"kept evidence", keptEvidence},
	{"preferred leader", preferredLeader},
}

// Rules are the names of all rules, in their order.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// Next decides. It depends on nothing but the observation.
func Next(c *state.Cluster) Decision {
	w := &walk{c: c}
	for _, r := range rules {
		w.rule = r.name
		r.look(w)
		if w.ended {
			break
		}
	}
	w.finish()
	return w.d
}

// walk is one pass over the rules.
type walk struct {
	c         *state.Cluster
	d         Decision
	rule      string // that looks now
	forbidden class
	ended     bool
	// voters that the disruption budget has to keep above the present majority; see rule_keep.go.
	announce bool
	// promoting is set when a learner is about to become a voter.
	promoting bool
	// stopping is set when all members are stopped, or are about to be, by the user's wish.
	stopping bool
}

func (w *walk) ensure(s Step) {
	w.d.Ensures = append(w.d.Ensures, s)
	w.spoke()
}

// spoke notes that the rule that looks now had something to say.
func (w *walk) spoke() {
	if n := len(w.d.Rules); n == 0 || w.d.Rules[n-1] != w.rule {
		w.d.Rules = append(w.d.Rules, w.rule)
	}
}

// propose makes the step the decision's, unless an earlier rule has one already or forbade its class.
func (w *walk) propose(c class, s Step, activity, reason string) {
	if w.d.Step != nil || w.forbidden&c != 0 {
		return
	}
	w.d.Step, w.d.Activity, w.d.Reason, w.d.Rule = s, activity, reason, w.rule
	w.spoke()
}

// block adds something that is waited for, and forbids classes of steps to the rules that follow.
func (w *walk) block(forbid class, reason, message string) {
	w.forbidden |= forbid
	w.d.Blocked = append(w.d.Blocked, Blocked{Reason: reason, Message: message})
	w.spoke()
}

// pend adds something that goes on in the background.
func (w *walk) pend(reason, message string) {
	w.d.Pending = append(w.d.Pending, Blocked{Reason: reason, Message: message})
	w.spoke()
}

// wakeAfter asks to look again after d at the latest.
func (w *walk) wakeAfter(d time.Duration) {
	if w.d.Wake == 0 || d < w.d.Wake {
		w.d.Wake = d
	}
}

func (w *walk) end() { w.ended = true }

func (w *walk) finish() {
	w.rule = "disruption budget"
	w.budget()
	if again := w.c.Etcd.ListenAgain; again > 0 {
		w.wakeAfter(again)
	}
	if w.d.Step == nil && len(w.d.Blocked) > 0 {
		w.d.Activity = w.d.Blocked[0].Reason
	}
}

// project asks whether the change leaves a proven majority behind.
func (w *walk) project(kind quorum.Kind, id uint64) quorum.Verdict {
	return quorum.Project(QuorumMembers(w.c), quorum.Change{Kind: kind, Member: id})
}

// QuorumMembers is the membership as the projection takes it.
func QuorumMembers(c *state.Cluster) []quorum.Member {
	list := make([]quorum.Member, 0, len(c.Members))
	for _, m := range c.Members {
		if m.Listed || !c.Etcd.Listed {
			list = append(list, quorum.Member{ID: m.ID, Voter: !m.Learner, Healthy: m.Health == state.Healthy})
		}
	}
	for _, f := range c.Etcd.Foreign {
		list = append(list, quorum.Member{ID: f.ID, Voter: !f.Learner})
	}
	return list
}
