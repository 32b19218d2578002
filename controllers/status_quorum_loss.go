package controllers

import (
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// maxLossText bounds the texts of status.quorumLoss, in bytes.
const maxLossText = 1000

// quorumLossStatus shows the loss that is proven, or that is recovered from; nil when there is none.
func quorumLossStatus(c *state.Cluster) *v1alpha1.QuorumLossStatus {
	loss := plan.QuorumLoss(c)
	if loss == nil {
		return nil
	}
	s := &v1alpha1.QuorumLossStatus{
		ID: loss.ID, Plan: plan.LossPlan(c, *loss), MayBeLost: truncate(plan.MayBeLost(*loss), maxLossText),
	}
	if c.Underway() != nil {
		s.Recovering = ptr.To(true)
	}
	for _, survivor := range loss.Survivors {
		if survivor.MemberID == loss.Chosen {
			s.Chosen = ptr.To(survivor.Name)
		}
		s.Survivors = append(s.Survivors, v1alpha1.SurvivorStatus{
			Name: survivor.Name, MemberID: resources.FormatID(survivor.MemberID), Volume: survivor.Volume,
			Term: indexNumber(survivor.LastTerm), Index: indexNumber(survivor.LastIndex),
			Committed: indexNumber(survivor.Commit),
		})
	}
	for _, missing := range loss.Missing {
		s.Missing = append(s.Missing, v1alpha1.MissingStatus{
			Name: missing.Name, MemberID: resources.FormatID(missing.MemberID), Node: nilWhenEmpty(missing.Node),
			Fenced: ptr.To(missing.Fenced), Reason: truncate(missing.Why, maxLossText),
		})
	}
	return s
}

// indexNumber is a term or an index of raft, which is unsigned; it does not reach the largest signed one in the life
// of a cluster.
func indexNumber(n uint64) *int64 { return ptr.To(int64(n)) } //nolint:gosec // see above
