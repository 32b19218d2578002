package framework

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Diagnose tells all that explains why the clusters of a namespace are as they are: objects, status, events, the end of
// the logs of members that are not ready, and what the operator logged about the namespace.
func (e *Environment) Diagnose(ctx context.Context, namespace string) string {
	var b strings.Builder
	section := func(title, text string, err error) {
		fmt.Fprintf(&b, "--- %s\n%s\n", title, strings.TrimRight(text, "\n"))
		if err != nil {
			fmt.Fprintf(&b, "(%v)\n", err)
		}
	}
	kubectl := func(title string, args ...string) {
		out, err := e.quiet().Run(ctx, e.Kubectl(append([]string{"-n", namespace}, args...)...)...)
		section(title, last(out, 200), err)
	}
	kubectl("objects", "get", "etcd,pods,pvc,services,pdb,configmaps", "-o", "wide")
	kubectl("status", "get", "etcd", "-o", "yaml")
	kubectl("events", "get", "events", "--sort-by=.lastTimestamp")
	e.memberLogs(ctx, namespace, kubectl)
	section("operator log", e.OperatorLog(ctx, namespace, 60), nil)
	return b.String()
}

// quiet is the same without a log of commands.
func (e *Environment) quiet() *Kube {
	k := *e.Kube
	k.Log = nil
	return &k
}

func (e *Environment) memberLogs(ctx context.Context, namespace string, kubectl func(title string, args ...string)) {
	pods, err := e.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return // the objects above have told it already
	}
	for _, p := range pods.Items {
		if PodReady(&p) {
			continue
		}
		kubectl("log of "+p.Name, "logs", p.Name, "--tail=15")
		for _, s := range p.Status.ContainerStatuses {
			if s.RestartCount > 0 {
				kubectl("log of "+p.Name+" before its restart", "logs", p.Name, "--previous", "--tail=15")
			}
		}
	}
}

// last is the end of a text, at most so many lines.
func last(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
