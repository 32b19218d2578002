package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/test/framework"
)

// machine is what the figures were measured on.
type machine struct {
	Cores      int     `json:"cores"`
	MemoryGiB  float64 `json:"memoryGiB"`
	System     string  `json:"system"`
	Kernel     string  `json:"kernel"`
	Kubernetes string  `json:"kubernetes"`
	Nodes      int     `json:"nodes"`
	// Operator is the image of the operator.
	Operator string `json:"operator"`
	// Load is the average number of processes that ran or wanted to in the minute before: that of an idle machine is
	// well below its cores.
	Load float64 `json:"loadBefore"`
}

func describeMachine(ctx context.Context, e *framework.Environment) (machine, error) {
	m := machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH}
	version, err := e.Clientset.Discovery().ServerVersion()
	if err != nil {
		return m, fmt.Errorf("ask for the version of Kubernetes: %w", err)
	}
	m.Kubernetes = version.GitVersion
	nodes, err := nodeNames(ctx, e)
	if err != nil {
		return m, err
	}
	m.Nodes = len(nodes)
	operator, err := operatorPod(ctx, e)
	if err != nil {
		return m, err
	}
	m.Operator = operator.Spec.Containers[0].Image
	for file, read := range map[string]func(string) error{
		"/proc/sys/kernel/osrelease": func(s string) error { m.Kernel = strings.TrimSpace(s); return nil },
		"/proc/loadavg": func(s string) (err error) {
			m.Load, err = strconv.ParseFloat(strings.Fields(s)[0], 64)
			return err
		},
		"/proc/meminfo": func(s string) error {
			var kilobytes float64
			_, err := fmt.Sscanf(s, "MemTotal: %f kB", &kilobytes)
			m.MemoryGiB = kilobytes / (1 << 20)
			return err
		},
	} {
		content, err := os.ReadFile(file) //nolint:gosec // one of the above
		if err == nil {
			err = read(string(content))
		}
		if err != nil {
			return m, fmt.Errorf("describe the machine by %s: %w", file, err)
		}
	}
	return m, nil
}

func nodeNames(ctx context.Context, e *framework.Environment) ([]string, error) {
	var nodes corev1.NodeList
	if err := e.Client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var names []string
	for _, n := range nodes.Items {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("kubernetes has no node")
	}
	return names, nil
}

// operatorPod is the one Pod of the operator.
func operatorPod(ctx context.Context, e *framework.Environment) (*corev1.Pod, error) {
	pods, err := e.OperatorPods(ctx)
	if err != nil {
		return nil, err
	}
	if len(pods) != 1 {
		return nil, fmt.Errorf("the operator has %d Pods; measure with one that is not being replaced", len(pods))
	}
	return &pods[0], nil
}
