package sim

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// tolerateUnreachable is how long Pods stay bound to a node that is not ready before they are deleted (the default
	// tolerations that admission adds).
	tolerateUnreachable = 300 * time.Second
	// collectAfter is how long Pods of a node that no longer exists are left alone (the collector of Pods).
	collectAfter = 40 * time.Second
)

// node is nil when there is none.
func (k *kube) node(name string) *corev1.Node {
	n, _ := get[*corev1.Node](k.world.store, "", name)
	return n
}

// runs tells that the kubelet of the node works and the API server hears it.
func (k *kube) runs(node string) bool {
	return k.node(node) != nil && !k.down[node] && !k.world.partitioned[node]
}

// reportNode is the node controller: it marks a node that is not heard of, its Pods with it, and after a while deletes
// those.
func (k *kube) reportNode(node *corev1.Node) {
	status := corev1.ConditionTrue
	if !k.runs(node.Name) {
		status = corev1.ConditionUnknown
		k.unready(node.Name)
	}
	if c := node.Status.Conditions; len(c) == 0 || c[0].Status != status {
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(k.world.now),
		}}
		k.world.store.put(node)
		return
	}
	since := node.Status.Conditions[0].LastTransitionTime.Time
	if status != corev1.ConditionTrue && k.world.now.Sub(since) > tolerateUnreachable {
		for _, pod := range k.podsOf(node.Name) {
			if pod.DeletionTimestamp == nil {
				k.world.log("Kubernetes deletes Pod %s: %s is unreachable", pod.Name, node.Name)
				must(k.world.store.remove(refOf(pod), nil, false))
			}
		}
	}
}

func (k *kube) podsOf(node string) []*corev1.Pod {
	return slices.DeleteFunc(all[*corev1.Pod](k.world.store), func(p *corev1.Pod) bool { return p.Spec.NodeName != node })
}

// unready marks the Pods of a node that is not ready, as the node controller does.
func (k *kube) unready(node string) {
	for _, pod := range k.podsOf(node) {
		if podReady(pod) {
			setReady(pod, corev1.ConditionFalse, k.world.now)
			k.world.store.put(pod)
		}
	}
}

// setReady keeps the time of the last change.
func setReady(pod *corev1.Pod, status corev1.ConditionStatus, now time.Time) {
	for i, c := range pod.Status.Conditions {
		if c.Type != corev1.PodReady {
			continue
		}
		if c.Status != status {
			pod.Status.Conditions[i].Status, pod.Status.Conditions[i].LastTransitionTime = status, metav1.NewTime(now)
		}
		return
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(now),
	})
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// collectPods is the collector of Pods: it force-deletes those of nodes that no longer exist, and those that are being
// deleted on nodes that somebody vouches are off.
func (k *kube) collectPods() {
	for _, pod := range all[*corev1.Pod](k.world.store) {
		name := pod.Spec.NodeName
		if name == "" {
			continue
		}
		node := k.node(name)
		switch {
		case node == nil && k.world.now.Sub(k.goneSince[name]) > collectAfter:
			k.world.log("Kubernetes deletes Pod %s of %s, which no longer exists", pod.Name, name)
			must(k.world.store.remove(refOf(pod), nil, true))
		case node != nil && outOfService(node) && !k.runs(name) && pod.DeletionTimestamp != nil:
			k.world.log("Kubernetes deletes Pod %s of %s, which is out of service", pod.Name, name)
			must(k.world.store.remove(refOf(pod), nil, true))
		}
	}
}

func outOfService(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return t.Key == corev1.TaintNodeOutOfService
	})
}

// removeNode takes a machine away for good, with its disks.
func (k *kube) removeNode(name string) {
	k.world.log("%s is taken away with its disks", name)
	k.stopAll(name)
	k.world.store.drop(ref{kind: "Node", name: name})
	k.nodes = slices.DeleteFunc(slices.Clone(k.nodes), func(n string) bool { return n == name })
	k.goneSince[name] = k.world.now
	for _, d := range k.disks {
		if d.node == name {
			d.lose()
		}
	}
}

func (k *kube) addNode(name string) {
	k.nodes = append(k.nodes, name)
	must(k.world.store.create(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: cpuOf(name), corev1.ResourceMemory: resource.MustParse("32Gi"),
		}},
	}))
}

// stopAll ends all processes on the node at once.
func (k *kube) stopAll(node string) {
	for _, pod := range k.podsOf(node) {
		k.world.etcd.Stop(string(pod.UID))
	}
}

// taintOutOfService vouches that a node is off, which it is, or ends that.
func (k *kube) taintOutOfService(name string, off bool) {
	node := k.node(name)
	if node == nil || outOfService(node) == off || off && !k.down[name] {
		return
	}
	k.world.log("an administrator taints %s as out of service: %t", name, off)
	node.Spec.Taints = nil
	if off {
		node.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
	}
	k.world.store.put(node)
}

// cordon keeps new Pods away from the node, or ends that.
func (k *kube) cordon(name string, on bool) {
	node := k.node(name)
	if node == nil || node.Spec.Unschedulable == on {
		return
	}
	k.world.log("an administrator cordons %s: %t", name, on)
	node.Spec.Unschedulable = on
	k.world.store.put(node)
}

func (k *kube) schedulable(name string) bool {
	node := k.node(name)
	return node != nil && !k.down[name] && !node.Spec.Unschedulable && !outOfService(node)
}

// powerOff ends everything on the node at once.
func (k *kube) powerOff(node string) {
	k.world.log("%s loses power", node)
	k.down[node] = true
	k.stopAll(node)
}

// powerOn boots the node: what runs ends, containers start again, volumes are as they were; what was ephemeral stays
// with its Pod (an emptyDir on disk survives a reboot).
func (k *kube) powerOn(node string) {
	k.world.log("%s boots", node)
	delete(k.down, node)
	k.stopAll(node)
	for _, pod := range k.podsOf(node) {
		c := k.containers[pod.UID]
		if c == nil {
			continue
		}
		c.files = nil // everything is mounted anew after a boot
		if c.started {
			c.end(k.world.now, 255, "")
			c.wait = 0
		}
	}
}
