package plan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

type (
	// ResizeVolumes makes claims ask for another size; an ensure. It destroys nothing: Kubernetes grows a volume or
	// leaves it as it is, and lets a claim ask for less only as long as its volume is smaller still.
	ResizeVolumes struct {
		// Size in bytes, and what they record as state.Volume.SizeInSpec.
		Size       int64
		SizeInSpec int64
		Claims     []Claim
		// Full tells that a member found its volume full.
		Full bool
		Why  string
	}
	// RecordSizeInSpec writes into a volume's record the size in the spec, in bytes, that it was to have; an ensure.
	RecordSizeInSpec struct {
		Volume string
		Size   int64
	}
	// Defragment rewrites a member's database without its unused space, in the background: the member does not answer
	// meanwhile, but goes on in raft.
	Defragment struct {
		Member string
		ID     uint64
		PodUID types.UID
	}
	// Compact drops etcd's history for ever, but for the latest revisions; in the background.
	Compact struct {
		// Keep is the number of revisions that are left.
		Keep int64
	}
)

// Claim is a volume claim to change.
type Claim struct {
	Name string
	UID  types.UID
	// Request is what it asks for now, in bytes.
	Request int64
}

func (s ResizeVolumes) String() string {
	var names []string
	for _, c := range s.Claims {
		names = append(names, c.Name)
	}
	return fmt.Sprintf("have %s expanded to %s: %s", strings.Join(names, ", "), size(s.Size), s.Why)
}
func (s Defragment) String() string { return "defragment " + s.Member }
func (s Compact) String() string {
	return fmt.Sprintf("compact etcd's history, all but the latest %d revisions", s.Keep)
}

func (s RecordSizeInSpec) String() string { return "record the size in the spec on " + s.Volume }

func (ResizeVolumes) step()    {}
func (RecordSizeInSpec) step() {}
func (Defragment) step()       {}
func (Compact) step()          {}
