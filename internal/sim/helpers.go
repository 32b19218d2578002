package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// operatorImage is what the Pods run that read volumes and salvage data.
const operatorImage = "quorate.example/quorate:v1"

// helperTime is how long they take.
const helperTime = 3 * time.Second

func isHelper(pod *corev1.Pod) bool {
	component := pod.Labels[resources.ComponentLabel]
	return component == resources.ComponentInspection || component == resources.ComponentSalvage
}

// claimsOf are the names of all claims that the Pod mounts.
func claimsOf(pod *corev1.Pod) []string {
	var names []string
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// provisionOthers makes the volumes of a Pod's other claims beside the first one's.
func (k *kube) provisionOthers(pod *corev1.Pod, node string) {
	for _, name := range claimsOf(pod)[min(1, len(claimsOf(pod))):] {
		claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
		if exists && claim.Spec.VolumeName == "" {
			k.provision(claim, node)
		}
	}
}

// runHelper is what a kubelet does with a Pod that reads a volume or salvages what is on it: it ends with a report.
func (k *kube) runHelper(pod *corev1.Pod) {
	switch {
	case pod.DeletionTimestamp != nil:
		k.world.store.drop(refOf(pod))
		return
	case len(pod.Status.ContainerStatuses) > 0, k.world.now.Sub(pod.CreationTimestamp.Time) < helperTime:
		return
	}
	disks := make([]*disk, 0, 2)
	for _, name := range claimsOf(pod) {
		claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
		if !exists || !k.usable(claim.Spec.VolumeName) {
			return
		}
		disks = append(disks, k.disks[claim.Spec.VolumeName])
	}
	var report any = inspect(disks[0])
	if pod.Labels[resources.ComponentLabel] == resources.ComponentSalvage {
		report = k.salvage(pod, disks[0], disks[1])
	}
	message, err := json.Marshal(report)
	must(err)
	k.world.log("Pod %s ends: %s", pod.Name, message)
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Message: string(message), FinishedAt: metav1.NewTime(k.world.now),
		}},
	}}
	k.world.store.put(pod)
}

// inspect is what inspect-data would tell.
func inspect(d *disk) state.DataReport {
	if d.damaged {
		return state.DataReport{Problem: "the write-ahead log cannot be read"}
	}
	r, found := d.dir.Inspect()
	if !found {
		return state.DataReport{Empty: true}
	}
	return state.DataReport{
		ClusterID: r.ClusterID, MemberID: r.MemberID, Term: r.Term, Commit: r.Commit, LastTerm: r.LastTerm,
		LastIndex: r.LastIndex, Voters: r.Voters, Names: r.Names,
	}
}

// salvage is what salvage-data would do: nothing of the lost cluster may run then.
func (k *kube) salvage(pod *corev1.Pod, from, into *disk) state.SalvageReport {
	k.world.checkSalvage(pod, from, into)
	k.world.etcd.Salvage(from.dir, into.dir, option(pod, "--new-name="), option(pod, "--new-peer-url="),
		option(pod, "--new-token="))
	return state.SalvageReport{QuorumLossID: option(pod, "--quorum-loss-id="), Digest: state.DataDigest{Hash: "the same"}}
}

// option of a helper's command.
func option(pod *corev1.Pod, flag string) string {
	command := pod.Spec.Containers[0].Command
	at := slices.IndexFunc(command, func(arg string) bool { return strings.HasPrefix(arg, flag) })
	if at < 0 {
		return ""
	}
	return strings.TrimPrefix(command[at], flag)
}
