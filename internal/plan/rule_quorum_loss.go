package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// quorumLoss tells when a majority of the voters has lost its data for ever, with the evidence, and begins the recovery
// once the user agrees to exactly that. Invariant: without a consent that names this evidence nothing is done but to
// read the volumes that are left; BeginRecovery is planned again on a live observation.
func quorumLoss(w *walk) {
	c := w.c
	e := examine(c)
	for _, s := range e.inspect {
		w.ensure(s)
	}
	for _, i := range c.Inspections {
		if !i.Terminating && (c.Etcd.Serving || slices.Contains(e.stale, i.Pod)) {
			w.ensure(DeleteHelper{Name: i.Pod, UID: i.UID})
		}
	}
	if e.wake > 0 {
		w.wakeAfter(e.wake)
	}
	switch {
	case len(e.unknown) > 0:
		w.block(0, v1alpha1.ReasonQuorumLost, "no majority serves, and it is not known yet whether a majority has lost its "+
			"data for ever: "+strings.Join(e.unknown, "; "))
	case e.loss != nil:
		w.consented(*e.loss)
	}
}

// QuorumLoss is the loss that is proven now, or that is recovered from; nil when there is none.
func QuorumLoss(c *state.Cluster) *state.QuorumLoss {
	if r := c.Underway(); r != nil {
		return &r.Loss
	}
	return examine(c).loss
}

// consented begins the recovery if the user agrees to this loss, and tells what is missing otherwise.
func (w *walk) consented(loss state.QuorumLoss) {
	c, consent := w.c, w.c.Object.Spec.Recovery
	say := func(message string) { w.block(0, v1alpha1.ReasonQuorumLost, lossSentence(loss)+message) }
	if consent == nil {
		say("Read status.quorumLoss: bring a missing member back, or agree to the plan there with spec.recovery." +
			"quorumLossID: " + loss.ID + unconfirmedAdvice(loss, nil))
		return
	}
	unconfirmed := unconfirmed(loss, consent.ConfirmMissing)
	switch {
	case consent.QuorumLossID != loss.ID:
		say(fmt.Sprintf("spec.recovery.quorumLossID is %s, which is not this loss: nothing is done. Read status.quorumLoss, "+
			"and agree to it with %s", consent.QuorumLossID, loss.ID))
	case slices.ContainsFunc(c.Recoveries, func(r *state.Recovery) bool { return r.Loss.ID == loss.ID }):
		say("The consent to this loss was used already, and acts only once")
	case len(unconfirmed) > 0:
		say("The consent is not complete" + unconfirmedAdvice(loss, consent.ConfirmMissing))
	default:
		version, size := c.Version(), c.Replicas()
		if s := loss.ChosenSurvivor(); s != nil {
			version, size = s.Version, 1
		}
		// Whoever names a survivor as well does not make it one whose Pod may be taken for ended.
		confirmed := slices.DeleteFunc(slices.Clone(consent.ConfirmMissing), func(name string) bool {
			return !slices.ContainsFunc(loss.Missing, func(m state.Missing) bool { return m.Name == name })
		})
		slices.Sort(confirmed)
		w.propose(creation, BeginRecovery{Loss: loss, Confirmed: confirmed, Size: size, Version: version},
			v1alpha1.ReasonRecovering, "spec.recovery agrees to recover from quorum loss "+loss.ID)
	}
}

func lossSentence(loss state.QuorumLoss) string {
	var missing []string
	for _, m := range loss.Missing {
		missing = append(missing, m.Name+" ("+m.Why+")")
	}
	return "the quorum is lost for ever, because the data of these voters is: " + strings.Join(missing, ", ") + ". "
}

// unconfirmed are the missing members that may still run somewhere, as far as is known, and that nobody vouches for.
func unconfirmed(loss state.QuorumLoss, confirmed []string) []string {
	var names []string
	for _, m := range loss.Missing {
		if !m.Fenced && !slices.Contains(confirmed, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

func unconfirmedAdvice(loss state.QuorumLoss, confirmed []string) string {
	names := unconfirmed(loss, confirmed)
	if len(names) == 0 {
		return ""
	}
	return ". Make sure that these never run again, and name them in spec.recovery.confirmMissing, because their node " +
		"is not known to be gone or out of service: " + strings.Join(names, ", ")
}

// LossPlan is what the recovery does, in sentences.
func LossPlan(c *state.Cluster, loss state.QuorumLoss) []string {
	plan := []string{"All Pods of the members are stopped. No volume is deleted or changed: all are kept aside."}
	if s := loss.ChosenSurvivor(); s != nil {
		plan = append(plan,
			fmt.Sprintf("The data of %s (volume %s), whose log is the newest (term %d, index %d), is copied to a new volume: "+
				"everything in its log, under a new cluster ID and new member IDs.", s.Name, s.Volume, s.LastTerm, s.LastIndex),
			"The revision is raised by 1,000,000,000 and everything before is compacted, so that every watcher notices.",
			fmt.Sprintf("One member starts on it; then others join until there are %d.", c.Replicas()))
	} else {
		plan = append(plan, fmt.Sprintf("Nothing is left: an empty cluster of %d members starts.", c.Replicas()))
	}
	switch {
	case c.TLS != nil && c.TLS.Managed:
		plan = append(plan, "New certificate authorities are made: clients must load the client Secret again.")
	case c.TLS != nil:
		plan = append(plan, "The certificates come from elsewhere and stay: replace their CA there to lock former clients "+
			"out.")
	}
	return plan
}

// MayBeLost says which data a recovery cannot bring back.
func MayBeLost(loss state.QuorumLoss) string {
	s := loss.ChosenSurvivor()
	if s == nil {
		return "everything: no data of the cluster is left. Restore a backup, if there is one."
	}
	return fmt.Sprintf("writes that were acknowledged after entry %d of term %d, which only the missing members had. "+
		"Everything up to that entry is kept, also what no client was told to be written.", s.LastIndex, s.LastTerm)
}
