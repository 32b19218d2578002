package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// Three of five are lost; the logs of the others were read long ago.
func TestTheNewestLogIsStillTheNewest(t *testing.T) {
	lost := func() *statetest.Builder {
		return statetest.Formed(5).Lose(2, 3, 4).Inspect(0, 4, 120).Inspect(1, 4, 110)
	}
	loss := lossOf(t, lost())
	begun := func() *statetest.Builder { return lost().Recover(loss, "demo-2", "demo-3", "demo-4") }
	confirmed := func(change func(*state.Inspection)) *statetest.Builder {
		return begun().NoPod(0, 1).With(func(c *state.Cluster) {
			for i := range c.Inspections {
				read := &c.Inspections[i]
				read.Confirms = statetest.NewToken
				read.Spec = resources.HelperSpec(resources.InspectionPod(c.Object, c.OperatorImage, read.Volume, read.VolumeUID, ""))
			}
			change(&c.Inspections[1])
		})
	}
	again := func(slot int) plan.InspectVolume {
		s := inspect(lost(), slot, "")
		s.Confirms = statetest.NewToken
		return s
	}
	old := lost().Build().Inspections
	volume := begun().Salvaged().Build().Recoveries[0].Volume.Name
	reading := "Recovering: waiting until it is seen once more how far the logs on these volumes go: "
	scenarios{
		"what was read while etcd ran is read anew": {
			cluster: begun().NoPod(0, 1),
			ensures: []plan.Step{
				plan.DeleteHelper{Name: old[0].Pod, UID: old[0].UID}, plan.DeleteHelper{Name: old[1].Pod, UID: old[1].UID},
			},
			absent: []plan.Step{plan.InspectVolume{}}, blocked: []string{"Recovering: waiting until these Pods are gone"},
		},
		"once no Pod is left": {
			cluster: begun().NoPod(0, 1).With(func(c *state.Cluster) { c.Inspections = nil }),
			ensures: []plan.Step{again(0), again(1)}, blocked: []string{reading + old[0].Volume},
		},
		"which is waited for": {
			cluster: confirmed(func(i *state.Inspection) { i.Report, i.At, i.Waiting = nil, time.Time{}, "unschedulable" }),
			absent:  []plan.Step{plan.InspectVolume{}, plan.DeleteHelper{}},
			blocked: []string{reading + old[1].Volume + " (unschedulable)"},
		},
		"and made anew when it was evicted": {
			cluster: confirmed(func(i *state.Inspection) { i.Report, i.Finished = nil, true }),
			ensures: []plan.Step{plan.DeleteHelper{Name: old[1].Pod, UID: old[1].UID}}, blocked: []string{reading},
		},
		"a log that went on stops the recovery": {
			cluster: confirmed(func(i *state.Inspection) { i.Report.LastTerm, i.Report.LastIndex = 5, 300 }),
			blocked: []string{"QuorumLost: has stopped: the log of demo-1 ends with entry 300 of term 5, and ended with entry " +
				"110 of term 4"},
		},
		"and so does one that cannot be read any more": {
			cluster: confirmed(func(i *state.Inspection) { i.Report = &state.DataReport{Problem: "crc mismatch"} }),
			blocked: []string{"QuorumLost: has stopped: the data of demo-1 cannot be read any more: crc mismatch"},
		},
		"else the data is salvaged": {
			cluster: confirmed(func(*state.Inspection) {}), step: plan.Salvage{LossID: loss.ID, Volume: volume},
		},
		"also when one that was older is gone": {
			cluster: confirmed(func(*state.Inspection) {}).NoVolume(1), step: plan.Salvage{LossID: loss.ID, Volume: volume},
		},
		"what confirmed another consent to the same is worth nothing once a member has run again": {
			cluster: confirmed(func(*state.Inspection) {}).Recovery(func(r *state.Recovery) { r.To = "other-3" }),
			ensures: []plan.Step{plan.DeleteHelper{Name: old[0].Pod, UID: old[0].UID}},
			blocked: []string{"Recovering: waiting until these Pods are gone"},
		},
	}.run(t)
	pod := resources.InspectionPod(lost().Build().Object, statetest.OperatorImage, "demo-1-b", "u", "")
	resources.RecordConfirms(pod, statetest.NewToken)
	if got := resources.ParseInspection(pod).Confirms; got != statetest.NewToken {
		t.Errorf("what it confirms is read back as %q", got)
	}
}
