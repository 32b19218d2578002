package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// templateNeed tells what a member has to undergo because of the spec: its Pod is compared with what was last applied
// to it, whatever others changed in it. Labels, cpu and memory are changed without it; see podMetadata and resize.
func templateNeed(c *state.Cluster, m state.Member) need {
	if m.Pod == nil || m.Pod.Terminating {
		return need{}
	}
	version, _ := target(c, m)
	d := difference(c, m, version)
	activity, why := v1alpha1.ReasonRollingOut, "spec."+strings.Join(d.Recreate, ", spec.")+" changed"
	if d.Image {
		why = imageChange(m, version)
		activity = versionActivity(m.Pod.Version, version)
	}
	stopped := !m.Pod.Running && !m.Probe.Answered
	remade := len(d.Recreate) > 0 || d.Image && !runsWith(c, m, version)
	switch {
	case stopped && (!c.Ephemeral() || mendable(c, m, d, version)):
		return need{} // it is made anew at once; see tidy
	case quotaHeld(c, m):
		return need{} // told by quotaEdit
	case remade && homeless(c, m):
		return need{} // told by resize
	case remade:
	case unresizable(c, m, d) && (m.Pod.Resize.Room || !nodeTooSmall(m, d)):
		why = "its node cannot change its cpu and memory in place (" + cmp.Or(m.Pod.Resize.Pending, "refused") + ")"
	case d.Image:
		return need{how: patched, activity: activity, why: why}
	default:
		return need{}
	}
	return need{how: recreated, activity: activity, why: why}
}

func imageChange(m state.Member, version string) string {
	if m.Pod.Version == version {
		return "its image changed"
	}
	return fmt.Sprintf("etcd %s replaces %s", version, m.Pod.Version)
}

func versionActivity(from, to string) string {
	switch {
	case state.Minor(from) == state.Minor(to):
		return v1alpha1.ReasonRollingOut
	case Older(from, to):
		return v1alpha1.ReasonUpgrading
	default:
		return v1alpha1.ReasonDowngrading
	}
}

// runsWith tells that etcd of the version would be given exactly the flags that the Pod has: only then can the image be
// changed in place.
func runsWith(c *state.Cluster, m state.Member, version string) bool {
	in := incarnation(c, m)
	in.Version = version
	return c.PeerService != nil && slices.Equal(m.Pod.Args, resources.Flags(c.Object, in, start(c, m)))
}

// unresizable tells that Kubernetes will not change the Pod's cpu and memory in place: it said so.
func unresizable(c *state.Cluster, m state.Member, d resources.Difference) bool {
	if d.Resources {
		return m.Pod.Resize.Refused == resources.TemplateHash(resources.Applied(c.Object, m.Pod.Version))
	}
	return m.Pod.Resize.Infeasible
}

// nodeTooSmall tells that the member's node can never give it the cpu and memory that is wanted.
func nodeTooSmall(m state.Member, d resources.Difference) bool {
	if d.Resources {
		return m.Pod.Resize.TooLarge
	}
	return m.Pod.Resize.Infeasible
}

// mendable tells that the change of a Pod can be made in place by another image alone.
func mendable(c *state.Cluster, m state.Member, d resources.Difference, version string) bool {
	return d.Image && len(d.Recreate) == 0 && runsWith(c, m, version)
}

// mend gives a Pod that does not run, and that keeps the data of its member, the newest image. It stops nothing.
func (w *walk) mend(m state.Member, activity string) bool {
	c := w.c
	if m.Pod.Running || m.Probe.Answered || m.Pod.Finished {
		return false
	}
	version := versionFor(c, m)
	if !mendable(c, m, difference(c, m, version), version) {
		return false
	}
	w.propose(creation, patchStep(c, m, version), activity,
		m.Name+" does not run, and its image has changed since it was started")
	return true
}

func patchStep(c *state.Cluster, m state.Member, version string) PatchPod {
	return PatchPod{
		Member: m.Name, PodUID: m.Pod.UID, Volume: volumeName(m), Version: version,
		Image: resources.Image(c.Object, version),
	}
}

// patchPod changes the image of a running Pod, which restarts its container. Invariants: as for restart; the data stays
// where it is, and its record names the version before it runs.
func (w *walk) patchPod(m state.Member, activity, why string) {
	if !w.mayInterrupt(m, activity, why) {
		return
	}
	version, _ := target(w.c, m)
	w.propose(membership, patchStep(w.c, m, version), activity, m.Name+" is restarted in place: "+why)
}

// outliving keeps the announcement up while a container still runs whose image was changed: its Pod is about to be
// interrupted, and Kubernetes still counts it.
func outliving(w *walk) {
	for _, m := range w.c.Voters() {
		if m.Pod != nil && m.Outlived() && m.Pod.Ready {
			w.announce = true
		}
	}
}

// podMetadata brings labels and annotations of running Pods up to date, which disturbs nobody.
func podMetadata(w *walk) {
	for _, m := range w.c.Members {
		if m.Pod == nil || m.Pod.Terminating {
			continue
		}
		if resources.Compare(m.Pod.Applied, resources.Applied(w.c.Object, m.Pod.Version)).Metadata {
			w.ensure(ApplyPodMetadata{Member: m.Name, PodUID: m.Pod.UID})
		}
	}
}
