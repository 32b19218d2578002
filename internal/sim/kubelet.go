package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
)

// crashBackoff is how many ticks a container waits before it is started again.
const crashBackoff = 2

// container is the etcd container of a Pod, as its kubelet knows it.
type container struct {
	started  bool
	restarts int32
	wait     int
	last     *corev1.ContainerStateTerminated
	dir      *etcd.DataDir
	node     string
	// files are nil until all of them could be mounted; told and refreshAt say when they are read again.
	files     files
	told      string
	refreshAt time.Time
	paths     certificatePaths
	// image that it runs, or would if it could be pulled; since is when it was started.
	image string
	since time.Time
	// patched counts the ticks since the Pod asks for another image or other resources, which resources are given.
	patched   int
	resources corev1.ResourceRequirements
	// starting tells that etcd is about to start, and peerTrust and clientTrust are the CAs that it read then.
	starting               bool
	peerTrust, clientTrust string
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

// runPod is what a kubelet does with one Pod.
func (k *kube) runPod(pod *corev1.Pod) {
	if isHelper(pod) {
		k.runHelper(pod)
		return
	}
	c := k.containers[pod.UID]
	if c == nil {
		c = &container{dir: &etcd.DataDir{}, node: pod.Spec.NodeName, paths: pathsOf(pod)}
		if name := claimOf(pod); name != "" {
			claim, exists := get[*corev1.PersistentVolumeClaim](k.world.store, pod.Namespace, name)
			if !exists || !k.usable(claim.Spec.VolumeName) {
				k.cannotMount(pod)
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
	if c.files == nil {
		mounted, err := k.mount(pod)
		if err != nil {
			k.report(pod, c)
			return
		}
		c.files, c.told = mounted, pod.Annotations[resources.AnnotationCertificates]
		c.refreshAt = k.world.now.Add(k.resync)
	}
	k.refresh(pod, c)
	k.change(pod, c)
	state, _ := k.world.etcd.State(string(pod.UID))
	switch {
	case c.started && !state.Running:
		k.world.checkExit(pod, state)
		c.end(k.world.now, state.ExitCode, state.Message)
	case !c.started && c.wait > 0:
		c.wait--
	case !c.started:
		k.start(pod, c)
	}
	k.report(pod, c)
}

// cannotMount is what a kubelet does with a Pod whose volume is not there: its containers wait for it.
func (k *kube) cannotMount(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		k.world.store.drop(refOf(pod))
		return
	}
	k.report(pod, &container{})
}

// end notes how the process ended; it is started again after a while.
func (c *container) end(now time.Time, code int, message string) {
	c.last = &corev1.ContainerStateTerminated{
		ExitCode: int32(code), Message: message, FinishedAt: metav1.NewTime(now), //nolint:gosec // at most 255
	}
	c.started, c.wait = false, crashBackoff
	c.restarts++
}

// start starts etcd, which exits at once without usable certificates, and on data that it cannot read.
func (k *kube) start(pod *corev1.Pod, c *container) {
	c.image, c.resources = pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Resources
	if !k.pullable(c.image) {
		return
	}
	if err := k.load(c); err != nil {
		c.end(k.world.now, 1, err.Error())
		return
	}
	if d := k.diskOf(pod); d != nil && d.damaged {
		c.end(k.world.now, 2, "panic: freepages: failed to get all reachable pages")
		return
	}
	k.world.checkQuota(pod, quotaOf(pod))
	c.since = k.world.now
	c.started, c.starting = true, true
	k.world.link()
	k.world.checkExit(pod, k.world.etcd.Start(k.process(pod, c)))
	c.starting = false
}

// process is how the kubelet starts etcd: annotations are resolved at every start of the container.
func (k *kube) process(pod *corev1.Pod, c *container) etcd.ProcessConfig {
	a := pod.Annotations
	return etcd.ProcessConfig{
		PodUID: string(pod.UID), Name: pod.Name, Address: k.address(pod),
		PeerURL:        a[resources.AnnotationPeerURL],
		ClientURL:      argument(pod, "--advertise-client-urls="),
		InitialCluster: a[resources.AnnotationInitialCluster],
		Existing:       a[resources.AnnotationInitialClusterState] == "existing",
		Token:          argument(pod, "--initial-cluster-token="), Version: versionOf(c.image), DataDir: c.dir,
		Quota: quotaOf(pod),
	}
}

// argument of etcd that begins with the flag.
func argument(pod *corev1.Pod, flag string) string {
	for _, arg := range pod.Spec.Containers[0].Args {
		if strings.HasPrefix(arg, flag) {
			return strings.TrimPrefix(arg, flag)
		}
	}
	return ""
}

// quotaOf etcd in bytes; 0 for its default.
func quotaOf(pod *corev1.Pod) int64 {
	quota, _ := strconv.ParseInt(argument(pod, "--quota-backend-bytes="), 10, 64)
	return quota
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
	before := pod.DeepCopy()
	cs := corev1.ContainerStatus{Name: resources.EtcdContainer, RestartCount: c.restarts, Image: c.image}
	if c.last != nil {
		cs.LastTerminationState.Terminated = c.last
	}
	isReady := corev1.ConditionFalse
	switch {
	case c.started && state.Running:
		cs.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.since)}
		cs.ContainerID = fmt.Sprintf("model://%s/%d", pod.UID, c.restarts)
		cs.Resources = c.resources.DeepCopy()
		if state.Ready && !state.Learner && state.Leader != 0 {
			isReady = corev1.ConditionTrue
		}
	case c.files == nil:
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	case c.image != "" && !k.pullable(c.image):
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}
	default:
		cs.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	}
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, k.ip(pod)
	if c.files == nil {
		pod.Status.Phase, pod.Status.PodIP = corev1.PodPending, before.Status.PodIP
	}
	if pod.Status.StartTime == nil {
		pod.Status.StartTime = ptr.To(metav1.NewTime(k.world.now))
	}
	pod.Status.ObservedGeneration = pod.Generation
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{cs}
	setReady(pod, isReady, k.world.now)
	k.reportResize(pod, c)
	if !equal(before.Status, pod.Status) {
		k.world.store.put(pod)
	}
}
