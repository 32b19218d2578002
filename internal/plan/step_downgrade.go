package plan

type (
	// EnableDowngrade lets etcd lower its cluster version to the minor, such as "3.6", and convert its data. With Save
	// that is all: members save snapshots for it, and none gets the minor.
	EnableDowngrade struct {
		Target string
		Save   bool
	}
	// CancelDowngrade ends that.
	CancelDowngrade struct{ Target string }
)

func (s EnableDowngrade) String() string { return "enable etcd's downgrade to " + s.Target }
func (s CancelDowngrade) String() string { return "cancel etcd's downgrade to " + s.Target }

func (EnableDowngrade) step() {}
func (CancelDowngrade) step() {}
