// Package statetest builds observations for tests: a cluster at some point of its life, and then what went wrong.
//
//	c := statetest.Formed(3).Replicas(5).Learner(3).Launch(3).Unreachable(1).Build()
package statetest

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// What every built cluster is called, and where it runs.
const (
	Namespace = "default"
	Name      = "demo"
	UID       = types.UID("uid-demo")
	Token     = "token-1"
	Version   = "3.6.16"
)

// Now is the time of every built observation.
var Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Builder builds an observation. Its methods change it and return it, so that calls chain.
type Builder struct {
	c *state.Cluster
	// issued tells the CA that issued a certificate, both by fingerprint; serial makes certificates different.
	issued map[string]string
	// commonNames of certificates, by fingerprint.
	commonNames map[string]string
	serial      int
}

// Fresh is an EtcdCluster that was just created: Kubernetes holds nothing of it yet.
func Fresh() *Builder {
	return &Builder{c: &state.Cluster{
		Now:            Now,
		DefaultVersion: Version,
		Object: &v1alpha1.EtcdCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Name, UID: UID, Generation: 1},
			Spec: v1alpha1.EtcdClusterSpec{
				Replicas: ptr.To[int32](3), TLS: &v1alpha1.TLSSpec{Mode: ptr.To(v1alpha1.TLSDisabled)},
			},
		},
		Nodes: map[string]state.Node{},
	}}
}

// Bootstrap is a cluster whose latch was just created: none of its members has a volume or a Pod yet.
func Bootstrap(size int) *Builder {
	b := Fresh().Replicas(size)
	latch := resources.NewLatch(b.c.Object, 1, Token, size, Version)
	latch.UID, latch.ResourceVersion = "uid-latch", "1"
	b.c.Latch = &latch
	b.c.PeerService = &state.PeerService{}
	b.c.Etcd = state.Etcd{ClusterID: latch.ClusterID, Err: "no voter answers"}
	for _, in := range resources.LatchMembers(b.c.Object, latch) {
		b.add(state.Member{Slot: in.Slot, ID: in.MemberID})
	}
	return b
}

// Formed is a cluster at rest: all voters are healthy and sealed, demo-0 leads, and the budget is observed.
func Formed(voters int) *Builder {
	b := Bootstrap(voters)
	for slot := range voters {
		b.Launch(slot).Run(slot)
	}
	b.Serving()
	for slot := range voters {
		b.Seal(slot)
	}
	b.c.Latch.Formed = true
	if voters > 1 {
		b.Budget(quorum.Majority(voters))
	}
	return b
}

// Ephemeral is Formed with the data in the Pods.
func Ephemeral(voters int) *Builder { return Formed(voters).MakeEphemeral() }

// MakeEphemeral moves the data of the members built so far into their Pods.
func (b *Builder) MakeEphemeral() *Builder {
	b.c.Object.Spec.Storage.Ephemeral = &v1alpha1.EphemeralStorage{}
	if b.c.Latch != nil {
		b.c.Latch.Owner = UID
	}
	for i := range b.c.Members {
		m := &b.c.Members[i]
		if m.Pod != nil {
			m.Pod.Started = m.RecordedStarted()
			m.Pod.Volume, m.Pod.Applied = "", resources.Applied(b.c.Object, Version)
			m.Pod.Args = b.Args(m.Slot, m.ID, Version)
		}
		m.Volume = nil
	}
	return b
}

// Build assesses the health of the members and hands the observation out.
func (b *Builder) Build() *state.Cluster {
	slices.SortStableFunc(b.c.Members, func(a, b state.Member) int { return cmp.Compare(a.Slot, b.Slot) })
	b.c.Assess()
	return b.c
}

// With changes the observation in a way that has no method of its own.
func (b *Builder) With(change func(*state.Cluster)) *Builder {
	change(b.c)
	return b
}

// Spec changes what the user wrote.
func (b *Builder) Spec(change func(*v1alpha1.EtcdClusterSpec)) *Builder {
	change(&b.c.Object.Spec)
	return b
}

// Replicas sets spec.replicas.
func (b *Builder) Replicas(n int) *Builder {
	b.c.Object.Spec.Replicas = ptr.To(int32(n))
	return b
}

// Budget is the PodDisruptionBudget as the disruption controller has observed it, counting all voter Pods.
func (b *Builder) Budget(minAvailable int) *Builder {
	expected := 0
	for _, m := range b.c.Members {
		if m.Pod != nil && m.Pod.Voter {
			expected++
		}
	}
	b.c.Disruption = &state.DisruptionBudget{MinAvailable: minAvailable, Observed: true, Expected: expected}
	return b
}

// ClusterVersion is what etcd tells as its cluster version, such as "3.6".
func (b *Builder) ClusterVersion(minor string) *Builder {
	b.c.Etcd.ClusterVersion = minor
	return b
}

// Leader makes all members that answer name this one as the leader.
func (b *Builder) Leader(slot int) *Builder {
	id := b.ID(slot)
	for i := range b.c.Members {
		if p := &b.c.Members[i].Probe; p.Answered {
			p.Leader = id
		}
	}
	return b
}

// Unlisted makes etcd silent about the whole: no majority serves. The members are then those whose data is there, and
// what the list would tell of them is not known; those that run know no leader.
func (b *Builder) Unlisted() *Builder {
	b.c.Etcd = state.Etcd{ClusterID: b.c.Etcd.ClusterID, Err: "no voter answers"}
	b.c.Members = slices.DeleteFunc(b.c.Members, func(m state.Member) bool {
		return m.Volume == nil && (m.Pod == nil || !b.c.Ephemeral())
	})
	for i := range b.c.Members {
		m := &b.c.Members[i]
		m.Listed, m.Learner, m.Started, m.Probe.Leader = false, false, false, 0
	}
	return b
}

// NotServing makes the linearizable read fail, right after the list succeeded: the majority is just being lost.
func (b *Builder) NotServing() *Builder {
	b.c.Etcd.Serving, b.c.Etcd.Err = false, "context deadline exceeded"
	return b
}

// LatchLost removes the latch: the members are then those whose data is there, and no list is trusted.
func (b *Builder) LatchLost() *Builder {
	listed := b.c.Etcd
	b.Unlisted()
	b.c.Latch, b.c.Etcd = nil, listed
	b.c.Etcd.Listed = false
	for i := range b.c.Members {
		b.c.Members[i].Launched = false
	}
	return b
}

// Leftover adds the Pod and volume of a member that etcd listed once: retired is what its volume records.
func (b *Builder) Leftover(slot int, retired bool) *Builder {
	return b.LeftoverPod(slot).LeftoverVolume(slot, retired)
}

// LeftoverPod adds the Pod of a member that etcd listed as a voter once.
func (b *Builder) LeftoverPod(slot int) *Builder {
	m := state.Member{Slot: slot, Name: resources.MemberName(Name, slot), ID: formerID(slot)}
	p := b.pod(m)
	p.UID = types.UID("uid-former-" + p.Name)
	p.Running = true
	b.c.Leftovers.Pods = append(b.c.Leftovers.Pods, *p)
	return b
}

// LeftoverVolume adds the volume of a member that etcd listed as a voter once.
func (b *Builder) LeftoverVolume(slot int, retired bool) *Builder {
	v := b.volume(state.Member{Slot: slot, Name: resources.MemberName(Name, slot), ID: formerID(slot)})
	v.Started, v.Retiring, v.Retired = true, !retired, retired
	b.c.Leftovers.Volumes = append(b.c.Leftovers.Volumes, *v)
	return b
}

// ID is the member's ID.
func (b *Builder) ID(slot int) uint64 { return b.member(slot).ID }

// formerID is the ID of a removed member of the slot.
func formerID(slot int) uint64 { return 0xf0 + uint64(slot) }
