package statetest

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// secure gives the members the identities that they have with https URLs, from which etcd makes their IDs.
func (b *Builder) secure() {
	c := b.c
	ids := map[uint64]uint64{}
	if l := c.Latch; l != nil {
		anew := resources.NewLatch(c.Object, l.Generation, l.Token, l.Size, l.Version)
		for slot, in := range resources.LatchMembers(c.Object, anew) {
			ids[state.BootstrapMemberID(PeerURL(slot), l.Token)] = in.MemberID
		}
		l.InitialCluster, l.ClusterID, c.Etcd.ClusterID = anew.InitialCluster, anew.ClusterID, anew.ClusterID
		for i, id := range l.Launched {
			l.Launched[i] = renamed(ids, id)
		}
	}
	for i := range c.Members {
		m := &c.Members[i]
		m.ID = renamed(ids, m.ID)
		m.Probe.MemberID, m.Probe.Leader = renamed(ids, m.Probe.MemberID), renamed(ids, m.Probe.Leader)
		if m.Probe.ClusterID != 0 {
			m.Probe.ClusterID = c.Etcd.ClusterID
		}
		if m.Pod != nil {
			b.securePod(m.Pod, m.ID)
		}
		if m.Volume != nil {
			b.secureVolume(m.Volume, m.ID)
		}
	}
	for i := range c.Leftovers.Pods {
		b.securePod(&c.Leftovers.Pods[i], c.Leftovers.Pods[i].MemberID)
	}
	for i := range c.Leftovers.Volumes {
		b.secureVolume(&c.Leftovers.Volumes[i], c.Leftovers.Volumes[i].MemberID)
	}
}

func (b *Builder) securePod(p *state.Pod, id uint64) {
	p.MemberID, p.InitialCluster = id, https(p.InitialCluster)
	if p.Volume != "" {
		p.Volume = resources.VolumeName(Name, p.Slot, id)
	}
	p.Args = b.Args(p.Slot, id, p.Version)
}

func (b *Builder) secureVolume(v *state.Volume, id uint64) {
	v.Name, v.UID = resources.VolumeName(Name, v.Slot, id), types.UID("uid-volume-"+resources.FormatID(id))
	v.MemberID, v.ClusterID, v.PeerURL = id, b.c.Etcd.ClusterID, https(v.PeerURL)
	if v.RecordedPersistentVolume == v.PersistentVolume {
		v.RecordedPersistentVolume = "pv-" + resources.FormatID(id)
	}
	v.PersistentVolume = "pv-" + resources.FormatID(id)
}

func https(recorded string) string { return strings.ReplaceAll(recorded, "http://", "https://") }

func renamed(ids map[uint64]uint64, id uint64) uint64 {
	if to, found := ids[id]; found {
		return to
	}
	return id
}
