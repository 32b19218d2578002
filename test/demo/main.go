// Command demo shows on a real Kubernetes what Quorate does: a cluster of etcd becomes quorate, is written to and read
// from, grows, and loses its leader without losing data. It runs what a person would type and shows each command.
//
//	go run ./test/demo                     on a Kubernetes that it starts on this machine when none is there
//	PROVIDER=current go run ./test/demo    on the Kubernetes of the current kubeconfig
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit is for the whole demo; compiling Kubernetes, once on a machine, takes most of it.
const limit = 45 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := run(ctx)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}
