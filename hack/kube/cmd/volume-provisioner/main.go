// Command volume-provisioner provisions and expands local XFS volumes for the PersistentVolumeClaims of the local
// Kubernetes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/quorate/quorate/hack/kube/internal/storage"
	"github.com/quorate/quorate/hack/kube/internal/volume"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of the cluster")
	disks := flag.String("disks", "", "directory for the files behind the volumes")
	mounts := flag.String("mounts", "", "directory below which volumes are mounted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, volume.Store{Disks: *disks, Mounts: *mounts}); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "volume-provisioner:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string, store volume.Store) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	provisioner := controller.NewProvisionController(
		ctx, client, storage.ProvisionerName, storage.Provisioner{Store: store},
		controller.LeaderElection(false),
		controller.Threadiness(16),
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](
			100*time.Millisecond, 5*time.Second)),
	)
	resizer := &storage.Resizer{Client: client, Grow: store.Grow}
	resized := make(chan error, 1)
	go func() { resized <- resizer.Run(ctx) }()
	provisioner.Run(ctx)
	return <-resized
}
