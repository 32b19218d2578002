package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// bootstrap brings a cluster to its first quorum, all members at once. The latch, created exclusively before the
// first Pod, fixes size and identity; once it says formed, this rule never acts again.
func bootstrap(w *walk) {
	c := w.c
	switch {
	case c.Latch == nil && len(c.Members) > 0:
		restoreLatch(w)
	case c.Latch == nil && len(c.Leftovers.Pods)+len(unretired(c.Leftovers.Volumes)) > 0:
		w.block(everything, v1alpha1.ReasonResuming, "the record of the bootstrap is lost, and Pods or volumes of this "+
			"cluster are left that do not fit together: delete those that are not wanted")
	case c.Latch == nil:
		w.propose(creation, CreateLatch{Size: c.Replicas(), Version: c.Version()}, v1alpha1.ReasonBootstrapping,
			fmt.Sprintf("a new cluster of %d members starts with etcd %s", c.Replicas(), c.Version()))
	case c.Latch.Formed:
		return
	default:
		form(w)
	}
	w.end()
}

func unretired(volumes []state.Volume) []state.Volume {
	return slices.DeleteFunc(slices.Clone(volumes), func(v state.Volume) bool { return v.Retired })
}

// restoreLatch makes a lost latch anew from what the incarnations record, so that existing data is resumed and never
// bootstrapped over. Whatever ran, or joined later, proves that the cluster had formed.
func restoreLatch(w *walk) {
	c := w.c
	records := map[origin]bool{}
	formed, version := false, c.Version()
	for _, m := range c.Members {
		o := originOf(m)
		records[o] = true
		latch := latchOf(c, o, version)
		formed = formed || m.RecordedStarted() || !slices.ContainsFunc(
			resources.LatchMembers(c.Object, latch),
			func(in state.Incarnation) bool { return in.MemberID == m.ID })
		if v := recordedVersion(m); v != "" {
			version = v
		}
	}
	if len(records) > 1 {
		w.block(everything, v1alpha1.ReasonWrongClusterID, fmt.Sprintf("the record of the bootstrap is lost and the data "+
			"that is left comes from %d different bootstraps: delete the volumes that are not wanted", len(records)))
		return
	}
	for o := range records {
		latch := latchOf(c, o, version)
		latch.Formed, latch.LogSince = formed, "" // nothing tells with which version it began
		for _, in := range resources.LatchMembers(c.Object, latch) {
			latch.Launched = append(latch.Launched, in.MemberID)
		}
		for _, m := range c.Members {
			if !slices.Contains(latch.Launched, m.ID) {
				latch.Launched = append(latch.Launched, m.ID)
			}
		}
		w.propose(creation, RestoreLatch{Latch: latch}, v1alpha1.ReasonResuming,
			"data of this cluster exists: it is resumed, not bootstrapped anew")
	}
}

// origin is the bootstrap that an incarnation records.
type origin struct {
	generation int64
	token      string
	size       int
}

func originOf(m state.Member) origin {
	if v := m.Volume; v != nil {
		return origin{v.Generation, v.Token, v.Size}
	}
	return origin{m.Pod.Generation, m.Pod.Token, m.Pod.Size}
}

func latchOf(c *state.Cluster, o origin, version string) state.Latch {
	return resources.NewLatch(c.Object, o.generation, o.token, o.size, version)
}

// form starts the members of the latch and watches them become quorate.
func form(w *walk) {
	c := w.c
	w.recordBootstrapVersion()
	clearEarlierGenerations(w)
	w.tellHeldEdit()
	if formedNow(c) {
		w.ensure(FormLatch{})
	} else if why := unusable(c); why != "" && pausing(c) {
		w.block(creation, v1alpha1.ReasonBootstrapping, fmt.Sprintf("no quorum was ever seen and %s: the bootstrap starts "+
			"again %s after it last did", why, pause(c.Latch.Generation)))
		w.wakeAfter(pause(c.Latch.Generation) - c.Now.Sub(c.Latch.Since))
		return
	} else if why != "" {
		w.propose(creation, RestartBootstrap{Generation: c.Latch.Generation + 1, Size: c.Replicas(), Version: c.Version()},
			v1alpha1.ReasonBootstrapping, "no quorum was ever seen and "+why+": the bootstrap starts again")
		return
	}
	if c.PeerService == nil {
		w.block(creation, v1alpha1.ReasonBootstrapping, "waiting until Kubernetes has the Service of the peers")
		return
	}
	var launches []Launch
	for _, m := range c.Members {
		switch {
		case m.Pod != nil:
			w.tidy(m, v1alpha1.ReasonBootstrapping)
		case c.SlotHeld(m.Slot):
		case obstacle(c, m) != "":
			w.block(0, v1alpha1.ReasonBootstrapping, m.Name+" cannot start: "+obstacle(c, m))
		default:
			launches = append(launches, launch(c, m))
		}
	}
	if len(launches) > 0 {
		w.propose(creation, StartMembers{Members: launches}, v1alpha1.ReasonBootstrapping,
			fmt.Sprintf("%d members start with etcd %s", len(launches), bootstrapVersion(c)))
	}
	waitForMembers(w)
}

// pause before a bootstrap starts again grows with each that failed, up to five minutes: what keeps the members from
// being created may last.
func pause(generation int64) time.Duration {
	return min(time.Duration(generation-1)*10*time.Second, 5*time.Minute)
}

// pausing tells that the pause is not over. A generation from the future was recorded by another clock: no pause.
func pausing(c *state.Cluster) bool {
	elapsed := c.Now.Sub(c.Latch.Since)
	return elapsed >= 0 && elapsed < pause(c.Latch.Generation)
}

// formedNow tells that a majority of the bootstrap is sealed and serves: no acknowledged write can be lost any more
// by a member that starts empty.
func formedNow(c *state.Cluster) bool {
	sealed := 0
	for _, m := range c.Members {
		if m.Sealed() && m.Listed {
			sealed++
		}
	}
	return c.Etcd.Listed && c.Etcd.Serving && sealed >= quorum.Majority(c.Latch.Size)
}

// unusable says why this generation can never form: so many members lost their data, or their volume's content, after
// they had run, or may have, that the others are no majority. None may start empty under its ID, so the generation
// is given up. Invariant: the latch does not say formed, hence the client Services never existed and no write was
// acknowledged to anybody; RestartBootstrap checks that again by writing the latch at the resourceVersion that it saw.
// While a majority is left it may have formed unseen: it goes on, and those that are lost are replaced once it has.
func unusable(c *state.Cluster) string {
	var gone []string
	for _, m := range c.Members {
		if m.Launched && dataMissing(c, m) || m.Wiped() {
			gone = append(gone, m.Name)
		}
	}
	if len(c.Members)-len(gone) >= quorum.Majority(c.Latch.Size) {
		return ""
	}
	return "the data of " + strings.Join(gone, ", ") + " is gone"
}

// clearEarlierGenerations deletes what a failed bootstrap left. Invariant: an earlier generation exists only beside a
// latch of a later one, which replaced it while no quorum had ever been seen.
func clearEarlierGenerations(w *walk) {
	for _, p := range w.c.Leftovers.Pods {
		if p.Generation < w.c.Latch.Generation && !p.Terminating {
			w.propose(creation, DeletePod{Name: p.Name, UID: p.UID, Why: "it belongs to a bootstrap that failed"},
				v1alpha1.ReasonBootstrapping, "an earlier bootstrap failed before a quorum was seen")
		}
	}
	for _, v := range w.c.Leftovers.Volumes {
		if v.Generation < w.c.Latch.Generation && !v.Foreign() && !v.Terminating && !w.c.SlotHeld(v.Slot) {
			w.propose(creation, DeleteVolume{Name: v.Name, UID: v.UID}, v1alpha1.ReasonBootstrapping,
				"an earlier bootstrap failed before a quorum was seen")
		}
	}
}

func waitForMembers(w *walk) {
	var waiting []string
	for _, m := range w.c.Members {
		if !m.Sealed() || m.Health == state.Unhealthy {
			reason := m.Reason
			if reason == "" {
				reason = "is not started yet"
			}
			waiting = append(waiting, m.Name+" "+reason)
		}
	}
	w.block(0, v1alpha1.ReasonBootstrapping, fmt.Sprintf("waiting for a quorum of %d members to start: %s",
		w.c.Latch.Size, strings.Join(waiting, "; ")))
}
