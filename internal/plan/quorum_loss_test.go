package plan_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// two of three members are lost, and the volume of the third was read.
func lostQuorum() *statetest.Builder { return statetest.Formed(3).Lose(1, 2).Inspect(0, 4, 120) }

func lossOf(t *testing.T, b *statetest.Builder) state.QuorumLoss {
	t.Helper()
	loss := plan.QuorumLoss(b.Build())
	if loss == nil {
		t.Fatal("no quorum loss is found")
	}
	return *loss
}

func inspect(b *statetest.Builder, slot int, node string) plan.InspectVolume {
	m := b.Build().MemberByID(b.ID(slot))
	return plan.InspectVolume{Volume: m.Volume.Name, VolumeUID: m.Volume.UID, Node: node}
}

const (
	unproven = "QuorumLost: it is not known yet whether a majority has lost its data for ever: "
	noQuorum = "QuorumLost: no majority serves (only"
	waiting0 = "StartingMember: waiting for demo-0"
)

func TestAMajorityOfTheVolumesIsNoLoss(t *testing.T) {
	tests := map[string]*statetest.Builder{
		"all Pods are gone": statetest.Formed(3).NoPod(0, 1, 2).Lose(),
		"two volumes are gone, yet etcd serves": statetest.Formed(5).NoPod(3, 4).NoVolume(3, 4).
			With(func(c *state.Cluster) { c.OperatorImage = statetest.OperatorImage }),
		"two volumes are gone, and the operator cannot reach the third member": statetest.Formed(3).Unreachable(0).Lose(1, 2),
		"a quorum was never seen": statetest.Formed(3).Lose(1, 2).With(func(c *state.Cluster) { c.Latch.Formed = false }),
		"two claims are being deleted, whose Pods still run": statetest.Formed(3).Crash(0, 1, 2).Lose().
			Member(1, func(m *state.Member) { m.Volume.Terminating = true }).
			Member(2, func(m *state.Member) { m.Volume.Terminating = true }),
		"two nodes are not ready for long, and may come back": statetest.Formed(3).Crash(0, 1, 2).Lose().With(func(c *state.Cluster) {
			for _, name := range []string{"node-1", "node-2"} {
				c.Nodes[name] = state.Node{NotReadySince: statetest.Now.Add(-time.Hour), OutOfService: true}
			}
		}),
		"it hibernates": statetest.Formed(3).Lose(1, 2).With(func(c *state.Cluster) { c.Object.Spec.Hibernated = new(true) }),
		"the log of the last member names it as the only voter": lostQuorum().Report(func(i *state.Inspection) {
			i.Report.Voters = i.Report.Voters[:1]
		}),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			if loss := plan.QuorumLoss(b.Build()); loss != nil {
				t.Errorf("a loss is found: %+v", loss)
			}
			if s := ensureLike(plan.Next(b.Build()), plan.InspectVolume{}); s != nil {
				t.Errorf("a volume is read: %v", s)
			}
		})
	}
}

func TestVolumesAreReadBeforeALossIsTold(t *testing.T) {
	lost := func() *statetest.Builder { return statetest.Formed(3).Lose(1, 2) }
	onNode := func(m *state.Member) { m.Pod.Node = "node-0" }
	again := lostQuorum().Report(func(i *state.Inspection) { i.At = statetest.Now.Add(-2 * time.Hour) })
	scenarios{
		"where the member's Pod is": {
			cluster: lost().Member(0, onNode), ensures: []plan.Step{inspect(lost().Member(0, onNode), 0, "node-0")},
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"but not before a member that was started could have served": {
			cluster: lost().Member(0, func(m *state.Member) { m.Pod.RunningFor = 10 * time.Second }),
			absent:  []plan.Step{plan.InspectVolume{}}, wake: 20 * time.Second,
			blocked: []string{unproven + "demo-0 was started 30s ago at most", noQuorum, waiting0},
		},
		"nor before a Pod that was just created could have started": {
			cluster: lost().Member(0, func(m *state.Member) {
				m.Pod.Running, m.Pod.LastExit, m.Pod.Created = false, nil, statetest.Now.Add(-10*time.Second)
			}),
			absent: []plan.Step{plan.InspectVolume{}}, wake: 20 * time.Second,
			blocked: []string{unproven + "demo-0 was started 30s ago at most", noQuorum, waiting0},
		},
		"and not before it was started": {
			cluster: statetest.Formed(3).NoPod(0).Lose(1, 2), absent: []plan.Step{plan.InspectVolume{}},
			step:    start(resumed(3, 0)),
			blocked: []string{unproven + "demo-0 is started first", noQuorum},
		},
		"which waits for the Pod that reads": {
			cluster: lostQuorum().Report(func(i *state.Inspection) { i.Report, i.At, i.Waiting = nil, time.Time{}, "unschedulable" }),
			absent:  []plan.Step{plan.InspectVolume{}, plan.DeleteHelper{}},
			blocked: []string{unproven + "its volume demo-0-", noQuorum, waiting0},
		},
		"which is made anew when its image was mended": {
			cluster: lostQuorum().Report(func(i *state.Inspection) { i.Report, i.Spec = nil, "other" }),
			ensures: []plan.Step{plan.DeleteHelper{Name: again.Build().Inspections[0].Pod, UID: again.Build().Inspections[0].UID}},
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"and again when the member was started since": {
			cluster: again, ensures: []plan.Step{plan.DeleteHelper{
				Name: again.Build().Inspections[0].Pod, UID: again.Build().Inspections[0].UID,
			}},
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"which needs the operator's image": {
			cluster: lost().With(func(c *state.Cluster) { c.OperatorImage = "" }), absent: []plan.Step{plan.InspectVolume{}},
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"and is not believed about another member's data": {
			cluster: lostQuorum().Report(func(i *state.Inspection) { i.Report.MemberID = 7 }),
			blocked: []string{unproven + "volume demo-0-", noQuorum, waiting0},
		},
		"and nothing is told of data that cannot be read, when nothing else is left": {
			cluster: lostQuorum().Report(func(i *state.Inspection) { i.Report = &state.DataReport{Problem: "crc mismatch"} }),
			blocked: []string{unproven + "of what is left nothing can be used (demo-0: its data cannot be read: crc mismatch)", noQuorum, waiting0},
		},
		"not for ephemeral members, whose data is in their Pods": {
			cluster: statetest.Ephemeral(3).Lose(1, 2),
			blocked: []string{unproven + "the data of demo-0 is in its Pod", noQuorum, waiting0},
		},
		"and inspections go when etcd serves": {
			cluster: statetest.Formed(3).Inspect(0, 1, 9), ensures: []plan.Step{plan.DeleteHelper{
				Name: again.Build().Inspections[0].Pod, UID: again.Build().Inspections[0].UID,
			}},
		},
	}.run(t)
}

func TestConsentToALoss(t *testing.T) {
	loss := lossOf(t, lostQuorum())
	begin := plan.BeginRecovery{Loss: loss, Confirmed: []string{"demo-1", "demo-2"}, Size: 1, Version: statetest.Version}
	all := lossOf(t, statetest.Formed(3).Lose(0, 1, 2))
	names := []string{"demo-0", "demo-1", "demo-2"}
	rest := []string{noQuorum, waiting0}
	scenarios{
		"without it nothing is done": {
			cluster: lostQuorum(),
			blocked: append([]string{"QuorumLost: quorumLossID: " + loss.ID + ". Make sure that these never run again"}, rest...),
		},
		"to another loss is none": {
			cluster: lostQuorum().Consent("0123456789abcdef", "demo-1", "demo-2"),
			blocked: append([]string{"QuorumLost: spec.recovery.quorumLossID is 0123456789abcdef, which is not this loss"}, rest...),
		},
		"to the same loss with other evidence is none": {
			cluster: statetest.Formed(3).Lose(1, 2).Inspect(0, 4, 121).Consent(loss.ID, "demo-1", "demo-2"),
			blocked: append([]string{"QuorumLost: which is not this loss"}, rest...),
		},
		"has to name the members that may still run somewhere": {
			cluster: lostQuorum().Consent(loss.ID, "demo-1"),
			blocked: append([]string{"QuorumLost: The consent is not complete. Make sure that these never run again, and name " +
				"them in spec.recovery.confirmMissing, because their node is not known to be gone or out of service: demo-2"},
				rest...),
		},
		"begins the recovery": {
			cluster: lostQuorum().Consent(loss.ID, "demo-2", "demo-1"), step: begin, blocked: rest,
		},
		"and stands for no survivor": {
			cluster: lostQuorum().Consent(loss.ID, "demo-0", "demo-2", "demo-1"), step: begin, blocked: rest,
		},
		"acts only once": {
			cluster: lostQuorum().Consent(loss.ID, "demo-1", "demo-2").Recover(loss).
				Recovery(func(r *state.Recovery) { r.From = "another" }),
			blocked: append([]string{"QuorumLost: was used already, and acts only once"}, rest...),
		},
		"to start empty when nothing is left": {
			cluster: statetest.Formed(3).Lose(0, 1, 2).Consent(all.ID, names...),
			step:    plan.BeginRecovery{Loss: all, Confirmed: names, Size: 3, Version: statetest.Version},
			blocked: []string{"QuorumLost: no member is left and no volume: the data is lost"},
		},
	}.run(t)
}

func TestVolumesWithoutANode(t *testing.T) {
	waiting := func(since time.Duration, slots ...int) *statetest.Builder {
		b := statetest.Formed(3).Crash(0, 1, 2).Lose()
		for _, slot := range slots {
			b.Member(slot, func(m *state.Member) {
				m.Pod.Node, m.Pod.Created = "", statetest.Now.Add(-since)
				m.Volume.Disk = &state.Disk{Searched: true}
			})
		}
		return b
	}
	if s := ensureLike(plan.Next(waiting(time.Minute, 1, 2).Build()), plan.InspectVolume{}); s != nil {
		t.Errorf("a node is given no time to come: %v", s)
	}
	loss := lossOf(t, waiting(time.Hour, 1, 2).Inspect(0, 4, 120))
	if len(loss.Missing) != 2 || !loss.Missing[0].NoNode || loss.Missing[0].Volume == "" {
		t.Errorf("the loss is %+v, want two members missing whose volumes have no node", loss)
	}
	if loss := plan.QuorumLoss(waiting(time.Hour, 0, 1, 2).Build()); loss != nil {
		t.Errorf("with all volumes there %+v is told: an empty cluster would start", loss)
	}
	back := waiting(time.Hour, 1, 2).Inspect(0, 4, 120).Recover(loss).
		Member(1, func(m *state.Member) { m.Volume.Disk.Hosts = []string{"node-9"} })
	scenarios{"one that has a node again stops a recovery": {
		cluster: back, blocked: []string{"QuorumLost: has stopped: there is a node again for the volume demo-1-"},
	}}.run(t)
}

func TestEvidence(t *testing.T) {
	five := statetest.Formed(5).Lose(2, 3, 4).Inspect(0, 4, 120).Inspect(1, 5, 90)
	if loss := lossOf(t, five); loss.Chosen != five.ID(1) || len(loss.Survivors) != 2 || len(loss.Missing) != 3 {
		t.Errorf("of two survivors %+v is the loss, want demo-1 chosen: a later term outvotes a longer log", loss)
	}
	gone := func() *statetest.Builder {
		return statetest.Formed(3).NoPod(1, 2).Lose().Inspect(0, 4, 120).
			Member(1, func(m *state.Member) { m.Volume.Terminating, m.Volume.Node = true, "node-1" }).
			Member(2, func(m *state.Member) { m.Volume.Lost, m.Volume.Node = true, "node-2" })
	}
	tests := map[string]struct {
		nodes  map[string]state.Node
		fenced []bool
	}{
		"nodes that are gone fence":                   {map[string]state.Node{}, []bool{true, true}},
		"nodes that are there do not":                 {map[string]state.Node{"node-1": {}, "node-2": {Ready: true}}, []bool{false, false}},
		"a node out of service does":                  {map[string]state.Node{"node-1": {OutOfService: true}, "node-2": {}}, []bool{true, false}},
		"nothing does when nodes cannot be read":      {nil, []bool{false, false}},
		"one that is gone beside one that is not ...": {map[string]state.Node{"node-1": {}}, []bool{false, true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			loss := lossOf(t, gone().With(func(c *state.Cluster) { c.Nodes = test.nodes }))
			for i, want := range test.fenced {
				if m := loss.Missing[i]; m.Fenced != want {
					t.Errorf("%s on %s is fenced: %t, want %t", m.Name, m.Node, m.Fenced, want)
				}
			}
		})
	}
	unreadable := statetest.Formed(5).Lose(2, 3, 4).Inspect(0, 4, 120).Inspect(1, 5, 90).
		Report(func(i *state.Inspection) { i.Report = &state.DataReport{Problem: "crc mismatch"} })
	loss := lossOf(t, unreadable)
	if loss.Chosen != unreadable.ID(0) || len(loss.Missing) != 4 || loss.Missing[0].Fenced ||
		loss.Missing[0].Why != "its data cannot be read: crc mismatch" {
		t.Errorf("the loss is %+v, want the member whose data cannot be read among the missing, to be confirmed", loss)
	}
	if loss.ID != resources.LossID(loss) || loss.ID == lossOf(t, five).ID {
		t.Errorf("the ID %s does not tell the evidence apart", loss.ID)
	}
}
