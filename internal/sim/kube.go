package sim

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kube is what runs around the API server: scheduler, kubelets, and the controllers that matter.
type kube struct {
	world      *world
	nodes      []string
	down       map[string]bool // without power
	goneSince  map[string]time.Time
	draining   []string
	disks      map[string]*disk // by the name of the PersistentVolume
	containers map[types.UID]*container
	ips        map[types.UID]string
	// lag is how late kubelets hear of changes of Secrets and ConfigMaps, resync how often they read the Secrets of their
	// Pods without being told.
	lag, resync time.Duration
	// patchLag is how many ticks a kubelet takes to act on a change of a running Pod: the old process answers meanwhile.
	patchLag int
	// unpullable are the versions whose images cannot be pulled.
	unpullable map[string]bool
}

// defaultPatchLag is longer than an operator needs to look again.
const defaultPatchLag = 2

func newKube(w *world, nodes int) *kube {
	k := &kube{
		world: w, down: map[string]bool{}, goneSince: map[string]time.Time{}, disks: map[string]*disk{},
		containers: map[types.UID]*container{}, ips: map[types.UID]string{}, unpullable: map[string]bool{},
		resync: defaultResync, patchLag: defaultPatchLag,
	}
	for i := range nodes {
		k.addNode(fmt.Sprintf("node-%d", i))
	}
	return k
}

// tick lets each of them work once.
func (k *kube) tick() {
	k.collect()
	k.endOrphans()
	for _, claim := range all[*corev1.PersistentVolumeClaim](k.world.store) {
		k.finishClaim(claim)
	}
	for _, claim := range all[*corev1.PersistentVolumeClaim](k.world.store) {
		k.expand(claim)
	}
	for _, pv := range all[*corev1.PersistentVolume](k.world.store) {
		k.finishVolume(pv)
	}
	k.goOnDraining()
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName == "" {
			k.schedule(pod)
			continue
		}
		if k.runs(pod.Spec.NodeName) {
			k.runPod(pod)
		}
	}
	for _, node := range all[*corev1.Node](k.world.store) {
		k.reportNode(node)
	}
	k.collectPods()
	for _, pdb := range all[*policyv1.PodDisruptionBudget](k.world.store) {
		k.reportBudget(pdb)
	}
}

// collect removes objects whose owner is gone, as the garbage collector does.
func (k *kube) collect() {
	uids := map[types.UID]bool{}
	for _, obj := range k.world.store.objects {
		uids[obj.GetUID()] = true
	}
	for _, obj := range sorted(k.world.store.objects, "") {
		for _, owner := range obj.GetOwnerReferences() {
			if !uids[owner.UID] && obj.GetDeletionTimestamp() == nil {
				_ = k.world.store.remove(refOf(obj), nil, false)
			}
		}
	}
}

// tickLength is how much time passes with a tick.
const tickLength = time.Second
