package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// refusal is why a version edit does not reach a member now.
type refusal struct {
	// reason is a constant of the API: VersionRefused when a person has to do something.
	reason  string
	message string
}

// target is the version that a member that has a Pod is brought to: the wanted one, if the change is admitted; else the
// one that it has. Patch releases of one minor go both ways.
func target(c *state.Cluster, m state.Member) (string, *refusal) {
	wanted, has := c.Version(), m.Pod.Version
	switch {
	case !m.Pod.Running && !m.Probe.Answered:
		return versionFor(c, m), nil
	case state.Minor(wanted) == state.Minor(has):
		return backForSnapshots(c, wanted)
	}
	refused := refuseUpgrade(c)
	if Older(wanted, has) {
		refused = refuseReturn(c, has)
	}
	if refused == nil && c.Ephemeral() && !runsWith(c, m, wanted) {
		refused = &refusal{v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: it needs other flags than the "+
			"members have, and their data is in their Pods: if spec.restartedAt does not help, create a new cluster and move "+
			"the data", wanted)}
	}
	if refused != nil {
		return has, refused
	}
	return wanted, nil
}

// versionEdit says why the wanted version does not reach the members, when its minor is another than theirs.
func versionEdit(w *walk) {
	c := w.c
	w.settleVersion()
	w.correctVersion()
	if !c.Etcd.Listed {
		return
	}
	for _, m := range c.Members {
		if m.Pod == nil {
			continue
		}
		if _, refused := target(c, m); refused != nil {
			w.block(0, refused.reason, refused.message)
			return
		}
	}
}

// refuseUpgrade says why no member may be brought to the wanted minor now; nil when one may. etcd itself would let
// everything pass, and break (skipped minors lose the hand-over of the membership from one store to the other).
func refuseUpgrade(c *state.Cluster) *refusal {
	wanted, current := c.Version(), c.Etcd.ClusterVersion
	refuse := func(format string, args ...any) *refusal {
		return &refusal{v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: ", wanted) +
			fmt.Sprintf(format, args...)}
	}
	switch {
	case current == "":
		return &refusal{v1alpha1.ReasonUpgrading, "waiting until etcd tells its cluster version, to upgrade to " + wanted}
	case c.DowngradeTarget() != "":
		return &refusal{v1alpha1.ReasonUpgrading, fmt.Sprintf("the upgrade to %s waits until etcd's downgrade to %s is "+
			"cancelled", wanted, c.DowngradeTarget())}
	case behindAll(c):
		return &refusal{v1alpha1.ReasonUpgrading, fmt.Sprintf("the upgrade to %s waits until etcd's cluster version %s "+
			"follows its members", wanted, current)}
	case nextMinor(current+".0") != state.Minor(wanted) && current != state.Minor(wanted):
		return refuse("the cluster is at etcd %s, and minors cannot be skipped: set spec.version to a release of %s first",
			current, nextMinor(current+".0"))
	case belowFloor(wanted) != "":
		return refuse("releases before %s cannot be upgraded to", belowFloor(wanted))
	}
	for _, m := range c.Members {
		if floor := belowFloor(m.Probe.Version); m.Probe.Answered && floor != "" {
			return refuse("%s runs %s, and only %s or later can be upgraded: set spec.version to it first", m.Name,
				m.Probe.Version, floor)
		}
	}
	if why := unfit(c); why != "" && upgrading(c) {
		return &refusal{v1alpha1.ReasonUpgrading, fmt.Sprintf("the upgrade to %s waits: %s", wanted, why)}
	} else if why != "" {
		return refuse("%s. It goes on when that is mended, or set spec.version back", why)
	}
	if name := oldLogs(c); name != "" {
		return &refusal{v1alpha1.ReasonUpgrading, fmt.Sprintf("the upgrade to %s waits until %s has saved a snapshot", wanted,
			name)}
	}
	return nil
}

// behindAll tells that all members have a later minor than the cluster version, which is about to follow them.
func behindAll(c *state.Cluster) bool {
	return !slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return !Older(c.Etcd.ClusterVersion, state.Minor(presentVersion(m)))
	})
}

// upgrading tells that a member has the wanted minor already.
func upgrading(c *state.Cluster) bool {
	return slices.ContainsFunc(c.Members, func(m state.Member) bool {
		return state.Minor(presentVersion(m)) == state.Minor(c.Version())
	})
}

// presentVersion is what the member's Pod runs, or is started with; without a Pod, what its volume records.
func presentVersion(m state.Member) string {
	if m.Pod != nil {
		return m.Pod.Version
	}
	return recordedVersion(m)
}

// unfit says what has to be mended before a member changes its minor.
func unfit(c *state.Cluster) string {
	switch {
	case c.Learner() != nil:
		return c.Learner().Name + " is a learner, which has to be promoted or removed first"
	case len(c.Etcd.Alarms) > 0:
		return fmt.Sprintf("etcd raises the alarm %s", c.Etcd.Alarms[0].Type)
	case len(c.Voters()) != c.Replicas():
		return fmt.Sprintf("%d voters are wanted and there are %d", c.Replicas(), len(c.Voters()))
	case !c.AllVotersHealthy():
		return "not all members are healthy: " + sick(c)
	case len(c.Etcd.ListsDiffer) > 0:
		return "the member list of " + strings.Join(c.Etcd.ListsDiffer, " and ") + " differs from the cluster's"
	default:
		return ""
	}
}

// refuseReturn says why a member may not be brought a minor back now. By another binary alone that is possible until
// etcd's cluster version has followed the upgrade, which it does once no member has the former minor; from then on etcd
// has to lower it first.
func refuseReturn(c *state.Cluster, has string) *refusal {
	wanted, current := c.Version(), c.Etcd.ClusterVersion
	waits := func(format string, args ...any) *refusal {
		return &refusal{v1alpha1.ReasonDowngrading, "the downgrade to " + wanted + " waits " + fmt.Sprintf(format, args...)}
	}
	switch {
	case current == "":
		return waits("until etcd tells its cluster version")
	case nextMinor(wanted) != state.Minor(has):
		return &refusal{v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: the cluster runs %s, and only "+
			"one minor back is possible: set spec.version to a later release", wanted, has)}
	case current != state.Minor(wanted) && c.DowngradeTarget() == "" && refuseDowngrade(c) != nil:
		return refuseDowngrade(c)
	case current != state.Minor(wanted):
		return waits("until etcd has lowered its cluster version %s", current)
	case !downgrading(c):
		return waits("until etcd's cluster version follows its members to %s", state.Minor(has))
	case Older(wanted, forgotten) && logsSaved(c):
		return waits("until the record that logs were saved is taken back")
	case unconverted(c) != "":
		return waits("until %s have converted their data", unconverted(c))
	default:
		return nil
	}
}

// settleVersion records the version in the latch once all members run it and the cluster version has followed: from
// then on it is what a cluster without spec.version keeps, and what no member is taken behind.
func (w *walk) settleVersion() {
	c := w.c
	wanted := c.Version()
	if !c.Formed() || c.Latch.Version == wanted || !c.Etcd.Listed || !c.AllVotersHealthy() || c.Learner() != nil {
		return
	}
	for _, m := range c.Members {
		if m.Pod == nil || m.Pod.Version != wanted {
			return
		}
	}
	if state.Minor(wanted) != state.Minor(c.Latch.Version) && c.Etcd.ClusterVersion != state.Minor(wanted) {
		return
	}
	w.ensure(RecordVersion{Version: wanted})
}

// tooOld tells that etcd exited because it is older than its data (server/etcdserver/version/downgrade.go,
// server/storage/schema/schema.go).
func tooOld(exit *state.Exit, minor string) bool {
	return exit != nil && (strings.Contains(exit.Message, "invalid downgrade") ||
		strings.Contains(exit.Message, `version "`+minor+`.0" is not supported`) ||
		strings.Contains(exit.Message, `version \"`+minor+`.0\" is not supported`))
}

// correctVersion lets a member start again that was taken back too far: an upgrade had been completed when nobody saw
// it. Its etcd itself says so.
func (w *walk) correctVersion() {
	wanted := w.c.Version()
	for _, m := range w.c.Members {
		p := m.Pod
		if p == nil || p.Running || !tooOld(p.LastExit, nextMinor(p.Version)) {
			continue
		}
		switch later := nextMinor(p.Version); {
		case later != state.Minor(wanted):
			w.block(0, v1alpha1.ReasonVersionRefused, fmt.Sprintf("version %s is refused: the data of %s is of a later minor, "+
				"and etcd %s does not start on it: set spec.version to a release of %s", wanted, m.Name, p.Version, later))
		case m.Volume == nil:
			w.block(0, v1alpha1.ReasonMemberUnhealthy, fmt.Sprintf("the data of %s is of a later minor, and etcd %s does not "+
				"start on it: to have it replaced, run %s", m.Name, p.Version, askCommand(w.c, m)))
		case nextMinor(m.Volume.Version) == later:
			w.ensure(RecordVolumeVersion{Volume: m.Volume.Name, Version: wanted})
		}
	}
}
