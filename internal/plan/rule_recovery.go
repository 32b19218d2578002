package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// recovery carries out what a record of consent says, level by level of what exists: no Pod of the lost cluster runs;
// its data is on a new volume; nobody trusts the former CAs; the latch is the new cluster's. No other rule acts
// meanwhile. Until the latch has changed nothing of the lost cluster is, so deleting the record goes back to before.
func recovery(w *walk) {
	c := w.c
	if c.Latch == nil {
		w.latchLostInRecovery()
		return
	}
	for _, s := range c.GivenUp {
		if !s.Terminating { // Invariant: it holds no data, and what it writes to no cluster starts from.
			w.ensure(DeleteHelper{Name: s.Pod, UID: s.UID})
		}
	}
	for _, r := range c.Recoveries {
		if r.Switched(c.Latch) && !r.Finished {
			w.concludeRecovery(r)
		}
	}
	r := c.Underway()
	if r == nil {
		return
	}
	defer w.end()
	if why := contradiction(c, r); why != "" {
		w.block(everything, v1alpha1.ReasonQuorumLost, fmt.Sprintf("the recovery from quorum loss %s has stopped: %s. "+
			"Nothing is lost or changed so far. To give the recovery up and use what came back, delete the ConfigMap %s; "+
			"otherwise take it away again", r.Loss.ID, why, r.Object))
		return
	}
	switch {
	case w.fence(r):
	case w.confirmEvidence(r):
	case r.Loss.Chosen != 0 && !salvaged(r):
		w.salvage(r)
	case w.replaceAuthorities(r):
	default:
		// Invariant: no Pod of the lost cluster exists, and with data the new volume is recorded as started, so that its
		// member can never start empty; the latch is changed at the version that was seen live.
		w.propose(creation, SwitchCluster{LossID: r.Loss.ID, Empty: r.Loss.Chosen == 0}, v1alpha1.ReasonRecovering,
			"spec.recovery agreed to recover from quorum loss "+r.Loss.ID)
	}
}

// latchLostInRecovery stops while nothing tells which of two clusters is the one: a bootstrap could start either empty.
func (w *walk) latchLostInRecovery() {
	for _, r := range w.c.Recoveries {
		if !r.Finished {
			w.block(everything, v1alpha1.ReasonQuorumLost, fmt.Sprintf("the ConfigMap %s is gone in the middle of the "+
				"recovery that ConfigMap %s records: restore it", resources.LatchName(w.c.Object.Name), r.Object))
			w.end()
			return
		}
	}
}

// contradiction says what does not fit the evidence any more: a missing member is back, or the chosen volume is
// another. The rest of the evidence is not looked at again.
func contradiction(c *state.Cluster, r *state.Recovery) string {
	for _, gone := range r.Loss.Missing {
		m := c.MemberByID(gone.MemberID)
		switch {
		case m == nil:
		case m.Probe.Answered && m.Probe.MemberID == m.ID:
			return fmt.Sprintf("%s, which was missing, answers", m.Name)
		case gone.NoNode && nodeGone(c, *m).why == "":
			return fmt.Sprintf("there is a node again for the volume %s of %s, which was missing", gone.Volume, m.Name)
		case gone.Volume == "" && m.Volume != nil && m.Volume.Vanishing() == "":
			return fmt.Sprintf("the volume %s of %s, which was missing, is back", m.Volume.Name, m.Name)
		}
	}
	chosen := r.Loss.ChosenSurvivor()
	if chosen == nil || salvaged(r) {
		return ""
	}
	if why := otherLogs(c, r); why != "" {
		return why
	}
	m := c.MemberByID(chosen.MemberID)
	switch {
	case m == nil || m.Volume == nil || m.Volume.UID != chosen.VolumeUID:
		return fmt.Sprintf("the volume %s of %s, whose data was chosen, is not there", chosen.Volume, chosen.Name)
	case m.Volume.Vanishing() != "", m.Volume.Foreign(),
		chosen.PersistentVolume != "" && m.Volume.PersistentVolume != chosen.PersistentVolume:
		return fmt.Sprintf("the volume %s of %s, whose data was chosen, is not what it was", chosen.Volume, chosen.Name)
	}
	return ""
}

// fence stops all Pods of the lost cluster, and those that inspected it, and waits until they are gone. One that cannot
// end, because its node is gone, is deleted without its kubelet's word: only where the node is gone or out of service,
// or the user vouches for the member. Invariant: a consent is recorded, and a Pod is no data: every volume stays.
func (w *walk) fence(r *state.Recovery) bool {
	c := w.c
	var waiting []string
	for _, p := range c.Pods() {
		if c.Ephemeral() && !p.Finished && !p.Terminating {
			w.block(everything, v1alpha1.ReasonQuorumLost, fmt.Sprintf("Pod %s holds data: delete it when it is of no use",
				p.Name))
			return true
		}
		dead := fenced(c, p.Node) || slices.Contains(r.Confirmed, p.Name)
		if !p.Terminating || dead && !p.Forced {
			w.propose(creation, DeletePod{Name: p.Name, UID: p.UID, Why: "the cluster is recovered", Force: p.Terminating},
				v1alpha1.ReasonRecovering, "nothing of the lost cluster may run")
		}
		waiting = append(waiting, p.Name+onNode(c, p.Node))
	}
	pods := len(waiting)
	for _, i := range c.Inspections {
		if pods == 0 && i.Confirms == r.To {
			continue
		}
		if !i.Terminating {
			w.ensure(DeleteHelper{Name: i.Pod, UID: i.UID})
		}
		waiting = append(waiting, i.Pod)
	}
	for _, s := range c.GivenUp {
		waiting = append(waiting, s.Pod)
	}
	for _, o := range c.Leftovers.Foreign {
		if o.Kind == "Pod" {
			waiting = append(waiting, o.String())
		}
	}
	if len(waiting) == 0 {
		return false
	}
	w.block(everything, v1alpha1.ReasonRecovering, "waiting until these Pods are gone: "+strings.Join(waiting, ", "))
	return true
}

// salvaged tells that the data is on the new volume, and recorded to be.
func salvaged(r *state.Recovery) bool { return r.Volume != nil && r.Volume.Started }

// salvage brings the data of the chosen survivor onto the new cluster's volume.
func (w *walk) salvage(r *state.Recovery) {
	c := w.c
	in := resources.RecoveredMember(c.Object, *r)
	volume := resources.VolumeName(c.Object.Name, in.Slot, in.MemberID)
	switch s := r.Salvage; {
	case c.OperatorImage == "":
		w.block(everything, v1alpha1.ReasonRecovering, "the operator does not know its own image: set its flag --image")
	case r.Volume != nil && r.Volume.Terminating && s != nil:
		w.salvageAgain(*s, "volume "+volume+" is being deleted, which its Pod keeps from going")
	case r.Volume != nil && r.Volume.Terminating:
		w.block(everything, v1alpha1.ReasonRecovering, "waiting until volume "+volume+" is gone, to make it anew")
	case r.Volume == nil && s != nil:
		w.salvageAgain(*s, "volume "+volume+" is gone")
	case s == nil:
		// Invariant: it mounts the volume of the survivor for reading, and writes to a volume that was made for it.
		setSizes(c, state.Member{}, &in)
		w.propose(creation, Salvage{
			LossID: r.Loss.ID, Volume: volume, Size: in.VolumeSize, SizeInSpec: in.SizeInSpec,
		}, v1alpha1.ReasonRecovering, "no Pod of the lost cluster runs any more")
	case s.Report != nil && s.Report.QuorumLossID == r.Loss.ID:
		w.propose(creation, RecordSalvaged{Volume: volume, ClusterID: in.ClusterID}, v1alpha1.ReasonRecovering,
			fmt.Sprintf("%d keys at revision %d were salvaged and read back", s.Report.Digest.Keys, s.Report.Digest.Revision))
	case s.Finished && c.Now.Before(s.Created.Add(helperRetry)):
		w.wakeAfter(s.Created.Add(helperRetry).Sub(c.Now))
		w.block(everything, v1alpha1.ReasonRecovering, failedSalvage(*s)+": the salvage begins again in a minute")
	case s.Finished:
		w.salvageAgain(*s, failedSalvage(*s))
	case s.Spec != resources.HelperSpec(resources.SalvagePod(c.Object, c.OperatorImage, *r)):
		w.salvageAgain(*s, "what its Pod is made from has changed")
	default:
		w.block(everything, v1alpha1.ReasonRecovering, salvageProgress(r))
	}
}

// salvageProgress is what the Pod that salvages is waited for, and what a person can do.
func salvageProgress(r *state.Recovery) string {
	message := "waiting until Pod " + r.Salvage.Pod + " has salvaged the data"
	if r.Salvage.Waiting != "" {
		message += ": " + r.Salvage.Waiting
	}
	if why := unbound(r.Volume); why != "" {
		message += why + ": when that is not the one in the spec, delete the claim to have it made anew"
	}
	if r.Salvage.Waiting != "" {
		message += ". To give the recovery up, delete the ConfigMap " + r.Object
	}
	return message
}

// failedSalvage says why a Pod that its kubelet does not start again has not salvaged the data.
func failedSalvage(s state.Salvage) string { return "its Pod has failed (" + s.Waiting + ")" }

// salvageAgain ends the Pod that salvages: it may begin anew at any time.
func (w *walk) salvageAgain(s state.Salvage, why string) {
	if !s.Terminating {
		w.ensure(DeleteHelper{Name: s.Pod, UID: s.UID})
	}
	w.block(everything, v1alpha1.ReasonRecovering, why+": the salvage begins again")
}

// replaceAuthorities makes CAs that neither a member nor a client of the lost cluster has a certificate of. It tells
// whether there is still something to do.
func (w *walk) replaceAuthorities(r *state.Recovery) bool {
	t := w.c.TLS
	if t == nil || !t.Managed {
		return false
	}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		if a := t.Authority(side); a.Recorded && a.Recovery != r.Loss.ID {
			w.propose(creation, SetAuthority{Side: side, Change: ReplaceAuthority, Why: "the quorum was lost"},
				v1alpha1.ReasonRecovering, fmt.Sprintf("what trusted the %s CA belongs to the lost cluster", side))
			return true
		}
	}
	return false
}

// concludeRecovery tidies up once the latch is the new cluster's.
func (w *walk) concludeRecovery(r *state.Recovery) {
	var keep []string
	for _, v := range r.Former {
		keep = append(keep, v.Name)
	}
	if len(keep) > 0 {
		w.ensure(KeepFormerVolumes{Volumes: keep})
	}
	for _, i := range w.c.Inspections {
		if !i.Terminating && !ofMember(w.c, i) {
			w.ensure(DeleteHelper{Name: i.Pod, UID: i.UID})
		}
	}
	if r.Salvage != nil && !r.Salvage.Terminating {
		w.ensure(DeleteHelper{Name: r.Salvage.Pod, UID: r.Salvage.UID})
	}
	if len(keep) == 0 && r.Salvage == nil && w.c.Etcd.Serving && w.c.Formed() {
		w.ensure(FinishRecovery{Record: r.Object})
	}
}

// ofMember tells that the inspection is of a volume that the cluster uses: it may be about to lose its quorum again.
func ofMember(c *state.Cluster, i state.Inspection) bool {
	return slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return m.Volume != nil && m.Volume.UID == i.VolumeUID
	})
}
