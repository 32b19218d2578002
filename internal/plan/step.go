package plan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/state"
)

// Step is one thing to do. Steps are plain comparable-by-value data: before anything irreversible the executor
// observes live, plans again, and goes on only when the very same step results.
type Step interface {
	// String is the step as a sentence part, for logs and events.
	String() string
	step()
}

// Ensures: harmless, idempotent, done in every reconcile before the step.
type (
	// ApplyServices keeps the Services: the peers' always; the client Service and one for each slot when Clients is
	// set. Services of other slots are deleted when Prune is set.
	ApplyServices struct {
		Clients bool
		Slots   []int
		Prune   bool
	}
	// ApplyDisruptionBudget keeps the PodDisruptionBudget; MinAvailable 0 means none.
	ApplyDisruptionBudget struct{ MinAvailable int }
	// ApplyNetworkPolicy keeps the NetworkPolicy, or removes it when the spec asks for none.
	ApplyNetworkPolicy struct{ Wanted bool }
	// ApplyOwners makes the EtcdCluster own its volumes and latch (reclaimPolicy Delete), or nobody (Retain).
	ApplyOwners struct{ Owned bool }
	// Seal records that a member ran, on its volume first, then makes its Pod unable to start empty again.
	Seal struct {
		Member      string
		Incarnation state.Incarnation
		PodUID      types.UID
		Volume      string
		// Restarts of the container so far.
		Restarts int
	}
	// RecordPlacement writes the volume's PersistentVolume and the node of its Pod into its record.
	RecordPlacement struct {
		Volume           string
		PersistentVolume string
		Node             string
	}
	// FormLatch records that a quorum of sealed members was seen: there is no bootstrap any more.
	FormLatch struct{}
	// TrimLaunched takes removed members off the latch's record of those that were launched.
	TrimLaunched struct{ Removed []uint64 }
	// RecordVersion keeps the latch's record of the chosen version up to date.
	RecordVersion struct{ Version string }
	// SwitchVersion records another minor in the latch before the cluster has formed. Invariant: no etcd of the former
	// one has run on a member's data.
	SwitchVersion struct{ Version string }
	// Adopt makes the EtcdCluster the owner of a member's Pod that has none: its predecessor was deleted and left it.
	Adopt struct {
		Member string
		PodUID types.UID
	}
	// RequestCertificates keeps what is asked of cert-manager.
	RequestCertificates struct{}
	// SetAuthority changes the record of a side's certificate authorities. SwitchAuthority and FinishRotation are steps
	// of their own; the other changes are ensures, of which only SupplantAuthority takes anything away.
	SetAuthority struct {
		Side   state.Side
		Change AuthorityChange
		Why    string
	}
	// PublishTrust creates the ConfigMap with what members are to trust.
	PublishTrust struct{ Name string }
	// PruneTrust deletes such ConfigMaps that no Pod mounts.
	PruneTrust struct{ Names []string }
	// PublishCertificate publishes the CAs of its side with a certificate, and a new certificate when Renew is set.
	PublishCertificate struct {
		Name  state.CertificateName
		Renew bool
		Why   string
	}
	// RefreshCertificates changes the Pod so that its kubelet brings the renewed certificates at once.
	RefreshCertificates struct {
		Member   string
		PodUID   types.UID
		Revision string
	}
	// MarkVoter puts the voter label on a learner's Pod, before its promotion, so that the budget counts it.
	MarkVoter struct {
		Member string
		PodUID types.UID
	}
)

// Steps: at most one in a reconcile.
type (
	// CreateLatch starts a bootstrap: after it, and never again, members may start with state "new".
	CreateLatch struct {
		Size    int
		Version string
	}
	// RestartBootstrap gives up a generation that never formed, and starts another with an identity of its own.
	RestartBootstrap struct {
		Generation int64
		Size       int
		Version    string
	}
	// RestoreLatch makes a lost latch anew from what the volumes or Pods record.
	RestoreLatch struct{ Latch state.Latch }
	// StartMembers creates the volumes and Pods of members that do not run.
	StartMembers struct{ Members []Launch }
	// UpdateStart gives a learner that never started the current member list.
	UpdateStart struct {
		Member string
		PodUID types.UID
		Start  state.Start
	}
	// DeletePod deletes a Pod: to restart its member, to put it to sleep, or because it runs none that counts.
	DeletePod struct {
		Name string
		UID  types.UID
		Why  string
		// Force does not wait for the kubelet of a node that is not ready. Only for Pods of removed members, and of those
		// that a recovery leaves behind.
		Force bool
		// Version is recorded on the Volume before: the Pod is created again with it. Both are empty where that is for
		// the next decision to tell.
		Volume, Version string
	}
	// AddLearner adds a member for the slot to etcd's list.
	AddLearner struct {
		Slot    int
		Name    string
		PeerURL string
	}
	// Promote makes a learner a voter.
	Promote struct {
		Name string
		ID   uint64
	}
	// MoveLeader hands the leadership over.
	MoveLeader struct {
		From, To     string
		FromID, ToID uint64
	}
	// Retire records on the incarnation, before the removal is sent, that it is going to be removed.
	Retire struct {
		Name   string
		Volume string
		PodUID types.UID
		// Evidence tells that the volume's data is corrupt, and has to be kept after the removal.
		Evidence bool
	}
	// Resume withdraws Retire: the member is listed and its removal is no longer wanted.
	Resume struct {
		Name   string
		Volume string
		PodUID types.UID
	}
	// RemoveMember removes a member from etcd's list, for ever.
	RemoveMember struct {
		Name string
		ID   uint64
		Why  string
	}
	// DisarmAlarm ends an alarm.
	DisarmAlarm struct {
		Type   string
		Member uint64
	}
	// RecordRetired records that etcd no longer lists the volume's member: it must never be started again.
	RecordRetired struct{ Volumes []string }
	// DeleteVolume deletes a retired volume.
	DeleteVolume struct {
		Name string
		UID  types.UID
	}
)

// AuthorityChange is what is done to a side's certificate authorities.
type AuthorityChange string

const (
	// CreateAuthority makes the first one.
	CreateAuthority AuthorityChange = "create"
	// RestoreAuthority makes a lost record anew from what members trust, with a next one in place of the lost key.
	RestoreAuthority AuthorityChange = "restore"
	// SupplantAuthority does the same in the place of a record that is whole, but that no member trusts.
	SupplantAuthority AuthorityChange = "supplant"
	// BeginRotation adds the next one, which is trusted from then on.
	BeginRotation AuthorityChange = "begin to rotate"
	// SwitchAuthority lets the next one sign.
	SwitchAuthority AuthorityChange = "switch"
	// FinishRotation ends the trust in the previous one.
	FinishRotation AuthorityChange = "finish the rotation of"
)

// Launch is a member to start.
type Launch struct {
	Incarnation state.Incarnation
	Start       state.Start
	// Volume is the claim's name, empty when ephemeral; VolumeUID its UID, empty when it does not exist.
	Volume    string
	VolumeUID types.UID
	// First tells that the incarnation never had a volume (or, when ephemeral, a Pod): the latch must record it before
	// one is created.
	First bool
	// Unused tells that it has a volume on which no etcd ever ran.
	Unused bool
}

func (s ApplyServices) String() string         { return "keep the Services" }
func (s ApplyDisruptionBudget) String() string { return "keep the PodDisruptionBudget" }
func (s ApplyNetworkPolicy) String() string    { return "keep the NetworkPolicy" }
func (s ApplyOwners) String() string           { return "keep the ownership of volumes" }
func (s Seal) String() string                  { return "seal " + s.Member }
func (s RecordPlacement) String() string       { return "record the placement of " + s.Volume }
func (s FormLatch) String() string             { return "record that the cluster has formed" }
func (s TrimLaunched) String() string          { return "forget the members that were removed" }
func (s RecordVersion) String() string         { return "record the version " + s.Version }
func (s SwitchVersion) String() string {
	return "record the version " + s.Version + ", of another minor"
}
func (s Adopt) String() string               { return "adopt Pod " + s.Member }
func (s RequestCertificates) String() string { return "keep the requests to cert-manager" }
func (s PublishTrust) String() string        { return "publish what members trust" }
func (s PruneTrust) String() string          { return "delete what no member trusts any more" }
func (s RefreshCertificates) String() string { return "bring renewed certificates to " + s.Member }
func (s MarkVoter) String() string           { return "label " + s.Member + " as a voter" }

func (s SetAuthority) String() string {
	return fmt.Sprintf("%s the %s CA: %s", s.Change, s.Side, s.Why)
}
func (s PublishCertificate) String() string {
	return fmt.Sprintf("publish the %s certificate: %s", s.Name, s.Why)
}
func (s CreateLatch) String() string {
	return fmt.Sprintf("bootstrap %d members of etcd %s", s.Size, s.Version)
}
func (s RestartBootstrap) String() string {
	return fmt.Sprintf("bootstrap again, generation %d", s.Generation)
}
func (s RestoreLatch) String() string { return "restore the record of the bootstrap from the volumes" }
func (s StartMembers) String() string {
	names := make([]string, 0, len(s.Members))
	for _, m := range s.Members {
		names = append(names, fmt.Sprintf("slot %d", m.Incarnation.Slot))
	}
	return "start the members of " + strings.Join(names, ", ")
}
func (s UpdateStart) String() string { return "give " + s.Member + " the current member list" }
func (s DeletePod) String() string   { return "delete Pod " + s.Name + ": " + s.Why }
func (s AddLearner) String() string  { return "add " + s.Name + " as a learner" }
func (s Promote) String() string     { return "promote " + s.Name + " to a voter" }
func (s MoveLeader) String() string {
	return "move the leadership from " + s.From + " to " + s.To
}
func (s Retire) String() string       { return "record that " + s.Name + " is about to be removed" }
func (s Resume) String() string       { return "keep " + s.Name + ": its removal is no longer wanted" }
func (s RemoveMember) String() string { return "remove member " + s.Name + ": " + s.Why }
func (s DisarmAlarm) String() string {
	return fmt.Sprintf("disarm the alarm %s of member %x", s.Type, s.Member)
}
func (s RecordRetired) String() string {
	return "retire " + strings.Join(s.Volumes, ", ") + ": etcd no longer lists the member"
}
func (s DeleteVolume) String() string { return "delete the retired volume " + s.Name }

func (ApplyServices) step()         {}
func (ApplyDisruptionBudget) step() {}
func (ApplyNetworkPolicy) step()    {}
func (ApplyOwners) step()           {}
func (Seal) step()                  {}
func (RecordPlacement) step()       {}
func (FormLatch) step()             {}
func (TrimLaunched) step()          {}
func (RecordVersion) step()         {}
func (SwitchVersion) step()         {}
func (Adopt) step()                 {}
func (RequestCertificates) step()   {}
func (SetAuthority) step()          {}
func (PublishTrust) step()          {}
func (PruneTrust) step()            {}
func (PublishCertificate) step()    {}
func (RefreshCertificates) step()   {}
func (MarkVoter) step()             {}
func (CreateLatch) step()           {}
func (RestartBootstrap) step()      {}
func (RestoreLatch) step()          {}
func (StartMembers) step()          {}
func (UpdateStart) step()           {}
func (DeletePod) step()             {}
func (AddLearner) step()            {}
func (Promote) step()               {}
func (MoveLeader) step()            {}
func (Retire) step()                {}
func (Resume) step()                {}
func (RemoveMember) step()          {}
func (DisarmAlarm) step()           {}
func (RecordRetired) step()         {}
func (DeleteVolume) step()          {}

// Irreversible tells whether the step must be confirmed by a live observation just before it is done.
func Irreversible(s Step) bool {
	switch s := s.(type) {
	case SetAuthority:
		return s.Change == SwitchAuthority || s.Change == FinishRotation || s.Change == ReplaceAuthority ||
			s.Change == SupplantAuthority
	case BeginRecovery, Salvage, SwitchCluster:
		return true
	case CreateLatch, RestartBootstrap, RestoreLatch, SwitchVersion, RemoveMember, DeleteVolume, DeletePod, RecordRetired,
		DisarmAlarm, Defragment, Compact, PatchPod, EnableDowngrade, CancelDowngrade:
		return true
	default:
		return false
	}
}
