package sim

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/etcd"
)

// checkExit: no member runs an etcd that cannot read its log.
func (w *world) checkExit(pod *corev1.Pod, state etcd.ProcessState) {
	if !state.Running && strings.Contains(state.Message, "unmarshal should never fail") && !w.discarded[state.ClusterID] {
		w.fail("%s ends on a log that it cannot read: %s", pod.Name, state.Message)
	}
}
