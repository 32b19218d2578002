package plan_test

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// dice are pseudo-random and the same for the same seed (SplitMix64), so that a failure can be looked at again.
type dice uint64

func (d *dice) n(sides int) int {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(sides))
}

func (d *dice) one(in int) bool { return d.n(in) == 0 }

func (d *dice) odd() int { return 1 + 2*d.n(4) }

// randomCluster is a cluster at a random point of its life, to whose members random things happened.
func randomCluster(seed int) (*state.Cluster, string) {
	d := dice(seed)
	var b *statetest.Builder
	var story string
	switch size := d.odd(); d.n(8) {
	case 0:
		b, story = statetest.Fresh(), "fresh"
	case 1, 2:
		b, story = statetest.Bootstrap(size), fmt.Sprintf("bootstrap of %d", size)
		d.bootstrap(b, size)
	case 3, 4:
		b, story = statetest.Ephemeral(size), fmt.Sprintf("ephemeral %d", size)
		d.learner(b, size)
	default:
		b, story = statetest.Formed(size), fmt.Sprintf("formed %d", size)
		d.learner(b, size)
	}
	b.Replicas(d.odd())
	if d.one(2) {
		b.TLS()
	}
	if d.one(6) {
		story += ", calm" + d.certificates(b)
		return b.Build(), story
	}
	b.With(func(c *state.Cluster) {
		for i := range c.Members {
			story += fmt.Sprintf(", %d %s", c.Members[i].Slot, d.fate(&c.Members[i]))
		}
	})
	d.leftovers(b)
	story += d.certificates(b)
	d.versions(b)
	d.world(b)
	return b.Build(), story
}

func (d *dice) bootstrap(b *statetest.Builder, size int) {
	for slot := range size {
		if d.one(4) {
			continue
		}
		b.Launch(slot)
		if !d.one(3) {
			b.Run(slot)
		}
	}
	if d.one(2) {
		b.Serving()
		b.With(func(c *state.Cluster) {
			for i := range c.Members {
				if m := &c.Members[i]; m.Volume != nil && m.Started && d.one(2) {
					m.Volume.Started, m.Pod.Sealed = true, true
				}
			}
		})
	}
}

// learner perhaps adds one to a cluster of this size, and a budget that is, or is not, what a change needs.
func (d *dice) learner(b *statetest.Builder, size int) {
	slot := size
	if d.one(3) {
		b.Learner(slot)
		if !d.one(4) {
			b.Launch(slot)
			switch d.n(4) {
			case 0:
			case 1:
				b.Member(slot, func(m *state.Member) { m.Pod.InitialCluster = b.List(slot, slot+1) })
			default:
				b.Run(slot).Seal(slot)
			}
			b.Member(slot, func(m *state.Member) { m.Pod.Voter = d.one(2) })
		}
	}
	b.With(func(c *state.Cluster) {
		c.Disruption = &state.DisruptionBudget{MinAvailable: size, Observed: !d.one(4), Expected: len(c.Members)}
		if d.one(3) {
			c.Disruption.MinAvailable = quorum.Majority(size + d.n(2))
		}
	})
}

// fate is what happened to a member; most stay well.
func (d *dice) fate(m *state.Member) string {
	if v := m.Volume; v != nil && d.one(6) {
		v.Retiring = true
	}
	d.surroundings(m)
	switch kind := d.n(24); {
	case kind == 0 && m.Volume != nil:
		m.Volume.Retired = true
		return "retired"
	case kind == 1 && m.Volume != nil:
		m.Volume.PersistentVolume = "pv-other"
		m.Pod, m.Probe = nil, state.Probe{}
		return "foreign without Pod"
	case kind == 2:
		m.Volume, m.Pod, m.Probe = nil, nil, state.Probe{}
		return "lost"
	case kind <= 4:
		m.Pod, m.Probe = nil, state.Probe{}
		return "without Pod"
	case m.Pod == nil:
		return "as it was"
	case kind == 5:
		m.Pod.Terminating = true
		return "terminating"
	case kind == 6:
		m.Probe = state.Probe{Err: "deadline"}
		m.Pod.Running, m.Pod.Ready = true, true
		return "unreachable"
	case kind == 7:
		m.Probe.Leader = 0
		return "leaderless"
	case kind <= 10:
		m.Pod.Running, m.Pod.Ready, m.Probe = false, false, state.Probe{}
		m.Pod.Finished = kind == 9
		if kind == 10 {
			m.Pod.LastExit = &state.Exit{Code: 1, Message: statetest.WipedLog}
			return "wiped"
		}
		return "down"
	case kind == 11:
		d.template(m.Pod)
		return "outdated"
	case kind == 12 && m.Volume != nil:
		m.Volume.Terminating = true
		return "with a terminating volume"
	default:
		return "as it was"
	}
}

// template makes the Pod one of another template.
func (d *dice) template(p *state.Pod) {
	c := statetest.Fresh()
	differs := []func(*v1alpha1.EtcdClusterSpec){
		cpu("200m"), repository("other"), labelled, func(s *v1alpha1.EtcdClusterSpec) { s.RestartedAt = new("earlier") },
	}[d.n(4)]
	if p.Volume == "" {
		c = statetest.Ephemeral(1)
	}
	p.Applied = resources.Applied(c.Spec(differs).Build().Object, p.Version)
}

// surroundings are what is known of the member's volume, its peers and its past.
func (d *dice) surroundings(m *state.Member) {
	m.Peer = state.Peer(d.n(3))
	if m.Volume != nil && d.one(4) {
		m.Volume.Disk = &state.Disk{Gone: d.one(6), Terminating: d.one(6), Searched: d.one(2)}
		if d.one(2) {
			m.Volume.Disk.Hosts = []string{"node-0", "node-1"}
		}
	}
	if m.Pod != nil && d.one(4) {
		m.Pod.NotReadySince = statetest.Now.Add(-10 * time.Minute)
		m.Pod.Restarts, m.Pod.LastExit = d.n(6), &state.Exit{Code: d.n(3), Message: "panic"}
	}
}

// nodes perhaps fail.
func (d *dice) nodes(c *state.Cluster) {
	for i := range 3 {
		if !d.one(5) {
			continue
		}
		c.Nodes[fmt.Sprintf("node-%d", i)] = state.Node{
			NotReadySince: statetest.Now.Add(-time.Duration(d.n(10)) * time.Minute), OutOfService: d.one(3),
		}
	}
}

func (d *dice) leftovers(b *statetest.Builder) {
	if d.one(4) {
		b.LeftoverVolume(d.n(8), d.one(2))
	}
	if d.one(6) {
		b.LeftoverPod(d.n(8))
	}
}

// versions perhaps has the user ask for another minor, with etcd on its way there or not.
func (d *dice) versions(b *statetest.Builder) {
	if !d.one(4) {
		return
	}
	b.Spec(version([]string{"3.5.35", "3.7.3"}[d.n(2)])).ClusterVersion([]string{"3.6", "", "3.5"}[d.n(3)])
	target := []string{"", "3.5", "3.6"}[d.n(3)]
	b.With(func(c *state.Cluster) {
		for i := range c.Members {
			if p := &c.Members[i].Probe; p.Answered {
				p.DowngradeTarget = target
			}
		}
	})
}

// world is what is the case around the members.
func (d *dice) world(b *statetest.Builder) {
	b.With(func(c *state.Cluster) {
		d.nodes(c)
		if d.one(10) && len(c.Members) > 0 {
			asked := resources.FormatID(c.Members[d.n(len(c.Members))].ID)
			metav1.SetMetaDataAnnotation(&c.Object.ObjectMeta, v1alpha1.AnnotationReplaceMember, asked)
		}
		if d.one(10) {
			metav1.SetMetaDataAnnotation(&c.Object.ObjectMeta, v1alpha1.AnnotationPreferredLeader, "demo-1")
		}
		if d.one(10) {
			manual(&c.Object.Spec)
		}
		if d.one(40) {
			c.Object.DeletionTimestamp = &metav1.Time{Time: statetest.Now}
		}
		if d.one(40) {
			c.Object.Spec.Paused = ptr.To(true)
		}
		if d.one(20) {
			c.Etcd.Alarms = []state.Alarm{{Type: []string{"NOSPACE", "CORRUPT"}[d.n(2)], Member: "demo-0"}}
		}
		if d.one(20) {
			c.Etcd.Foreign = []state.ForeignMember{{ID: 0xf0 + uint64(d.n(8)), Learner: d.one(2)}}
		}
		if d.one(20) {
			c.Leftovers.Foreign = []state.ForeignObject{{Kind: "Pod", Name: fmt.Sprintf("demo-%d", d.n(8))}}
		}
		if d.one(10) && len(c.Members) > 0 {
			for i := range c.Members {
				c.Members[i].Probe.Leader = c.Members[d.n(len(c.Members))].ID
			}
		}
	})
	switch d.n(8) {
	case 0:
		b.Unlisted()
	case 1:
		b.NotServing()
	case 2:
		b.LatchLost()
	}
}
