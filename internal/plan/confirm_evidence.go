package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// confirmEvidence reads the logs once more of which the newest was chosen, now that nothing can append to them. They
// may have been read long before the consent, and a majority may have come and gone since while nobody looked: then
// another log may be the newest by now. A single log cannot be outdone, and the salvage itself compares it with the
// evidence. It tells whether there is still something to do.
func (w *walk) confirmEvidence(r *state.Recovery) bool {
	c := w.c
	if len(r.Loss.Survivors) < 2 || salvaged(r) || c.OperatorImage == "" {
		return false
	}
	var waiting []string
	for _, s := range r.Loss.Survivors {
		m := c.MemberByID(s.MemberID)
		if m == nil || m.Volume == nil || m.Volume.UID != s.VolumeUID {
			continue // the chosen one is looked after elsewhere; another was older when it was there
		}
		i := confirmation(c, r, s)
		switch {
		case i == nil:
			w.ensure(InspectVolume{Volume: s.Volume, VolumeUID: s.VolumeUID, Node: inspectionNode(c, *m), Confirms: r.To})
		case i.Report != nil:
			continue
		case !i.Terminating && (mended(c, *m, *i) || i.Finished && !c.Now.Before(i.Created.Add(helperRetry))):
			w.ensure(DeleteHelper{Name: i.Pod, UID: i.UID})
		case i.Finished:
			w.wakeAfter(i.Created.Add(helperRetry).Sub(c.Now))
		}
		waiting = append(waiting, s.Volume+waitingOf(i))
	}
	if len(waiting) > 0 {
		w.block(everything, v1alpha1.ReasonRecovering, "waiting until it is seen once more how far the logs on these "+
			"volumes go: "+strings.Join(waiting, ", "))
	}
	return len(waiting) > 0
}

// confirmation is the inspection of the survivor's volume after all Pods of the lost cluster had ended; nil when there
// is none.
func confirmation(c *state.Cluster, r *state.Recovery, s state.Survivor) *state.Inspection {
	at := slices.IndexFunc(c.Inspections, func(i state.Inspection) bool {
		return i.Confirms == r.To && i.Volume == s.Volume && i.VolumeUID == s.VolumeUID
	})
	if at < 0 {
		return nil
	}
	return &c.Inspections[at]
}

func waitingOf(i *state.Inspection) string {
	if i == nil || i.Waiting == "" {
		return ""
	}
	return " (" + i.Waiting + ")"
}

// otherLogs says which survivor's log is not what the consent speaks of any more.
func otherLogs(c *state.Cluster, r *state.Recovery) string {
	for _, s := range r.Loss.Survivors {
		i := confirmation(c, r, s)
		switch {
		case i == nil || i.Report == nil:
		case i.Report.Problem != "":
			return fmt.Sprintf("the data of %s cannot be read any more: %s", s.Name, shortened(i.Report.Problem))
		case i.Report.LastTerm != s.LastTerm || i.Report.LastIndex != s.LastIndex:
			return fmt.Sprintf("the log of %s ends with entry %d of term %d, and ended with entry %d of term %d when the "+
				"evidence was taken", s.Name, i.Report.LastIndex, i.Report.LastTerm, s.LastIndex, s.LastTerm)
		}
	}
	return ""
}
