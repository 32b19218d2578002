// Command kube runs a real multi-node Kubernetes on one Linux machine, without a container engine or a registry.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/quorate/quorate/hack/kube/internal/cli"
	"github.com/quorate/quorate/hack/kube/internal/process"
)

func main() {
	// Before anything else: a process that is being launched is to become another program, not to parse flags.
	if len(os.Args) > 2 && os.Args[1] == process.LaunchCommand {
		fail(process.Launch(os.Args[2], os.Args[3:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := cli.New(os.Stdout).ExecuteContext(ctx); err != nil {
		stop()
		fail(err)
	}
}

func fail(err error) {
	_, _ = fmt.Fprintln(os.Stderr, "kube:", err)
	os.Exit(1)
}
