package plan

type (
	// EnableDowngrade lets etcd lower its cluster version to the minor, such as "3.6", and convert its data.
	EnableDowngrade struct{ Target string }
	// CancelDowngrade ends that.
	CancelDowngrade struct{ Target string }
)

func (s EnableDowngrade) String() string { return "enable etcd's downgrade to " + s.Target }
func (s CancelDowngrade) String() string { return "cancel etcd's downgrade to " + s.Target }

func (EnableDowngrade) step() {}
func (CancelDowngrade) step() {}
