package sim

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// crashBackoff is how many ticks a container waits before it is started again.
const crashBackoff = 2

// disk is a PersistentVolume: a data directory on a node.
type disk struct {
	dir  *etcd.DataDir
	node string
}

// container is the etcd container of a Pod, as its kubelet knows it.
type container struct {
	started  bool
	restarts int32
	wait     int
	last     *corev1.ContainerStateTerminated
	dir      *etcd.DataDir
	node     string
}

// kube is what runs around the API server: scheduler, kubelets, and the controllers that matter.
type kube struct {
	world      *world
	nodes      []string
	down       map[string]bool // without power
	disks      map[string]*disk
	containers map[types.UID]*container
	ips        map[types.UID]string
}

// tick lets each of them work once.
func (k *kube) tick() {
	k.collect()
	k.endOrphans()
	for _, claim := range all[*corev1.PersistentVolumeClaim](k.world.store) {
		k.finishClaim(claim)
	}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName == "" {
			k.schedule(pod)
			continue
		}
		if !k.down[pod.Spec.NodeName] && !k.world.partitioned[pod.Spec.NodeName] {
			k.runPod(pod)
		}
	}
	for _, node := range all[*corev1.Node](k.world.store) {
		k.reportNode(node)
	}
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
	for _, obj := range sorted(k.world.store.objects) {
		for _, owner := range obj.GetOwnerReferences() {
			if !uids[owner.UID] && obj.GetDeletionTimestamp() == nil {
				_ = k.world.store.remove(refOf(obj), nil, false)
			}
		}
	}
}

// endOrphans ends the processes of Pods that no longer exist, on nodes whose kubelet hears of it.
func (k *kube) endOrphans() {
	exists := map[types.UID]bool{}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		exists[pod.UID] = true
	}
	for uid, c := range k.containers {
		if !exists[uid] && !k.world.partitioned[c.node] {
			k.world.etcd.Stop(string(uid))
			delete(k.containers, uid)
		}
	}
}

// finishClaim removes a claim that is being deleted once no Pod uses it (the pvc-protection finalizer).
func (k *kube) finishClaim(claim *corev1.PersistentVolumeClaim) {
	if claim.DeletionTimestamp == nil {
		return
	}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if claimOf(pod) == claim.Name && pod.Namespace == claim.Namespace {
			return
		}
	}
	k.world.store.drop(refOf(claim))
}

func claimOf(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// schedule binds the Pod to the node of its volume, or to one with the fewest members, and provisions the volume.
func (k *kube) schedule(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		k.world.store.drop(refOf(pod))
		return
	}
	name := claimOf(pod)
	claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
	if name != "" && (!exists || claim.DeletionTimestamp != nil) {
		return
	}
	node := k.pick(pod)
	if name != "" && claim.Spec.VolumeName != "" {
		node = k.disks[claim.Spec.VolumeName].node
	}
	if node == "" || k.down[node] {
		return
	}
	if name != "" && claim.Spec.VolumeName == "" {
		claim.Spec.VolumeName = "pv-" + string(claim.UID)
		k.disks[claim.Spec.VolumeName] = &disk{dir: &etcd.DataDir{}, node: node}
		k.world.store.put(claim)
	}
	pod.Spec.NodeName = node
	k.world.store.put(pod)
}

func (k *kube) pick(pod *corev1.Pod) string {
	load := map[string]int{}
	for _, p := range all[*corev1.Pod](k.world.store) {
		load[p.Spec.NodeName]++
	}
	best := ""
	for _, n := range k.nodes {
		if !k.down[n] && (best == "" || load[n] < load[best]) && pinnedTo(pod, n) {
			best = n
		}
	}
	return best
}

func pinnedTo(pod *corev1.Pod, node string) bool {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return true
	}
	required := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		return true
	}
	for _, term := range required.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Values[0] == node {
				return true
			}
		}
	}
	return false
}

// runPod is what a kubelet does with one Pod.
func (k *kube) runPod(pod *corev1.Pod) {
	c := k.containers[pod.UID]
	if c == nil {
		c = &container{dir: &etcd.DataDir{}, node: pod.Spec.NodeName}
		if name := claimOf(pod); name != "" {
			claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
			if !exists {
				return
			}
			c.dir = k.disks[claim.Spec.VolumeName].dir
		}
		k.containers[pod.UID] = c
	}
	if pod.DeletionTimestamp != nil {
		k.world.etcd.Stop(string(pod.UID))
		if claimOf(pod) == "" {
			c.dir.Wipe()
		}
		k.world.store.drop(refOf(pod))
		return
	}
	state, _ := k.world.etcd.State(string(pod.UID))
	switch {
	case c.started && !state.Running:
		code := int32(state.ExitCode) //nolint:gosec // at most 255
		c.last = &corev1.ContainerStateTerminated{ExitCode: code, Message: state.Message}
		c.started, c.wait = false, crashBackoff
		c.restarts++
	case !c.started && c.wait > 0:
		c.wait--
	case !c.started:
		k.world.etcd.Start(k.process(pod, c))
		c.started = true
	}
	k.report(pod, c)
}

// process is how the kubelet starts etcd: annotations are resolved at every start of the container.
func (k *kube) process(pod *corev1.Pod, c *container) etcd.ProcessConfig {
	a := pod.Annotations
	slot, _ := resources.ParseSlot(pod.Labels[resources.LabelCluster], pod.Name)
	return etcd.ProcessConfig{
		PodUID: string(pod.UID), Name: pod.Name, Address: k.address(pod),
		PeerURL:        a[resources.AnnotationPeerURL],
		ClientURL:      resources.ClientURL(pod.Namespace, pod.Labels[resources.LabelCluster], slot),
		InitialCluster: a[resources.AnnotationInitialCluster],
		Existing:       a[resources.AnnotationInitialClusterState] == "existing",
		Token:          tokenOf(pod), Version: a[resources.AnnotationVersion], DataDir: c.dir,
	}
}

func tokenOf(pod *corev1.Pod) string {
	const flag = "--initial-cluster-token="
	for _, arg := range pod.Spec.Containers[0].Args {
		if strings.HasPrefix(arg, flag) {
			return strings.TrimPrefix(arg, flag)
		}
	}
	return ""
}

func (k *kube) ip(pod *corev1.Pod) string {
	if k.ips[pod.UID] == "" {
		n := len(k.ips) + 1
		k.ips[pod.UID] = fmt.Sprintf("10.0.%d.%d", n/250, n%250+1)
	}
	return k.ips[pod.UID]
}

// address is where the operator reaches the member.
func (k *kube) address(pod *corev1.Pod) string {
	return fmt.Sprintf("%s:%d", k.ip(pod), resources.ClientPort)
}

// report writes the Pod's status if it changed.
func (k *kube) report(pod *corev1.Pod, c *container) {
	state, _ := k.world.etcd.State(string(pod.UID))
	now := metav1.NewTime(k.world.now)
	cs := corev1.ContainerStatus{Name: resources.EtcdContainer, RestartCount: c.restarts}
	if c.last != nil {
		cs.LastTerminationState.Terminated = c.last
	}
	isReady := corev1.ConditionFalse
	if c.started && state.Running {
		cs.State.Running = &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}
		cs.ContainerID = fmt.Sprintf("model://%s/%d", pod.UID, c.restarts)
		if state.Ready && !state.Learner && state.Leader != 0 {
			isReady = corev1.ConditionTrue
		}
	} else {
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	}
	before := pod.DeepCopy()
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, k.ip(pod)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{cs}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: isReady}}
	if !equal(before.Status, pod.Status) {
		pod.Status.StartTime = &now
		k.world.store.put(pod)
	}
}

func (k *kube) reportNode(node *corev1.Node) {
	status := corev1.ConditionTrue
	if k.down[node.Name] || k.world.partitioned[node.Name] {
		status = corev1.ConditionUnknown
		k.unready(node.Name)
	}
	if len(node.Status.Conditions) == 1 && node.Status.Conditions[0].Status == status {
		return
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	k.world.store.put(node)
}

// unready marks the Pods of a node that is not ready, as the node controller does.
func (k *kube) unready(node string) {
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName != node || !podReady(pod) {
			continue
		}
		pod.Status.Conditions[0].Status = corev1.ConditionFalse
		k.world.store.put(pod)
	}
}

// reportBudget is the disruption controller.
func (k *kube) reportBudget(pdb *policyv1.PodDisruptionBudget) {
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	if err != nil {
		panic(err) // the operator built an invalid selector
	}
	before := pdb.DeepCopy()
	pdb.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: pdb.Generation}
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Namespace != pdb.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		pdb.Status.ExpectedPods++
		if podReady(pod) && pod.DeletionTimestamp == nil {
			pdb.Status.CurrentHealthy++
		}
	}
	minAvailable := int32(pdb.Spec.MinAvailable.IntValue()) //nolint:gosec // at most 8
	pdb.Status.DisruptionsAllowed = max(0, pdb.Status.CurrentHealthy-minAvailable)
	if !equal(before.Status, pdb.Status) {
		k.world.store.put(pdb)
	}
}

func podReady(pod *corev1.Pod) bool {
	return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Status == corev1.ConditionTrue
}

// powerOff ends everything on the node at once.
func (k *kube) powerOff(node string) {
	k.down[node] = true
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if pod.Spec.NodeName == node {
			k.world.etcd.Stop(string(pod.UID))
		}
	}
}

// powerOn boots the node: containers start again, volumes are as they were; what was ephemeral stays with its Pod
// (an emptyDir on disk survives a reboot).
func (k *kube) powerOn(node string) {
	delete(k.down, node)
	for _, pod := range all[*corev1.Pod](k.world.store) {
		if c := k.containers[pod.UID]; pod.Spec.NodeName == node && c != nil && c.started {
			c.started, c.wait = false, 0
			c.restarts++
			c.last = &corev1.ContainerStateTerminated{ExitCode: 255, Message: "", FinishedAt: metav1.NewTime(k.world.now)}
		}
	}
}

// tickLength is how much time passes with a tick.
const tickLength = time.Second
