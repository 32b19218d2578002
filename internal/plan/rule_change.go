package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// treatment is how a change reaches a member, in the order of how much it takes.
type treatment int

const (
	// untouched: nothing has to change.
	untouched treatment = iota
	// patched: its container is restarted with another image, in its Pod.
	patched
	// recreated: its Pod is created again on its volume.
	recreated
	// moved: a new member takes its place; see rule_move.go.
	moved
)

// need is a change that a voter has to undergo.
type need struct {
	how treatment
	// activity is a reason of the API, and why a sentence part.
	activity, why string
	// unreachable tells that the change also ends that nobody can reach the member: it is not waited for.
	unreachable bool
}

// changeSources tell what a voter has to undergo, each for a reason of its own. To add a reason, add a
// function here.
var changeSources = []func(*state.Cluster, state.Member) need{
	repairNeed, trustNeed, templateNeed, quotaNeed, relocationNeed, shrinkNeed, surgeNeed,
}

// needOf is what takes most of all that the sources ask of the member; of equals the first.
func needOf(c *state.Cluster, m state.Member) need {
	var most need
	if m.Learner || !m.Listed {
		return most
	}
	for _, source := range changeSources {
		if n := source(c, m); n.how > most.how {
			most = n
		}
	}
	return keepingData(c, most)
}

// nextNeed is what the member undergoes first: what makes it reachable again comes before all else, which waits for its
// health.
func nextNeed(c *state.Cluster, m state.Member) need {
	if n := trustNeed(c, m); n.how != untouched && m.Health != state.Healthy {
		return keepingData(c, n)
	}
	return needOf(c, m)
}

// keepingData moves an ephemeral member instead of creating its Pod again: its data would go with it.
func keepingData(c *state.Cluster, n need) need {
	if n.how == recreated && c.Ephemeral() {
		n.how = moved
	}
	return n
}

// trustNeed has members restart whose process trusts something else than what is wanted now: etcd reads CA files only
// at its start. One that would not survive a restart is replaced once a person asks for it.
func trustNeed(c *state.Cluster, m state.Member) need {
	if m.Pod == nil || !c.TLS.Outdated(*m.Pod) {
		return need{}
	}
	n := need{
		how: recreated, activity: v1alpha1.ReasonRotatingCA, unreachable: true,
		why: "it has to load the certificate authorities that are trusted now",
	}
	if hopeless(c, m) && requested(c, m) {
		n.how = moved
	}
	return n
}

// lockedOut tells that the member does not accept the operator's certificate before it has restarted: only we cannot
// reach it.
func lockedOut(c *state.Cluster, m state.Member) bool {
	return m.Health == state.Unknown && m.Pod != nil && c.TLS.Outdated(*m.Pod) &&
		!accepts(c.TLS, *m.Pod, state.OperatorCertificate)
}

// hopeless tells that nobody can reach a member before it restarts, and that it would not come back: its volume goes
// with its Pod. Whether it is needed only a person can say.
func hopeless(c *state.Cluster, m state.Member) bool {
	v := m.Volume
	return !c.Ephemeral() && lockedOut(c, m) && (v == nil || v.Vanishing() != "" || v.Disk.Nowhere())
}

// changeMembers changes one member at a time: those in trouble first, then the followers, the leader last, and after
// all of them the one in the surge slot. Surplus voters are removed before, by another rule.
func changeMembers(w *walk) {
	c := w.c
	if !c.Etcd.Listed {
		return
	}
	changing := slices.DeleteFunc(c.Voters(), func(m state.Member) bool { return needOf(c, m).how == untouched })
	if len(changing) == 0 {
		return
	}
	m := slices.MinFunc(changing, func(a, b state.Member) int {
		return cmp.Or(cmp.Compare(rank(surging(c, a)), rank(surging(c, b))), turn(c, a, b))
	})
	n := nextNeed(c, m)
	switch {
	case len(c.Voters()) > c.Replicas():
	case n.how == patched:
		w.patchPod(m, n.activity, n.why)
	case n.how == recreated:
		w.restart(m, n.activity, n.why)
	case n.unreachable && m.Health != state.Healthy && len(c.Voters()) > 1:
		if w.mayStop(m, quorum.Remove, n.activity, n.why) {
			w.remove(m, n.activity, n.why)
		}
	default:
		w.resumeUnwanted(0) // no removal before there is one more
	}
	w.block(0, n.activity, changesLeft(c, changing))
}

// changesLeft lists the members that still have to change, by what is done to them and why.
func changesLeft(c *state.Cluster, changing []state.Member) string {
	var kinds []string
	names := map[string][]string{}
	for _, m := range changing {
		n := nextNeed(c, m)
		kind := "restart one at a time, because " + n.why
		if n.how == moved {
			kind = "are moved to new members one at a time, because " + n.why
		}
		if names[kind] == nil {
			kinds = append(kinds, kind)
		}
		names[kind] = append(names[kind], m.Name)
	}
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("members %s; left: %s", kind, strings.Join(names[kind], ", "))
	}
	return strings.Join(kinds, ". ")
}

// turn orders members for a change: those in trouble first, then those that would accept no other that has restarted,
// the leader last, of the others the highest slot first.
func turn(c *state.Cluster, a, b state.Member) int {
	return cmp.Or(
		cmp.Compare(rank(a.Health == state.Healthy), rank(b.Health == state.Healthy)),
		cmp.Compare(rank(!refuses(c, a)), rank(!refuses(c, b))),
		cmp.Compare(rank(a.ID == c.Etcd.Leader), rank(b.ID == c.Etcd.Leader)),
		cmp.Compare(b.Slot, a.Slot),
	)
}
