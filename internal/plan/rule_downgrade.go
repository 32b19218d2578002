package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// etcd goes back by a minor in two phases: once the downgrade is enabled, the cluster version is lowered and every
// member converts its data; then the members get the former binary, one at a time. While it is enabled no member can
// join, so that whatever adds one has it cancelled first.

// downgrade enables and cancels etcd's downgrade. Invariant: it is enabled only while every member is healthy and none
// is to be added, and cancelled before one is.
func downgrade(w *walk) {
	c := w.c
	if !c.Formed() || !c.Etcd.Listed {
		return
	}
	w.forgetSnapshots()
	if w.forceSnapshots() {
		return
	}
	switch enabled := c.DowngradeTarget(); {
	case enabled != "" && enabled != state.Minor(c.Version()):
		w.cancelDowngrade("it is no longer wanted")
	case enabled != "" && joining(c) != "":
		w.cancelDowngrade(joining(c) + ", and nothing can join while a downgrade is enabled")
	case enabled == "" && mayDowngrade(c):
		w.propose(membership, EnableDowngrade{Target: state.Minor(c.Version())}, v1alpha1.ReasonDowngrading,
			fmt.Sprintf("etcd %s is wanted and the cluster is at %s", c.Version(), c.Etcd.ClusterVersion))
	}
}

func (w *walk) cancelDowngrade(why string) {
	w.propose(membership, CancelDowngrade{Target: w.c.DowngradeTarget()}, v1alpha1.ReasonDowngrading, why)
	w.block(membership, v1alpha1.ReasonDowngrading, fmt.Sprintf("etcd's downgrade to %s is cancelled (%s): waiting until "+
		"all members that can be reached show that", w.c.DowngradeTarget(), why))
	w.wakeAfter(learnerPoll)
}

// mayDowngrade tells that the wanted version is one minor below the cluster version, and that nothing is in the way.
func mayDowngrade(c *state.Cluster) bool {
	return c.Etcd.ClusterVersion != "" && nextMinor(c.Version()) == c.Etcd.ClusterVersion &&
		refuseDowngrade(c) == nil && joining(c) == ""
}

// joining says why a member is to be added, or is on its way; empty when none is.
func joining(c *state.Cluster) string {
	if l := c.Learner(); l != nil {
		return l.Name + " is a learner"
	}
	for _, m := range c.Voters() {
		if why := lost(c, m); why != "" {
			return m.Name + " is lost: " + why
		}
	}
	if n := len(c.Voters()); n < goal(c) {
		return fmt.Sprintf("%d voters are needed and there are %d", goal(c), n)
	}
	return ""
}

// refuseDowngrade says why etcd's downgrade cannot be enabled now; nil when it can.
func refuseDowngrade(c *state.Cluster) *refusal {
	wanted := c.Version()
	if floor := belowFloor(wanted); floor != "" {
		return &refusal{v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: releases before %s cannot be "+
			"downgraded to", wanted, floor)}
	}
	why := unfit(c)
	for _, m := range c.Members {
		if why == "" && state.Minor(presentVersion(m)) != c.Etcd.ClusterVersion {
			why = fmt.Sprintf("%s has etcd %s and the cluster is at %s: all have to be at one minor first", m.Name,
				presentVersion(m), c.Etcd.ClusterVersion)
		}
	}
	if why == "" {
		return nil
	}
	return &refusal{v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: %s. It goes on when that is "+
		"mended, or set spec.version back", wanted, why)}
}

// unconverted names members whose data cannot be opened by the wanted minor yet.
func unconverted(c *state.Cluster) string {
	var names []string
	for _, m := range c.Members {
		if m.Probe.Answered && Older(state.Minor(c.Version())+".999999", m.Probe.StorageVersion) {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, ", ")
}

// downgrading tells that a member has the wanted minor already, or that etcd is enabled to go there.
func downgrading(c *state.Cluster) bool {
	return c.DowngradeTarget() == state.Minor(c.Version()) || slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return state.Minor(presentVersion(m)) == state.Minor(c.Version())
	})
}
