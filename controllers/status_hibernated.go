package controllers

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// wakingTime is how long members may take to start before a cluster that wakes counts as one that has lost its quorum.
const wakingTime = 5 * time.Minute

// hibernates tells that nobody is served because the user wanted it so. A cluster that is paused while its Pods are
// there does not hibernate.
func hibernates(c *state.Cluster) bool {
	return c.Hibernated() && (!ptr.Deref(c.Object.Spec.Paused, false) || len(c.Pods()) == 0)
}

// waking tells that the cluster was hibernated until now, and that nothing is known yet to keep its members from
// starting. It only chooses words: no decision depends on what the status said before.
func waking(c *state.Cluster) bool {
	before := meta.FindStatusCondition(c.Object.Status.Conditions, v1alpha1.ConditionAvailable)
	if before == nil || before.Reason != v1alpha1.ReasonHibernated && before.Reason != v1alpha1.ReasonWaking {
		return false
	}
	return !c.Hibernated() && !c.Etcd.Serving && !slices.ContainsFunc(c.Pods(), func(p state.Pod) bool {
		return !p.Terminating && (p.Finished || p.Restarts > 0 || c.Now.Sub(p.Created) > wakingTime)
	})
}

// whileWaking says of a majority that is missing because the members have yet to start that they do.
func whileWaking(c *state.Cluster, blocked []plan.Blocked) []plan.Blocked {
	if !waking(c) {
		return blocked
	}
	for i := range blocked {
		if blocked[i].Reason == v1alpha1.ReasonQuorumLost {
			blocked[i].Reason = v1alpha1.ReasonWaking
		}
	}
	return blocked
}
