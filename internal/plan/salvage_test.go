package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestTheDataFitsOnTheNewVolume(t *testing.T) {
	grown := func() *statetest.Builder {
		return statetest.Formed(3).Volumes("8Gi").MaxSize("40Gi").Grown("40Gi", 0).Lose(1, 2).Inspect(0, 4, 120)
	}
	loss := lossOf(t, grown())
	fenced := func() *statetest.Builder {
		return grown().Recover(loss).NoPod(0).With(func(c *state.Cluster) { c.Inspections = nil })
	}
	r := fenced().Salvaged().Build().Recoveries[0]
	small := func(r *state.Recovery) {
		r.Volume.Started, r.Volume.Request, r.Volume.Capacity = false, 8*gib, 8*gib
		r.Salvage = &state.Salvage{Pod: "p", UID: "u", Spec: resources.HelperSpec(resources.SalvagePod(
			grown().Build().Object, statetest.OperatorImage, *r)), Waiting: "no space left on device"}
	}
	scenarios{
		"which is as large as that of the survivor has become": {
			cluster: fenced(), step: plan.Salvage{LossID: loss.ID, Volume: r.Volume.Name, Size: 40 * gib, SizeInSpec: 8 * gib},
		},
		"and expanded when it is not": {
			cluster: fenced().Salvaged().Recovery(small),
			ensures: []plan.Step{plan.ResizeVolumes{
				Size: 40 * gib, SizeInSpec: 8 * gib, Why: "all volumes are to have the same size",
				Claims: []plan.Claim{{Name: r.Volume.Name, UID: r.Volume.UID, Request: 8 * gib}},
			}},
			blocked: []string{"Recovering: has salvaged the data: no space left on device"},
		},
	}.run(t)
}

func TestTheSalvageRunsTheVersionOfTheData(t *testing.T) {
	// All members were upgraded, and nobody had recorded that before the quorum was lost; then the edit was taken back.
	upgraded := lostQuorum().RunVersion("3.7.3", 0).ClusterVersion("")
	if got := lossOf(t, upgraded).ChosenSurvivor().Version; got != "3.7.3" {
		t.Errorf("etcd %s is to read the data that etcd 3.7.3 wrote", got)
	}
	patch := lostQuorum().RunVersion("3.6.14", 0)
	if got := lossOf(t, patch).ChosenSurvivor().Version; got != statetest.Version {
		t.Errorf("etcd %s is to read the data of etcd 3.6.14, want the wanted release %s of its minor", got, statetest.Version)
	}
}

func TestAVolumeThatIsNeverProvisionedIsTold(t *testing.T) {
	b := lostQuorum()
	loss := lossOf(t, b)
	b.Recover(loss).NoPod(0).Salvaged().With(func(c *state.Cluster) { c.Inspections = nil }).Recovery(func(r *state.Recovery) {
		r.Volume.Started, r.Volume.ActualStorageClass = false, "gone"
		r.Salvage = &state.Salvage{Pod: "p", UID: "u", Spec: resources.HelperSpec(resources.SalvagePod(
			lostQuorum().Build().Object, statetest.OperatorImage, *r))}
	})
	name := b.Build().Recoveries[0].Volume.Name
	scenarios{"with the storage class that it waits for": {
		cluster: b, blocked: []string{"Recovering: no volume is bound to its claim " + name + ` of storage class "gone" yet: when`},
	}}.run(t)
	b.Recovery(func(r *state.Recovery) { r.Volume.Terminating = true })
	scenarios{"and its Pod does not keep it from going": {
		cluster: b, ensures: []plan.Step{plan.DeleteHelper{Name: "p", UID: "u"}},
		blocked: []string{"Recovering: volume " + name + " is being deleted"},
	}}.run(t)
}

func TestASalvageThatWasGivenUpEnds(t *testing.T) {
	given := func(c *state.Cluster) { c.GivenUp = []state.Salvage{{Pod: "p", UID: "u"}} }
	gone := plan.DeleteHelper{Name: "p", UID: "u"}
	loss := lossOf(t, lostQuorum())
	scenarios{
		"whatever became of the cluster": {cluster: statetest.Formed(3).With(given), ensures: []plan.Step{gone}},
		"before another recovery reads what it reads": {
			cluster: lostQuorum().Recover(loss).NoPod(0).With(given).With(func(c *state.Cluster) { c.Inspections = nil }),
			ensures: []plan.Step{gone}, blocked: []string{"Recovering: waiting until these Pods are gone: p"},
		},
		"once": {
			cluster: statetest.Formed(3).With(given).With(func(c *state.Cluster) { c.GivenUp[0].Terminating = true }),
			absent:  []plan.Step{plan.DeleteHelper{}},
		},
	}.run(t)
}

func TestAPodThatHelpsIsMadeAnewWhenItHasFailed(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	failed := func(ago time.Duration) *statetest.Builder {
		return lostQuorum().Report(func(i *state.Inspection) {
			i.Report, i.At, i.Finished, i.Waiting, i.Created = nil, time.Time{}, true, "Evicted", statetest.Now.Add(-ago)
		})
	}
	salvaging := func(ago time.Duration) *statetest.Builder {
		b := lostQuorum().Recover(loss, "demo-1", "demo-2").NoPod(0).With(func(c *state.Cluster) { c.Inspections = nil })
		return b.Salvaged().Recovery(func(r *state.Recovery) {
			r.Volume.Started = false
			r.Salvage = &state.Salvage{
				Pod: "p", UID: "u", Finished: true, Waiting: "Evicted", Created: statetest.Now.Add(-ago),
				Spec: resources.HelperSpec(resources.SalvagePod(b.Build().Object, statetest.OperatorImage, *r)),
			}
		})
	}
	i := failed(0).Build().Inspections[0]
	scenarios{
		"one that reads": {
			cluster: failed(time.Hour), ensures: []plan.Step{plan.DeleteHelper{Name: i.Pod, UID: i.UID}},
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"but not at once, as often as it fails": {
			cluster: failed(10 * time.Second), absent: []plan.Step{plan.DeleteHelper{}}, wake: 50 * time.Second,
			blocked: []string{unproven + "its volume demo-0-", noQuorum, waiting0},
		},
		"one that salvages": {
			cluster: salvaging(time.Hour), ensures: []plan.Step{plan.DeleteHelper{Name: "p", UID: "u"}},
			blocked: []string{"Recovering: its Pod has failed (Evicted): the salvage begins again"},
		},
		"and that neither": {
			cluster: salvaging(10 * time.Second), absent: []plan.Step{plan.DeleteHelper{}}, wake: 50 * time.Second,
			blocked: []string{"Recovering: its Pod has failed (Evicted): the salvage begins again in a minute"},
		},
	}.run(t)
}
