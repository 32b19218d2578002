package controllers

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// maxMessage bounds the messages of conditions, in bytes.
const maxMessage = 2000

// status is the whole status, made from the observation and what came of the decision. Only stable values are in it:
// a cluster at rest gets the same status every time, and no write.
func status(c *state.Cluster, d plan.Decision, o outcome) v1alpha1.EtcdClusterStatus {
	s := *c.Object.Status.DeepCopy()
	s.ObservedGeneration = ptr.To(c.Object.Generation)
	s.Selector = ptr.To(resources.Selector(c.Object.Name).String())
	s.Version = ptr.To(version(c))
	if c.Latch != nil {
		s.ClusterID = ptr.To(resources.FormatID(c.Latch.ClusterID))
	}
	if c.Latch == nil && len(c.Members) == 0 || c.Latch != nil && (c.Etcd.Listed || !c.Formed()) {
		setMembership(&s, c)
	}
	s.Leader = nilWhenEmpty(c.LeaderName())
	s.Members = members(c)
	quorumStatus(&s, c)
	s.QuorumLoss = quorumLossStatus(c)
	blocked := whileWaking(c, append(append([]plan.Blocked{}, o.blocked...), d.Blocked...))
	for _, cond := range []metav1.Condition{
		ready(c, d, blocked), available(c), withPending(progressing(d, blocked), d.Pending), degraded(c, blocked),
	} {
		cond.ObservedGeneration = c.Object.Generation
		cond.Message = truncate(cond.Message, maxMessage)
		meta.SetStatusCondition(&s.Conditions, cond)
	}
	setTLS(&s, c, d, blocked)
	return s
}

// setMembership sets what depends on the membership, which stays as last known while it cannot be listed.
func setMembership(s *v1alpha1.EtcdClusterStatus, c *state.Cluster) {
	s.Endpoints = nil
	listed := int32(0)
	for _, m := range c.Voters() {
		if m.Listed {
			listed++
		}
		if c.Formed() {
			s.Endpoints = append(s.Endpoints, resources.ClientURL(c.Object, m.Slot))
		}
	}
	s.Replicas = &listed
}

func quorumStatus(s *v1alpha1.EtcdClusterStatus, c *state.Cluster) {
	v := quorum.Project(plan.QuorumMembers(c), quorum.Change{})
	if known := knownVoters(c); v.Voters < known {
		v.Voters, v.Required = known, quorum.Majority(known)
	}
	s.ReadyReplicas = ptr.To(int32(v.Healthy))
	s.Quorum = &v1alpha1.QuorumStatus{
		Voters: ptr.To(int32(v.Voters)), Healthy: ptr.To(int32(v.Healthy)), Required: ptr.To(int32(v.Required)),
		FailureTolerance: ptr.To(int32(v.FailureTolerance())), Summary: fmt.Sprintf("%d/%d", v.Healthy, v.Voters),
	}
}

// knownVoters is the number of voters that was known last, while the members cannot be listed; else 0.
func knownVoters(c *state.Cluster) int {
	q := c.Object.Status.Quorum
	switch {
	case c.Latch != nil && (c.Etcd.Listed || !c.Latch.Formed):
		return 0
	case q != nil:
		return int(ptr.Deref(q.Voters, 0))
	case c.Latch != nil:
		return c.Latch.Size
	default:
		return 0
	}
}

// version is the lowest that a member runs; before the first has started, the chosen one.
func version(c *state.Cluster) string {
	lowest := ""
	for _, m := range c.Members {
		if m.Probe.Answered && (lowest == "" || plan.Older(m.Probe.Version, lowest)) {
			lowest = m.Probe.Version
		}
	}
	if lowest != "" {
		return lowest
	}
	if v := ptr.Deref(c.Object.Status.Version, ""); v != "" && c.Formed() {
		return v
	}
	return c.Version()
}

func members(c *state.Cluster) []v1alpha1.MemberStatus {
	var list []v1alpha1.MemberStatus
	for _, m := range c.Members {
		st := v1alpha1.MemberStatus{
			Name: m.Name, ID: ptr.To(resources.FormatID(m.ID)), Role: role(c, m),
			Health: v1alpha1.MemberHealth(m.Health.String()), Message: nilWhenEmpty(truncate(m.Reason, 1000)),
		}
		if m.Volume != nil {
			st.Volume, st.Version = &m.Volume.Name, nilWhenEmpty(m.Volume.Version)
		}
		if m.Pod != nil {
			st.Node, st.Version = nilWhenEmpty(m.Pod.Node), nilWhenEmpty(m.Pod.Version)
		}
		if m.Probe.Answered {
			st.Version = &m.Probe.Version
		}
		list = append(list, st)
	}
	return list
}

func role(c *state.Cluster, m state.Member) v1alpha1.MemberRole {
	switch {
	case !c.Formed():
		return v1alpha1.RoleStarting
	case m.Learner:
		return v1alpha1.RoleLearner
	default:
		return v1alpha1.RoleVoter
	}
}

func ready(c *state.Cluster, d plan.Decision, blocked []plan.Blocked) metav1.Condition {
	cond := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case len(blocked) > 0:
		cond.Reason, cond.Message = blocked[0].Reason, blocked[0].Message
	case d.Step != nil:
		cond.Reason, cond.Message = d.Activity, d.Reason
	case d.Asleep != "":
		// As kstatus has it: what was asked for is reached. Available tells that nobody is served.
		cond.Status, cond.Reason, cond.Message = metav1.ConditionTrue, v1alpha1.ReasonHibernated, d.Asleep
	case !c.Etcd.Serving || !c.AllVotersHealthy():
		cond.Reason, cond.Message = v1alpha1.ReasonMemberUnhealthy, unhealthy(c)
	default:
		cond.Status, cond.Reason = metav1.ConditionTrue, v1alpha1.ReasonAsSpecified
		cond.Message = fmt.Sprintf("all %d voters are healthy", len(c.Voters()))
	}
	return cond
}

func available(c *state.Cluster) metav1.Condition {
	cond := metav1.Condition{Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionFalse}
	switch {
	case c.Etcd.Serving && len(c.Voters()) == 1:
		cond.Status, cond.Reason = metav1.ConditionTrue, v1alpha1.ReasonSingleMember
		cond.Message = "the single member serves; no failure is tolerated, and a node drain stops it"
	case c.Etcd.Serving:
		cond.Status, cond.Reason, cond.Message = metav1.ConditionTrue, v1alpha1.ReasonQuorate, "a majority serves"
	case c.Latch == nil && ptr.Deref(c.Object.Status.ClusterID, "") != "":
		cond.Status, cond.Reason = metav1.ConditionUnknown, v1alpha1.ReasonObservationFailed
		cond.Message = "the record of the bootstrap is missing or cannot be read"
	case !c.Formed():
		cond.Reason, cond.Message = v1alpha1.ReasonBootstrapping, "no quorum has been seen yet"
	case hibernates(c):
		cond.Reason, cond.Message = v1alpha1.ReasonHibernated, "spec.hibernated is set: the members are stopped"
	case waking(c):
		cond.Reason, cond.Message = v1alpha1.ReasonWaking, "the members start on their volumes: "+unhealthy(c)
	case unreachable(c):
		cond.Status, cond.Reason = metav1.ConditionUnknown, v1alpha1.ReasonObservationFailed
		cond.Message = "the Pods are ready but the operator cannot reach them: " + unhealthy(c)
	case plan.QuorumLoss(c) != nil:
		cond.Reason, cond.Message = v1alpha1.ReasonQuorumLost, "a majority has lost its data for ever: see status.quorumLoss"
	default:
		cond.Reason, cond.Message = v1alpha1.ReasonQuorumLost, "no linearizable read succeeded: "+unhealthy(c)
	}
	return cond
}

// unreachable tells that a majority may well serve: so many voters are ready for the kubelet, but not to be reached.
func unreachable(c *state.Cluster) bool {
	maybe := 0
	for _, m := range c.Voters() {
		if m.Health != state.Unhealthy {
			maybe++
		}
	}
	return maybe >= quorum.Majority(max(knownVoters(c), len(c.Voters())))
}

func progressing(d plan.Decision, blocked []plan.Blocked) metav1.Condition {
	cond := metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue}
	switch {
	case d.Step != nil && len(blocked) == 0:
		cond.Reason, cond.Message = d.Activity, fmt.Sprintf("%s: %s", d.Step, d.Reason)
	case len(blocked) > 0:
		cond.Reason = blocked[0].Reason
		var parts []string
		for _, b := range blocked {
			parts = append(parts, b.Message)
		}
		cond.Message = strings.Join(parts, ". ")
		if cond.Reason == v1alpha1.ReasonPaused || cond.Reason == v1alpha1.ReasonDeleting {
			cond.Status = metav1.ConditionFalse
		}
	default:
		cond.Status, cond.Reason, cond.Message = metav1.ConditionFalse, v1alpha1.ReasonAsSpecified, "nothing to do"
		if d.Asleep != "" {
			cond.Reason, cond.Message = v1alpha1.ReasonHibernated, d.Asleep
		}
	}
	return cond
}

func degraded(c *state.Cluster, blocked []plan.Blocked) metav1.Condition {
	cond := metav1.Condition{Type: v1alpha1.ConditionDegraded, Status: metav1.ConditionTrue}
	for _, b := range blocked {
		switch b.Reason {
		case v1alpha1.ReasonMemberLost, v1alpha1.ReasonReplacingMember, v1alpha1.ReasonVolumeWiped, v1alpha1.ReasonAlarm,
			v1alpha1.ReasonWrongClusterID, v1alpha1.ReasonQuorumLost, v1alpha1.ReasonVolumeFull,
			v1alpha1.ReasonVolumeGrowthRefused:
			cond.Reason, cond.Message = b.Reason, b.Message
			return cond
		}
	}
	if hibernates(c) || waking(c) {
		cond.Status, cond.Reason, cond.Message = metav1.ConditionFalse, available(c).Reason, available(c).Message
		return cond
	}
	if c.Formed() && !c.AllVotersHealthy() && !onlyStarting(c) && !onlyDefragmented(c) {
		cond.Reason, cond.Message = v1alpha1.ReasonMemberUnhealthy, unhealthy(c)
		return cond
	}
	cond.Status, cond.Reason = metav1.ConditionFalse, v1alpha1.ReasonAllMembersHealthy
	cond.Message = "no member is known to be unhealthy"
	if !c.Formed() {
		cond.Reason, cond.Message = v1alpha1.ReasonBootstrapping, "no quorum has been seen yet"
	}
	return cond
}

// onlyStarting tells that every voter that is not healthy is one of the bootstrap that has yet to be seen healthy for
// the first time: that is progress, not degradation.
func onlyStarting(c *state.Cluster) bool {
	for _, m := range c.Voters() {
		if m.Health != state.Healthy && (m.Started || m.RecordedStarted()) {
			return false
		}
	}
	return true
}

// onlyDefragmented tells that every voter that is not healthy is one that does not answer because it is defragmented.
func onlyDefragmented(c *state.Cluster) bool {
	for _, m := range c.Voters() {
		if m.Health != state.Healthy && !m.Defragmentation.Running {
			return false
		}
	}
	return true
}

func unhealthy(c *state.Cluster) string {
	var list []string
	for _, m := range c.Voters() {
		if m.Health != state.Healthy {
			list = append(list, m.Name+" "+m.Reason)
		}
	}
	if len(list) == 0 {
		return "etcd does not answer: " + c.Etcd.Err
	}
	return strings.Join(list, "; ")
}

func nilWhenEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
