package statetest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// WipedLog is how etcd's log ends when a sealed member finds its volume empty.
const WipedLog = "bootstrap failed: cannot fetch cluster info from peer urls: could not retrieve cluster information"

// Learner adds a member that etcd lists as a learner; it has no volume and no Pod yet.
func (b *Builder) Learner(slot int) *Builder {
	return b.add(state.Member{Slot: slot, ID: 0xa0 + uint64(slot), Listed: true, Learner: true})
}

// Launch gives the members a volume, unless they have one or need none, and a Pod that does not run yet. The latch
// records that.
func (b *Builder) Launch(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		if m.Volume == nil && !b.c.Ephemeral() {
			m.Volume = b.volume(*m)
		}
		if !m.Launched {
			m.Launched = true
			b.c.Latch.Launched = append(b.c.Latch.Launched, m.ID)
		}
		m.Pod = b.pod(*m)
		m.Probe, m.Serves = state.Probe{}, state.Serves{}
	})
}

// Run makes the launched members answer and follow demo-0.
func (b *Builder) Run(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Running, m.Pod.Ready, m.Pod.IP, m.Pod.Node = true, !m.Learner, fmt.Sprintf("10.0.0.%d", m.Slot), nodeOf(m.Slot)
		m.Pod.ContainerID, m.Pod.Waiting = "containerd://"+m.Name, ""
		b.c.Nodes[m.Pod.Node] = state.Node{Ready: true}
		m.Probe = state.Probe{
			Answered: true, ClusterID: b.c.Etcd.ClusterID, MemberID: m.ID, Version: Version, Leader: b.ID(0), Term: 2,
			Committed: 100, Applied: 100, Learner: m.Learner, DBSize: 1 << 20, DBSizeInUse: 1 << 19,
		}
		m.Started, m.Serves = b.c.Etcd.Listed, b.served()
		if m.Volume != nil {
			m.Volume.Node, m.Volume.RecordedPersistentVolume = m.Pod.Node, m.Volume.PersistentVolume
		}
	})
}

// Serving makes etcd answer linearizably: it lists all members, and those that run as started.
func (b *Builder) Serving() *Builder {
	b.c.Etcd.Listed, b.c.Etcd.Serving, b.c.Etcd.Err = true, true, ""
	for i := range b.c.Members {
		m := &b.c.Members[i]
		m.Listed, m.Started = true, m.Started || m.Probe.Answered
	}
	return b
}

// Seal records that the members ran, and makes their Pods unable to start empty again.
func (b *Builder) Seal(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		if m.Volume != nil {
			m.Volume.Started = true
		} else {
			m.Pod.Started = true
		}
		m.Pod.Sealed = true
		m.Pod.InitialCluster = b.List(m.Slot)
	})
}

// NoPod takes the members' Pods away.
func (b *Builder) NoPod(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Pod, m.Probe, m.Serves = nil, state.Probe{}, state.Serves{} })
}

// NoVolume takes the members' volumes away.
func (b *Builder) NoVolume(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Volume = nil })
}

// Crash stops the members' containers, which the kubelet is about to start again.
func (b *Builder) Crash(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Running, m.Pod.Ready, m.Pod.ContainerID = false, false, ""
		m.Probe, m.Serves = state.Probe{}, state.Serves{}
		m.Pod.Waiting, m.Pod.Restarts, m.Pod.LastExit = "CrashLoopBackOff", 1, &state.Exit{Code: 1}
	})
}

// Wipe makes the sealed members find their volumes empty.
func (b *Builder) Wipe(slots ...int) *Builder {
	return b.Crash(slots...).each(slots, func(m *state.Member) { m.Pod.LastExit.Message = WipedLog })
}

// Unreachable makes the members' Pods ready, but not answer the operator.
func (b *Builder) Unreachable(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Running, m.Pod.Ready, m.Probe = true, true, state.Probe{Err: "context deadline exceeded"}
	})
}

// Terminate has the members' Pods deleted; their containers still run.
func (b *Builder) Terminate(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Pod.Terminating = true })
}

// Finish ends the members' Pods for good: evicted by the kubelet, for example.
func (b *Builder) Finish(slots ...int) *Builder {
	return b.Crash(slots...).each(slots, func(m *state.Member) { m.Pod.Finished, m.Pod.Waiting = true, "Evicted" })
}

// Outdate makes the members' Pods those of an older template, from before the user asked for a restart.
func (b *Builder) Outdate(slots ...int) *Builder {
	return b.Template(func(s *v1alpha1.EtcdClusterSpec) { s.RestartedAt = new("earlier") }, slots...)
}

// Template makes the members' Pods those of a template that differs from the present one like this.
func (b *Builder) Template(differs func(*v1alpha1.EtcdClusterSpec), slots ...int) *Builder {
	c := b.c.Object.DeepCopy()
	differs(&c.Spec)
	return b.each(slots, func(m *state.Member) { m.Pod.Applied = resources.Applied(c, m.Pod.Version) })
}

// RunVersion makes the members run another version: their volumes and Pods record it, and they report it.
func (b *Builder) RunVersion(version string, slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		m.Pod.Version, m.Pod.Applied = version, resources.Applied(b.c.Object, version)
		m.Pod.Args = b.Args(m.Slot, m.ID, version)
		if m.Volume != nil {
			m.Volume.Version = version
		}
		if m.Probe.Answered {
			m.Probe.Version = version
		}
	})
}

// Retire records that the members are about to be removed.
func (b *Builder) Retire(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		if m.Volume != nil {
			m.Volume.Retiring = true
		} else {
			m.Pod.Retiring = true
		}
	})
}

// Member changes the members of the slots in a way that has no method of its own.
func (b *Builder) Member(slot int, change func(*state.Member)) *Builder {
	return b.each([]int{slot}, change)
}

// PeerURL is the peer URL of a slot of a built cluster that speaks plain text.
func PeerURL(slot int) string { return resources.PeerURL(Fresh().c.Object, slot) }

// List is etcd's --initial-cluster of these slots of a built cluster that speaks plain text.
func List(slots ...int) string { return Fresh().List(slots...) }

// List is etcd's --initial-cluster of these slots.
func (b *Builder) List(slots ...int) string {
	var list []state.InitialMember
	for _, slot := range slots {
		list = append(list, state.InitialMember{
			Name: resources.MemberName(Name, slot), PeerURL: resources.PeerURL(b.c.Object, slot),
		})
	}
	return state.InitialCluster(list)
}

func (b *Builder) add(m state.Member) *Builder {
	m.Name = resources.MemberName(Name, m.Slot)
	b.c.Members = append(b.c.Members, m)
	return b
}

func (b *Builder) each(slots []int, change func(*state.Member)) *Builder {
	for _, slot := range slots {
		change(b.member(slot))
	}
	return b
}

func (b *Builder) member(slot int) *state.Member {
	for i := range b.c.Members {
		if b.c.Members[i].Slot == slot {
			return &b.c.Members[i]
		}
	}
	panic(fmt.Sprintf("the cluster has no member in slot %d", slot))
}

func (b *Builder) volume(m state.Member) *state.Volume {
	v := &state.Volume{
		Name: resources.VolumeName(Name, m.Slot, m.ID), UID: types.UID("uid-volume-" + resources.FormatID(m.ID)),
		ResourceVersion: "1", Slot: m.Slot, Generation: 1, Token: Token, Size: b.size(), MemberID: m.ID,
		ClusterID: b.c.Etcd.ClusterID, Version: Version, PeerURL: resources.PeerURL(b.c.Object, m.Slot),
		PersistentVolume: "pv-" + resources.FormatID(m.ID), SizeInSpec: ptr.To(resources.StorageSize(b.c.Object)).Value(),
	}
	if b.c.Latch != nil {
		v.Generation = b.c.Latch.Generation
	}
	return v
}

func (b *Builder) pod(m state.Member) *state.Pod {
	p := &state.Pod{
		Name: m.Name, UID: types.UID("uid-" + m.Name), ResourceVersion: "1", Owner: UID, Slot: m.Slot, Generation: 1,
		MemberID: m.ID, Token: Token, Size: b.size(), InitialCluster: b.list(m), Voter: !m.Learner,
		Applied: resources.Applied(b.c.Object, Version), Version: Version, Created: Now, Waiting: "ContainerCreating",
	}
	if b.c.Latch != nil {
		p.Generation = b.c.Latch.Generation
	}
	if !b.c.Ephemeral() {
		p.Volume = resources.VolumeName(Name, m.Slot, m.ID)
	}
	p.Args = b.Args(m.Slot, m.ID, Version)
	if t := b.c.TLS; t != nil {
		p.Trust, p.Certificates = t.Trust, t.Revision()
	}
	return p
}

// Args are the flags of a member of the version.
func (b *Builder) Args(slot int, id uint64, version string) []string {
	return resources.Flags(b.c.Object, state.Incarnation{
		Slot: slot, Generation: 1, Token: Token, MemberID: id, PeerURL: resources.PeerURL(b.c.Object, slot), Version: version,
	}, state.Start{AnyPeerName: b.c.TLS != nil && b.c.TLS.AnyPeerName})
}

// list that a member starts with before it is sealed: the bootstrap's, or for a learner that of all members.
func (b *Builder) list(m state.Member) string {
	if !m.Learner && b.c.Latch != nil {
		return b.c.Latch.InitialCluster
	}
	var slots []int
	for _, other := range b.c.Members {
		slots = append(slots, other.Slot)
	}
	return b.List(slots...)
}

func (b *Builder) size() int {
	if b.c.Latch == nil {
		return len(b.c.Members)
	}
	return b.c.Latch.Size
}

func nodeOf(slot int) string { return fmt.Sprintf("node-%d", slot) }
