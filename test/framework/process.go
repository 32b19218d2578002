package framework

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// KillEtcd kills the etcd process of a member Pod, as the out-of-memory killer would. It works only when the nodes run
// on this machine.
func KillEtcd(pod *corev1.Pod) error {
	pid, err := etcdProcess(pod)
	if err != nil {
		return fmt.Errorf("kill etcd of Pod %s: %w", pod.Name, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill etcd of Pod %s, process %d: %w", pod.Name, pid, err)
	}
	return nil
}

// etcdProcess finds the process by its name and by the cgroup that the kubelet names for the Pod's UID.
func etcdProcess(pod *corev1.Pod) (int, error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range processes {
		name, _ := os.ReadFile(filepath.Join(dir, "comm")) // a process that has ended meanwhile is not the one
		cgroup, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		groups := strings.ReplaceAll(string(cgroup), "_", "-") // the systemd driver writes the UID with underscores
		if strings.TrimSpace(string(name)) == "etcd" && strings.Contains(groups, string(pod.UID)) {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, errors.New("no such process runs on this machine")
}
