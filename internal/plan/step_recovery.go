package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/state"
)

// Ensures and steps of the recovery from a lost quorum.
type (
	// InspectVolume starts a Pod that reads, and only reads, what is on a member's volume.
	InspectVolume struct {
		Volume    string
		VolumeUID types.UID
		// Node to which the Pod must go; empty leaves it to the scheduler.
		Node string
		// Confirms is the token of the new cluster when no Pod of the lost one is there any more; empty else.
		Confirms string
	}
	// DeleteHelper deletes a Pod that inspected or salvaged data, and is of no use any more.
	DeleteHelper struct {
		Name string
		UID  types.UID
	}
	// BeginRecovery freezes evidence, plan and consent in an object of its own. The step itself destroys nothing.
	BeginRecovery struct {
		Loss      state.QuorumLoss
		Confirmed []string
		Size      int
		Version   string
	}
	// Salvage creates the volume of the new cluster, and the Pod that brings the data of the chosen survivor onto it.
	Salvage struct {
		LossID string
		Volume string
		// Size of the volume, and what it records as state.Volume.SizeInSpec, in bytes; 0 stands for what the spec says.
		Size       int64
		SizeInSpec int64
	}
	// RecordSalvaged records on the new cluster's volume that it holds the data: it must never be started empty.
	RecordSalvaged struct {
		Volume    string
		ClusterID uint64
	}
	// SwitchCluster lets the new cluster take the lost one's place: the latch becomes the new one's.
	SwitchCluster struct {
		LossID string
		Empty  bool
	}
	// KeepFormerVolumes marks the volumes of the lost cluster as retired: they are kept, and never started again.
	KeepFormerVolumes struct{ Volumes []string }
	// FinishRecovery records that the new cluster serves.
	FinishRecovery struct{ Record string }
)

// ReplaceAuthority makes a CA from scratch after a lost quorum: nobody who trusted the former one trusts it.
const ReplaceAuthority AuthorityChange = "replace"

func (s InspectVolume) String() string { return "read what is on volume " + s.Volume }
func (s DeleteHelper) String() string  { return "delete Pod " + s.Name }
func (s BeginRecovery) String() string { return "begin the recovery from quorum loss " + s.Loss.ID }
func (s Salvage) String() string {
	return "salvage the data of the chosen survivor onto volume " + s.Volume
}
func (s RecordSalvaged) String() string {
	return "record that volume " + s.Volume + " holds the salvaged data"
}
func (s SwitchCluster) String() string {
	if s.Empty {
		return "start an empty cluster in the place of the one that is lost"
	}
	return "start the new cluster on the salvaged data"
}
func (s KeepFormerVolumes) String() string {
	return "keep " + strings.Join(s.Volumes, ", ") + " of the lost cluster aside"
}
func (s FinishRecovery) String() string { return "record that the recovery is finished" }

func (InspectVolume) step()     {}
func (DeleteHelper) step()      {}
func (BeginRecovery) step()     {}
func (Salvage) step()           {}
func (RecordSalvaged) step()    {}
func (SwitchCluster) step()     {}
func (KeepFormerVolumes) step() {}
func (FinishRecovery) step()    {}
