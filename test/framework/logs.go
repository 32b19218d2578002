package framework

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Log is what the members of a cluster log that is of interest. It is followed from the start of each process, so that
// the logs of Pods that are replaced meanwhile count as well.
type Log struct {
	members *Members
	words   []string
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu        sync.Mutex
	processes map[string]bool
	lines     []string
}

// Log starts to follow the logs of all members; only lines that contain one of the words are kept.
func (m *Members) Log(ctx context.Context, words ...string) *Log {
	ctx, stop := context.WithCancel(ctx)
	l := &Log{members: m, words: words, stop: stop, processes: map[string]bool{}}
	l.done.Go(func() { l.run(ctx) })
	return l
}

// Lines are those so far, each with the name of its member in front.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// Processes is how many processes were seen so far.
func (l *Log) Processes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.processes)
}

// Stop ends the following. It may be called more than once.
func (l *Log) Stop() {
	l.stop()
	l.done.Wait()
}

func (l *Log) run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		pods, err := l.members.Pods(ctx)
		if err == nil { // else the next look finds them
			l.followAll(ctx, pods)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (l *Log) followAll(ctx context.Context, pods []corev1.Pod) {
	for _, p := range pods {
		for _, s := range p.Status.ContainerStatuses {
			process := fmt.Sprintf("%s/%d", p.UID, s.RestartCount)
			if s.State.Running != nil && l.isNew(process) {
				l.done.Go(func() { l.follow(ctx, &p, s.Name) })
			}
		}
	}
}

func (l *Log) isNew(process string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.processes[process]
	l.processes[process] = true
	return !known
}

func (l *Log) follow(ctx context.Context, pod *corev1.Pod, container string) {
	log, err := l.members.env.Clientset.CoreV1().Pods(pod.Namespace).
		GetLogs(pod.Name, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.add(fmt.Sprintf("%s: its log cannot be followed: %v", pod.Name, err))
		}
		return
	}
	defer func() { _ = log.Close() }()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if slices.ContainsFunc(l.words, func(word string) bool { return strings.Contains(line, word) }) {
			l.add(pod.Name + ": " + line)
		}
	}
}

func (l *Log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}
