package statetest

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// Volumes gives the spec and all volumes this size, and the Pods the quota that follows from it.
func (b *Builder) Volumes(size string) *Builder {
	q := resource.MustParse(size)
	b.c.Object.Spec.Storage.Size = &q
	for i := range b.c.Members {
		m := &b.c.Members[i]
		if m.Volume != nil {
			m.Volume.Request, m.Volume.Capacity, m.Volume.SizeInSpec = q.Value(), q.Value(), q.Value()
		}
		if m.Pod != nil {
			m.Pod.Quota = resources.QuotaBackendBytes(b.c.Object, q.Value())
			m.Pod.Applied = resources.AppliedOn(b.c.Object, Version, q.Value())
		}
	}
	return b
}

// MaxSize lets the volumes grow by themselves.
func (b *Builder) MaxSize(size string) *Builder {
	q := resource.MustParse(size)
	b.c.Object.Spec.Storage.MaxSize = &q
	return b
}

// Request makes the members' claims ask for a size that their volumes do not have yet.
func (b *Builder) Request(size string, slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Volume.Request = bytes(size) })
}

// Grown gives the members' volumes another size.
func (b *Builder) Grown(size string, slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Volume.Request, m.Volume.Capacity = bytes(size), bytes(size) })
}

// Database gives the members' databases a size, of which so much holds data.
func (b *Builder) Database(size, inUse string, slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) { m.Probe.DBSize, m.Probe.DBSizeInUse = bytes(size), bytes(inUse) })
}

// NoSpace has the members raise the alarm that their quota is reached.
func (b *Builder) NoSpace(slots ...int) *Builder {
	return b.each(slots, func(m *state.Member) {
		b.c.Etcd.Alarms = append(b.c.Etcd.Alarms, state.Alarm{Type: "NOSPACE", Member: m.Name, ID: m.ID})
		m.Probe.Errors = append(m.Probe.Errors, "alarm:NOSPACE")
	})
}

func bytes(size string) int64 {
	q := resource.MustParse(size)
	return q.Value()
}
