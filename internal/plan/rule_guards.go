package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// everything is the union of all classes.
const everything = membership | creation | revival | cleanup | authority | leadership

// deleting leaves a cluster alone that is being deleted: owner references do the rest, with or without the operator. So
// does the deletion of its namespace, in which nothing can be created any more.
func deleting(w *walk) {
	if w.c.NamespaceDeleting {
		w.block(everything, v1alpha1.ReasonDeleting, "the namespace is being deleted, and the cluster and its data with it")
		w.end()
		return
	}
	if w.c.Object.DeletionTimestamp.IsZero() {
		return
	}
	w.releaseData()
	w.block(everything, v1alpha1.ReasonDeleting, "the cluster is being deleted; Kubernetes collects what it owns")
	w.end()
}

// paused leaves a paused cluster alone.
func paused(w *walk) {
	if !ptr.Deref(w.c.Object.Spec.Paused, false) {
		return
	}
	w.releaseData()
	message := "spec.paused is set: nothing is changed until it is removed"
	if d := w.c.Disruption; d != nil && w.c.Etcd.Listed && d.MinAvailable > spare(len(w.c.Voters())) {
		message += ". A removal was about to begin, so the PodDisruptionBudget blocks node drains meanwhile"
	}
	w.block(everything, v1alpha1.ReasonPaused, message)
	w.end()
}

// strayVolumes keeps an ephemeral cluster away from the volumes of a predecessor of the same name: they were promised
// to be kept, and an owner reference to this object would end that.
func strayVolumes(w *walk) {
	c := w.c
	if !c.Ephemeral() {
		return
	}
	names := volumeNames(c)
	if len(names) == 0 {
		return
	}
	w.block(everything, v1alpha1.ReasonInvalidSpec, "volumes of a cluster of this name exist ("+strings.Join(names, ", ")+
		"): re-create the cluster without storage.ephemeral to resume them, or delete them")
	w.end()
}

// ownership waits for objects of the same names that belong to something else, most often to a predecessor of the
// same name that is being collected. Nothing of theirs is ever used.
func ownership(w *walk) {
	if len(w.c.Leftovers.Foreign) == 0 {
		return
	}
	var names []string
	for _, o := range w.c.Leftovers.Foreign {
		names = append(names, o.String())
	}
	w.block(0, v1alpha1.ReasonOwnershipConflict, "waiting until these objects, which belong to something else or cannot "+
		"be read, are gone or mended: "+strings.Join(names, ", "))
	if !w.c.Formed() {
		w.end()
	}
}

// invalidSpec refuses what the schema cannot see. The members that run go on, and those that have lost their Pods get
// new ones; nothing else is done to members as long as it is about what they are made from.
func invalidSpec(w *walk) {
	faults, forbidden := resources.Validate(w.c.Object, w.c.Version()), class(0)
	if len(faults) > 0 {
		forbidden = membership | creation
	}
	faults = append(faults, resources.ValidateBeside(w.c.Object)...)
	if len(faults) == 0 {
		return
	}
	w.block(forbidden, v1alpha1.ReasonInvalidSpec, "the spec is refused: "+strings.Join(faults, "; "))
	if w.c.Latch == nil {
		w.end()
	}
}

// transport refuses to run data of members that spoke TLS without it, and the other way round: the peer URLs, from
// which the members' IDs are made, would be others.
func transport(w *walk) {
	c := w.c
	recorded := ""
	if c.Latch != nil {
		recorded = c.Latch.InitialCluster
	}
	for _, v := range c.Leftovers.Volumes {
		if recorded == "" && !v.Retired {
			recorded = v.PeerURL
		}
	}
	for _, m := range c.Members {
		switch {
		case recorded != "":
		case m.Volume != nil:
			recorded = m.Volume.PeerURL
		case m.Pod != nil:
			recorded = m.Pod.InitialCluster
		}
	}
	if recorded == "" || resources.RecordsTLS(recorded) == resources.SpeaksTLS(c.Object) {
		return
	}
	message := "this cluster's data was made without TLS: set tls.mode to Disabled, or move the data to a new cluster"
	if resources.RecordsTLS(recorded) {
		message = "this cluster's data was made with TLS: remove tls.mode Disabled, or move the data to a new cluster"
	}
	w.block(everything, v1alpha1.ReasonInvalidSpec, "the spec is refused: "+message)
	w.end()
}

// wrongClusterID stops everything when a member answers for another cluster: an address leads to the wrong place, or
// data was exchanged below us.
func wrongClusterID(w *walk) {
	if len(w.c.Etcd.WrongClusterID) == 0 || !w.c.Formed() {
		return
	}
	w.block(everything, v1alpha1.ReasonWrongClusterID, fmt.Sprintf("%s answered with a cluster ID other than %x: nothing "+
		"is changed; find out whose data its volume holds", strings.Join(w.c.Etcd.WrongClusterID, ", "), w.c.Latch.ClusterID))
	w.end()
}

// unmanagedMember keeps away from a membership that somebody else changes: a member at a peer URL that is none of the
// cluster's may be its own, moved. Nothing is removed or deleted until a person has settled it.
func unmanagedMember(w *walk) {
	if len(w.c.Etcd.Foreign) == 0 {
		return
	}
	var list []string
	for _, f := range w.c.Etcd.Foreign {
		list = append(list, fmt.Sprintf("%x at %s", f.ID, strings.Join(f.PeerURLs, ",")))
	}
	w.block(membership|cleanup, v1alpha1.ReasonUnmanagedMember, "etcd lists members at peer URLs that are not this "+
		"cluster's: "+strings.Join(list, "; ")+". Remove them, or set their peer URL back, with etcdctl")
}

// authRequired tells that somebody switched etcd's authentication on and left the operator out. The members serve, but
// nothing is known of them, so nothing is changed.
func authRequired(w *walk) {
	for _, m := range w.c.Members {
		if !m.Probe.Forbidden {
			continue
		}
		advice := "run etcdctl auth disable"
		if w.c.TLS != nil {
			advice = "grant the user root, whose name the operator's certificate has to carry, the role root; or " + advice
		}
		w.block(membership|cleanup|authority, v1alpha1.ReasonAuthRequired, "authentication is on in etcd and the operator "+
			"is no user with the right to see or change the membership: the cluster serves, but is not looked after. To "+
			"mend it, "+
			advice)
		return
	}
}

// quorumLost forbids every change of the membership while no majority is proven. Members that do not run are started
// again by a later rule: with a majority of the volumes, raft loses nothing.
func quorumLost(w *walk) {
	now := w.project(quorum.None, 0)
	if w.c.Etcd.Serving && w.c.Etcd.Listed && now.Allowed {
		return
	}
	w.forbidden |= membership | cleanup
	switch {
	case len(w.c.Members) == 0 && len(w.c.Leftovers.Foreign) > 0:
		w.block(everything, v1alpha1.ReasonQuorumLost, "no member is left whose Pod or volume can be used")
	case len(w.c.Members) == 0:
		// How to start empty is what the rule about quorum loss tells.
		w.block(membership|cleanup, v1alpha1.ReasonQuorumLost, "no member is left and no volume: the data is lost")
	case w.c.Etcd.Serving && !w.c.Etcd.Listed:
		w.block(0, v1alpha1.ReasonObservationFailed, "etcd serves but its member list cannot be read: "+w.c.Etcd.Err)
	case w.c.Etcd.Serving:
		w.block(0, v1alpha1.ReasonMemberUnhealthy, fmt.Sprintf("too few voters are proven healthy for any change (%s): %s",
			now.Reason, sick(w.c)))
	default:
		w.block(0, v1alpha1.ReasonQuorumLost, fmt.Sprintf("no majority serves (%s): %s", now.Reason, sick(w.c)))
	}
}

// sick lists the voters that are not healthy, with the reason.
func sick(c *state.Cluster) string {
	var list []string
	for _, m := range c.Voters() {
		if m.Health != state.Healthy {
			list = append(list, m.Name+" "+m.Reason)
		}
	}
	return strings.Join(list, "; ")
}

// alarms stops changes of the membership while etcd raises an alarm, other than that of a full quota.
func alarms(w *walk) {
	for _, a := range w.c.Etcd.Alarms {
		if a.Type != alarmNoSpace {
			w.corruption(a)
		}
	}
}

func hasReason(blocked []Blocked, reason string) bool {
	return slices.ContainsFunc(blocked, func(b Blocked) bool { return b.Reason == reason })
}
