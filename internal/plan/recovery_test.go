package plan_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestRecovery(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	empty := lossOf(t, statetest.Formed(3).Lose(0, 1, 2))
	begun := func() *statetest.Builder { return lostQuorum().Recover(loss, "demo-1", "demo-2") }
	fenced := func() *statetest.Builder {
		return begun().NoPod(0).With(func(c *state.Cluster) { c.Inspections = nil })
	}
	volume := fenced().Salvaged().Build().Recoveries[0].Volume.Name
	pod := resources.SalvageName(statetest.Name, loss.ID)
	spec := resources.HelperSpec(resources.SalvagePod(
		begun().Build().Object, statetest.OperatorImage, *begun().Build().Recoveries[0]))
	salvage := func(report *state.SalvageReport) func(*state.Recovery) {
		return func(r *state.Recovery) {
			r.Volume.Started, r.Salvage = false, &state.Salvage{Pod: pod, UID: "uid-salvage", Report: report, Spec: spec, Waiting: "it pulls"}
		}
	}
	done := &state.SalvageReport{QuorumLossID: loss.ID, Digest: state.DataDigest{Keys: 5}}
	waiting := "Recovering: waiting until these Pods are gone: demo-0"
	inspection := resources.InspectionName(lostQuorum().Build().Members[0].Volume.Name)
	scenarios{
		"first the Pods of the lost cluster go": {
			cluster: begun(), step: plan.DeletePod{Name: "demo-0", UID: podUID(0), Why: "the cluster is recovered"},
			ensures: []plan.Step{plan.DeleteHelper{Name: inspection, UID: lostQuorum().Build().Inspections[0].UID}},
			blocked: []string{waiting},
		},
		"one that is ending is waited for": {
			cluster: begun().Terminate(0).Member(0, onNode("node-0")).With(nodes("node-0")), blocked: []string{waiting},
		},
		"one whose node is gone is not": {
			cluster: begun().Terminate(0).Member(0, onNode("node-gone")),
			step:    plan.DeletePod{Name: "demo-0", UID: podUID(0), Why: "the cluster is recovered", Force: true},
			blocked: []string{waiting},
		},
		"then the data is salvaged": {
			cluster: fenced(), step: plan.Salvage{LossID: loss.ID, Volume: volume},
		},
		"onto the volume that an operator that crashed has left": {
			cluster: fenced().Salvaged().Recovery(func(r *state.Recovery) { r.Volume.Started = false }),
			step:    plan.Salvage{LossID: loss.ID, Volume: volume},
		},
		"which is waited for": {
			cluster: fenced().Salvaged().Recovery(salvage(nil)), blocked: []string{"Recovering: has salvaged the data: it pulls"},
		},
		"and made anew when its image was mended": {
			cluster: fenced().Salvaged().Recovery(salvage(nil)).Spec(func(s *v1alpha1.EtcdClusterSpec) {
				s.Image = &v1alpha1.ImageSpec{Repository: new("mirror.example/etcd")}
			}),
			ensures: []plan.Step{plan.DeleteHelper{Name: pod, UID: "uid-salvage"}},
			blocked: []string{"Recovering: what its Pod is made from has changed"},
		},
		"a report of something else is none": {
			cluster: fenced().Salvaged().Recovery(salvage(&state.SalvageReport{QuorumLossID: "other"})),
			blocked: []string{"Recovering: has salvaged the data"},
		},
		"and recorded, so that it can never start empty": {
			cluster: fenced().Salvaged().Recovery(salvage(done)),
			step: plan.RecordSalvaged{Volume: volume, ClusterID: resources.RecoveredMember(
				begun().Build().Object, *begun().Build().Recoveries[0]).ClusterID},
		},
		"a new volume that was lost is made again": {
			cluster: fenced().Salvaged().Recovery(salvage(done)).Recovery(func(r *state.Recovery) { r.Volume = nil }),
			ensures: []plan.Step{plan.DeleteHelper{Name: pod, UID: "uid-salvage"}},
			blocked: []string{"Recovering: is gone: the salvage begins again"},
		},
		"then the new cluster takes the lost one's place": {
			cluster: fenced().Salvaged(), step: plan.SwitchCluster{LossID: loss.ID},
		},
		"at once when there is nothing to salvage": {
			cluster: statetest.Formed(3).Lose(0, 1, 2).Recover(empty), step: plan.SwitchCluster{LossID: empty.ID, Empty: true},
		},
		"whatever spec.recovery says by then": {
			cluster: fenced().Salvaged().Consent("0123456789abcdef"), step: plan.SwitchCluster{LossID: loss.ID},
		},
		"unless it is paused": {
			cluster: fenced().Salvaged().With(pause), blocked: []string{"Paused: spec.paused is set"},
		},
	}.run(t)
}

func TestARecoveryStops(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	recovering := func(b *statetest.Builder) *statetest.Builder { return b.Recover(loss, "demo-1", "demo-2") }
	const stopped = "QuorumLost: has stopped: "
	back := statetest.Formed(3).NoPod(1).Lose(2)
	scenarios{
		"when the volume of a missing member is back": {
			cluster: recovering(back), blocked: []string{stopped + "the volume " + back.Build().Members[1].Volume.Name},
		},
		"when a missing member answers": {
			cluster: recovering(statetest.Formed(3).Lose(2)).Member(1, func(m *state.Member) { m.Volume = nil }),
			blocked: []string{stopped + "demo-1, which was missing, answers"},
		},
		"when the chosen volume is gone": {
			cluster: recovering(statetest.Formed(3).Lose(0, 1, 2)), blocked: []string{stopped + "the volume demo-0-"},
		},
		"when the chosen claim is another": {
			cluster: recovering(lostQuorum()).Member(0, func(m *state.Member) { m.Volume.UID = "other" }),
			blocked: []string{stopped + "the volume demo-0-"},
		},
		"when the chosen claim is bound to another volume": {
			cluster: recovering(lostQuorum()).Member(0, func(m *state.Member) { m.Volume.PersistentVolume = "pv-other" }),
			blocked: []string{stopped + "the volume demo-0-"},
		},
		"when the latch is lost, and bootstraps nothing": {
			cluster: recovering(lostQuorum()).LatchLost(), blocked: []string{"QuorumLost: demo-latch is gone in the middle"},
		},
	}.run(t)
}

func TestARecoveryIsConcluded(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	recovered := func(change func(*state.Recovery)) *statetest.Builder {
		return statetest.Formed(1).Replicas(1).Recover(loss).Recovery(func(r *state.Recovery) {
			r.From, r.To = "lost-1", statetest.Token
			change(r)
		})
	}
	reading := func(volume types.UID) func(*state.Cluster) {
		return func(c *state.Cluster) { c.Inspections = []state.Inspection{{Pod: "p", UID: "u", VolumeUID: volume}} }
	}
	finish := plan.FinishRecovery{Record: resources.RecoveryName(statetest.Name, loss.ID)}
	scenarios{
		"by marking what is kept": {
			cluster: recovered(func(r *state.Recovery) { r.Former = []state.Volume{{Name: "demo-0-1"}, {Name: "demo-1-2"}} }),
			ensures: []plan.Step{plan.KeepFormerVolumes{Volumes: []string{"demo-0-1", "demo-1-2"}}},
			absent:  []plan.Step{plan.FinishRecovery{}},
		},
		"by deleting the Pod that salvaged": {
			cluster: recovered(func(r *state.Recovery) { r.Salvage = &state.Salvage{Pod: "p", UID: "u"} }),
			ensures: []plan.Step{plan.DeleteHelper{Name: "p", UID: "u"}}, absent: []plan.Step{plan.FinishRecovery{}},
		},
		"by deleting the Pods that read the former volumes": {
			cluster: recovered(func(*state.Recovery) {}).NotServing().With(reading("another")), blocked: []string{"QuorumLost"},
			ensures: []plan.Step{plan.DeleteHelper{Name: "p", UID: "u"}}, absent: []plan.Step{plan.FinishRecovery{}},
		},
		"but not those that examine the next loss": {
			cluster: recovered(func(*state.Recovery) {}).NotServing().
				With(func(c *state.Cluster) { reading(c.Members[0].Volume.UID)(c) }), blocked: []string{"QuorumLost"},
			absent: []plan.Step{plan.FinishRecovery{}, plan.DeleteHelper{}},
		},
		"and recording that": {cluster: recovered(func(*state.Recovery) {}), ensures: []plan.Step{finish}},
		"also of an empty cluster whose bootstrap had to start again": {
			cluster: recovered(func(r *state.Recovery) {
				r.To = state.Token(state.Lineage(statetest.Token), 7)
			}), ensures: []plan.Step{finish},
		},
		"once": {
			cluster: recovered(func(r *state.Recovery) { r.Finished = true }), absent: []plan.Step{plan.FinishRecovery{}},
		},
	}.run(t)
}

func TestNewAuthoritiesAfterALoss(t *testing.T) {
	with := func() *statetest.Builder { return statetest.Formed(3).TLS().Lose(1, 2).Inspect(0, 4, 120) }
	loss := lossOf(t, with())
	fenced := func() *statetest.Builder {
		return with().Recover(loss).Salvaged().NoPod(0).With(func(c *state.Cluster) { c.Inspections = nil })
	}
	made := func(a *state.Authority) { a.Recovery = loss.ID }
	replace := func(side state.Side) plan.Step {
		return plan.SetAuthority{Side: side, Change: plan.ReplaceAuthority, Why: "the quorum was lost"}
	}
	scenarios{
		"the peers' first":   {cluster: fenced(), step: replace(state.PeerSide)},
		"then the clients'":  {cluster: fenced().Record(state.PeerSide, made), step: replace(state.ClientSide)},
		"and then it starts": {cluster: fenced().Record(state.PeerSide, made).Record(state.ClientSide, made), step: plan.SwitchCluster{LossID: loss.ID}},
	}.run(t)
}

func onNode(name string) func(*state.Member) { return func(m *state.Member) { m.Pod.Node = name } }

func nodes(names ...string) func(*state.Cluster) {
	return func(c *state.Cluster) {
		for _, name := range names {
			c.Nodes[name] = state.Node{Ready: true}
		}
	}
}

func pause(c *state.Cluster) { c.Object.Spec.Paused = new(true) }
