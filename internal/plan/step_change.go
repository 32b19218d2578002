package plan

import "k8s.io/apimachinery/pkg/types"

// Changes of running Pods in place. ApplyPodMetadata, RecordVolumeVersion and RecordSnapshots are ensures.
type (
	// RecordSnapshots records in the latch that these members saved a snapshot at the present minor. Without members it
	// takes the record back, before one gets the lower minor.
	RecordSnapshots struct{ Members []uint64 }
	// ApplyPodMetadata brings the user's labels and annotations of the Pod up to date.
	ApplyPodMetadata struct {
		Member string
		PodUID types.UID
	}
	// RecordSurge records on a member's volume, or on its Pod when ephemeral, that it stands in for one in a lower slot.
	RecordSurge struct {
		Member string
		Volume string
		PodUID types.UID
	}
	// RecordVolumeVersion records on a volume which version is to run on it.
	RecordVolumeVersion struct{ Volume, Version string }
	// PatchPod gives a running Pod another image, which restarts its container. The version is recorded on its volume
	// (empty when ephemeral) before.
	PatchPod struct {
		Member  string
		PodUID  types.UID
		Volume  string
		Version string
		Image   string
	}
	// ResizePod gives a running Pod another amount of cpu and memory; its container runs on. Template names the
	// template that asks for it.
	ResizePod struct {
		Member   string
		PodUID   types.UID
		Template string
	}
)

func (s ApplyPodMetadata) String() string { return "bring the labels of " + s.Member + " up to date" }
func (s RecordSurge) String() string      { return "record that " + s.Member + " stands in for another" }
func (s RecordVolumeVersion) String() string {
	return "record on " + s.Volume + " that etcd " + s.Version + " is to run on it"
}
func (s PatchPod) String() string {
	return "restart " + s.Member + " in place with the image " + s.Image
}
func (s ResizePod) String() string { return "change cpu and memory of " + s.Member + " in place" }

func (s RecordSnapshots) String() string {
	if len(s.Members) == 0 {
		return "forget that members have saved a snapshot"
	}
	return "record that all members have saved a snapshot"
}

func (RecordSnapshots) step()     {}
func (RecordSurge) step()         {}
func (ApplyPodMetadata) step()    {}
func (RecordVolumeVersion) step() {}
func (PatchPod) step()            {}
func (ResizePod) step()           {}
