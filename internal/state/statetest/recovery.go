package statetest

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// OperatorImage is the image of the operator that looks after a built cluster, once Lose was called.
const OperatorImage = "quorate.dev/quorate:test"

// NewToken is the token of the cluster that takes a lost one's place.
const NewToken = "new-2"

// Lose takes the volumes and Pods of members away for ever, so that no majority serves. The others run for long.
func (b *Builder) Lose(slots ...int) *Builder {
	b.NoPod(slots...).NoVolume(slots...).Unlisted()
	b.c.OperatorImage = OperatorImage
	for i := range b.c.Members {
		if p := b.c.Members[i].Pod; p != nil {
			p.RunningFor, p.RunningSince = time.Hour, Now.Add(-time.Hour)
		}
	}
	return b
}

// Inspect has the volumes of members read just now: the log of each ends with this term and index, and names the voters
// of the bootstrap.
func (b *Builder) Inspect(slot int, term, index uint64) *Builder {
	m := b.member(slot)
	r := state.DataReport{
		ClusterID: b.c.Latch.ClusterID, MemberID: m.ID, Term: term, Commit: index - 1, LastTerm: term, LastIndex: index,
	}
	for _, in := range resources.LatchMembers(b.c.Object, *b.c.Latch) {
		r.Voters = append(r.Voters, in.MemberID)
	}
	pod := resources.InspectionName(m.Volume.Name)
	node := ""
	if m.Pod != nil {
		node = m.Pod.Node
	}
	b.c.Inspections = append(b.c.Inspections, state.Inspection{
		Pod: pod, UID: types.UID("uid-" + pod), Volume: m.Volume.Name, VolumeUID: m.Volume.UID, At: Now, Report: &r,
		Spec: resources.HelperSpec(resources.InspectionPod(b.c.Object, OperatorImage, m.Volume.Name, m.Volume.UID, node)),
	})
	return b
}

// Report changes what the last inspection told.
func (b *Builder) Report(change func(*state.Inspection)) *Builder {
	change(&b.c.Inspections[len(b.c.Inspections)-1])
	return b
}

// Consent agrees to a quorum loss.
func (b *Builder) Consent(lossID string, confirm ...string) *Builder {
	b.c.Object.Spec.Recovery = &v1alpha1.RecoverySpec{QuorumLossID: lossID, ConfirmMissing: confirm}
	return b
}

// Recover records the recovery from a loss that was agreed to.
func (b *Builder) Recover(loss state.QuorumLoss, confirmed ...string) *Builder {
	size := 1
	if loss.Chosen == 0 {
		size = int(*b.c.Object.Spec.Replicas)
	}
	b.c.Recoveries = append(b.c.Recoveries, &state.Recovery{
		UID: "uid-recovery", ResourceVersion: "1", Object: resources.RecoveryName(Name, loss.ID), Loss: loss,
		Confirmed: confirmed, From: b.c.Latch.Token, To: NewToken, Generation: b.c.Latch.Generation + 1, Size: size,
		Version: Version,
	})
	return b
}

// Recovery changes the record that was made last.
func (b *Builder) Recovery(change func(*state.Recovery)) *Builder {
	change(b.c.Recoveries[len(b.c.Recoveries)-1])
	return b
}

// Salvaged puts the data of the lost cluster onto the new one's volume, as its record tells.
func (b *Builder) Salvaged() *Builder {
	return b.Recovery(func(r *state.Recovery) {
		in := resources.RecoveredMember(b.c.Object, *r)
		r.Volume = &state.Volume{
			Name: resources.VolumeName(Name, in.Slot, in.MemberID), UID: "uid-new-volume", Slot: in.Slot, Token: in.Token,
			Generation: in.Generation, MemberID: in.MemberID, Started: true,
		}
	})
}
