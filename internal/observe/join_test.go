package observe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// read is what Kubernetes and etcd would have told of the built cluster, and the cluster before they were joined.
func read(b *statetest.Builder) (*state.Cluster, objects, answers) {
	c := b.Build()
	o := objects{pods: c.Leftovers.Pods, volumes: c.Leftovers.Volumes}
	a := answers{probes: map[types.UID]state.Probe{}, etcd: c.Etcd}
	for _, m := range c.Members {
		if m.Pod != nil {
			o.pods = append(o.pods, *m.Pod)
			a.probes[m.Pod.UID] = m.Probe
		}
		if m.Volume != nil {
			o.volumes = append(o.volumes, *m.Volume)
		}
		if m.Listed {
			a.list = append(a.list, listed(m))
		}
	}
	c.Members, c.Leftovers.Pods, c.Leftovers.Volumes = nil, nil, nil
	return c, o, a
}

func listed(m state.Member) etcd.Member {
	l := etcd.Member{
		ID: m.ID, Name: m.Name, Learner: m.Learner,
		PeerURLs: []string{statetest.PeerURL(m.Slot)},
	}
	if m.Started {
		l.ClientURLs = []string{"http://10.0.0.1:2379"}
	}
	return l
}

// drawing shows how a cluster was joined: of each member its slot, what etcd says (V voter, L learner, capital when
// started, - unlisted), then v for its volume, p for its Pod and ! for an answer; and the leftovers.
func drawing(c *state.Cluster) string {
	var parts []string
	for _, m := range c.Members {
		s := fmt.Sprintf("%d:", m.Slot)
		role := map[bool]string{false: "v", true: "l"}[m.Learner]
		switch {
		case !m.Listed:
			s += "-"
		case m.Started:
			s += strings.ToUpper(role)
		default:
			s += role
		}
		for _, has := range []struct {
			sign string
			yes  bool
		}{{" volume", m.Volume != nil}, {" pod", m.Pod != nil}, {" answer", m.Probe.Answered}, {" launched", m.Launched}} {
			if has.yes {
				s += has.sign
			}
		}
		parts = append(parts, s)
	}
	for _, p := range c.Leftovers.Pods {
		parts = append(parts, "leftover pod "+p.Name)
	}
	for _, v := range c.Leftovers.Volumes {
		parts = append(parts, "leftover volume "+v.Name)
	}
	for _, f := range c.Etcd.Foreign {
		parts = append(parts, fmt.Sprintf("foreign %x", f.ID))
	}
	for _, name := range c.Etcd.WrongClusterID {
		parts = append(parts, "wrong cluster "+name)
	}
	return strings.Join(parts, ", ")
}

func TestJoin(t *testing.T) {
	const full = " volume pod answer launched"
	tests := map[string]struct {
		cluster *statetest.Builder
		change  func(*objects, *answers)
		want    string
	}{
		"nothing of a new cluster exists": {cluster: statetest.Fresh(), want: ""},
		"members of a bootstrap are the latch's, also without volume, Pod and list": {
			cluster: statetest.Bootstrap(3).Launch(0), want: "0:- volume pod launched, 1:-, 2:-",
		},
		"of which the list tells who has started": {
			cluster: statetest.Bootstrap(3).Launch(0, 1, 2).Run(0, 1).Serving(),
			want:    "0:V" + full + ", 1:V" + full + ", 2:v volume pod launched",
		},
		"and somebody else's member in the list is none of them": {
			cluster: statetest.Bootstrap(1).Launch(0).Run(0).Serving(),
			change: func(_ *objects, a *answers) {
				a.list = append(a.list, etcd.Member{ID: 9, PeerURLs: []string{"http://x:2380"}})
			},
			want: "0:V" + full,
		},
		"objects of an earlier generation are left over": {
			cluster: statetest.Bootstrap(1).Leftover(0, false),
			want:    "0:-, leftover pod demo-0, leftover volume demo-0-00000000000000f0",
		},
		"members of a formed cluster are those that etcd lists": {
			cluster: statetest.Formed(2).Learner(2), want: "0:V" + full + ", 1:V" + full + ", 2:l",
		},
		"also one of which nothing else exists": {
			cluster: statetest.Formed(2).NoPod(1).NoVolume(1), want: "0:V" + full + ", 1:V launched",
		},
		"what etcd does not list is left over, retired or not": {
			cluster: statetest.Formed(1).Leftover(1, false).LeftoverVolume(2, true),
			want: "0:V" + full + ", leftover pod demo-1, leftover volume demo-1-00000000000000f1, " +
				"leftover volume demo-2-00000000000000f2",
		},
		"an incarnation is matched by its ID, not by its name": {
			cluster: statetest.Formed(1).LeftoverPod(0).LeftoverVolume(0, false).NoPod(0).NoVolume(0),
			want:    "0:V launched, leftover pod demo-0, leftover volume demo-0-00000000000000f0",
		},
		"a member at somebody else's peer URL is foreign": {
			cluster: statetest.Formed(1),
			change: func(_ *objects, a *answers) {
				a.list = append(a.list, etcd.Member{ID: 9, PeerURLs: []string{"http://x:2380"}})
			},
			want: "0:V" + full + ", foreign 9",
		},
		"a member that was moved to another peer URL keeps its Pod and volume: they are no leftovers": {
			cluster: statetest.Formed(2),
			change:  func(_ *objects, a *answers) { a.list[1].PeerURLs = []string{"https://10.0.0.9:2380"} },
			want:    fmt.Sprintf("0:V%s, foreign %x", full, statetest.Formed(2).ID(1)),
		},
		"one that was moved to another slot's peer URL too": {
			cluster: statetest.Formed(1),
			change: func(_ *objects, a *answers) {
				a.list[0].PeerURLs = []string{statetest.PeerURL(5)}
			},
			want: "5:V launched",
		},
		"a member with two peer URLs is foreign": {
			cluster: statetest.Formed(1).With(func(c *state.Cluster) { c.Members[0].Volume, c.Members[0].Pod = nil, nil }),
			change:  func(_ *objects, a *answers) { a.list[0].PeerURLs = append(a.list[0].PeerURLs, "http://x:2380") },
			want:    fmt.Sprintf("foreign %x", statetest.Formed(1).ID(0)),
		},
		"without a list the members are those whose volume is there": {
			cluster: statetest.Formed(3).NoPod(1).NoVolume(2).NoPod(2).Unlisted(), want: "0:-" + full + ", 1:- volume launched",
		},
		"and not retired": {
			cluster: statetest.Formed(1).LeftoverVolume(1, true).Unlisted(),
			want:    "0:-" + full + ", leftover volume demo-1-00000000000000f1",
		},
		"or, when ephemeral, whose Pod is": {
			cluster: statetest.Ephemeral(3).NoPod(1).Unlisted(), want: "0:- pod answer launched, 2:- pod answer launched",
		},
		"and of the latch's generation": {
			cluster: statetest.Formed(1).LeftoverVolume(1, false).Unlisted(),
			change:  func(o *objects, _ *answers) { o.volumes[0].Generation = 0 },
			want:    "0:-" + full + ", leftover volume demo-1-00000000000000f1",
		},
		"without a latch those of the newest generation": {
			cluster: statetest.Formed(2).LatchLost(),
			change:  func(o *objects, _ *answers) { o.volumes[1].Generation, o.pods = 2, nil },
			want:    "1:- volume, leftover volume demo-0-" + resources.VolumeName("", 0, statetest.Formed(2).ID(0))[len("-0-"):],
		},
		"of volumes, not of Pods that merely use one": {
			cluster: statetest.Formed(1).LatchLost(),
			change:  func(o *objects, _ *answers) { o.pods[0].Generation = 7 },
			want:    "0:- volume pod answer",
		},
		"the address of a Pod that is not ready may be another member's by now": {
			cluster: statetest.Formed(2).Member(1, func(m *state.Member) {
				m.Probe.MemberID, m.Pod.Ready = statetest.Formed(2).ID(0), false
			}),
			want: "0:V" + full + ", 1:V volume pod launched",
		},
		"a member that answers for another cluster is named": {
			cluster: statetest.Formed(1).Member(0, func(m *state.Member) { m.Probe.ClusterID = 0xbad }),
			want:    "0:V" + full + ", wrong cluster demo-0",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, o, a := read(test.cluster)
			if test.change != nil {
				test.change(&o, &a)
			}
			join(c, o, a)
			if diff := cmp.Diff(test.want, drawing(c)); diff != "" {
				t.Errorf("joined (-want +got):\n%s", diff)
			}
		})
	}
}

// What the builder makes is what an observation would be: else the tables of the planner prove nothing.
func TestJoinMakesWhatTheBuilderMakes(t *testing.T) {
	builders := map[string]func() *statetest.Builder{
		"bootstrap": func() *statetest.Builder { return statetest.Bootstrap(3).Launch(0, 1, 2) },
		"serving bootstrap": func() *statetest.Builder {
			return statetest.Bootstrap(3).Launch(0, 1, 2).Run(0, 1).Serving().
				Seal(0)
		},
		"formed":  func() *statetest.Builder { return statetest.Formed(5).NoPod(1).Terminate(2).Crash(3) },
		"learner": func() *statetest.Builder { return statetest.Formed(3).Learner(3).Launch(3).Run(3).Seal(3) },
		"leftovers": func() *statetest.Builder {
			return statetest.Formed(3).Leftover(4, true).
				LeftoverVolume(5, false)
		},
		"unlisted": func() *statetest.Builder {
			return statetest.Formed(3).NoPod(1).NoPod(2).NoVolume(2).
				Unlisted()
		},
		"ephemeral":           func() *statetest.Builder { return statetest.Ephemeral(3).NoPod(1) },
		"ephemeral, unlisted": func() *statetest.Builder { return statetest.Ephemeral(3).NoPod(1).Crash(2).Unlisted() },
		"latch lost":          func() *statetest.Builder { return statetest.Formed(3).NoPod(1).LatchLost() },
	}
	for name, b := range builders {
		t.Run(name, func(t *testing.T) {
			c, o, a := read(b())
			join(c, o, a)
			c.Assess()
			if diff := cmp.Diff(b().Build(), c); diff != "" {
				t.Errorf("joined (-built +joined):\n%s", diff)
			}
		})
	}
}
