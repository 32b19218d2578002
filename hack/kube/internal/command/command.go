// Package command runs the few host programs that the local Kubernetes needs (ip, nsenter, ctr, mkfs.xfs, ...).
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// Run executes a program and returns an error that holds what it printed when it fails.
func Run(ctx context.Context, argv ...string) error {
	_, err := run(ctx, nil, argv)
	return err
}

// Output is Run that returns standard output.
func Output(ctx context.Context, argv ...string) ([]byte, error) {
	return run(ctx, nil, argv)
}

// RunWithInput is Run with a standard input.
func RunWithInput(ctx context.Context, input io.Reader, argv ...string) error {
	_, err := run(ctx, input, argv)
	return err
}

// InNetNS prefixes a command so that it runs in the network namespace pinned to file. nsenter is used because
// "ip netns exec" remounts /sys and hides the cgroup mounts.
func InNetNS(file string, argv ...string) []string {
	return append([]string{"nsenter", "--net=" + file, "--"}, argv...)
}

func run(ctx context.Context, input io.Reader, argv []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	// What is killed in the middle must not leave a helper behind that goes on changing things.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(stderr.String())
		if text == "" {
			text = strings.TrimSpace(stdout.String())
		}
		return stdout.Bytes(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, text)
	}
	return stdout.Bytes(), nil
}
