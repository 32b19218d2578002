// Command quorate is a Kubernetes operator that runs highly available etcd clusters.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // users run the operator from a shell with any kubeconfig
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/controllers"
	"github.com/quorate/quorate/internal/etcd"
)

// defaultEtcdVersion is what a new cluster without spec.version gets. It is chosen once for each cluster.
const defaultEtcdVersion = "3.6.16"

// version is set at build time.
var version = "devel"

func main() {
	do, args := run, os.Args[1:]
	if len(args) > 0 && helpers[args[0]] != nil {
		do, args = helpers[args[0]], args[1:]
	}
	if err := do(ctrl.SetupSignalHandler(), args); err != nil {
		fmt.Fprintln(os.Stderr, "quorate:", err)
		os.Exit(1)
	}
}

type options struct {
	controllers.Options
	metricsAddress string
	metricsSecure  bool
	probeAddress   string
	leaderElect    bool
	leaseNamespace string
	namespaces     string
	log            zap.Options
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("quorate", flag.ContinueOnError)
	fs.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of the metrics endpoint; 0 turns it off")
	fs.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over HTTPS to authorised clients")
	fs.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	fs.BoolVar(&o.leaderElect, "leader-elect", false, "let only one of several operators act")
	fs.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "namespace of the Lease; default: the operator's own")
	fs.StringVar(&o.namespaces, "namespaces", os.Getenv("WATCH_NAMESPACE"),
		"comma-separated namespaces to watch; default: all (WATCH_NAMESPACE)")
	fs.StringVar(&o.DefaultVersion, "default-etcd-version", defaultEtcdVersion,
		"etcd version of new clusters without spec.version")
	fs.BoolVar(&o.Nodes, "nodes", true,
		"read nodes and PersistentVolumes, to tell a failed node from a deleted Pod and repair it; needs a ClusterRole")
	fs.StringVar(&o.OperatorImage, "image", "",
		"image of this operator, which reads the members' volumes when a quorum is lost; default: that of its own Pod")
	fs.IntVar(&o.Workers, "workers", 8, "clusters that are reconciled at the same time")
	o.log.BindFlags(fs)
	if err := fs.Parse(args); err != nil {
		return o, fmt.Errorf("flags: %w", err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q: quorate takes flags only", fs.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.log)))
	ctrl.Log.Info("Starting", "version", version, "defaultEtcdVersion", o.DefaultVersion)
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the Kubernetes API: %w", err)
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o))
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	if o.OperatorImage == "" {
		if o.OperatorImage, err = ownImage(ctx, mgr.GetAPIReader()); err != nil {
			return err
		}
	}
	credentials := &etcd.Credentials{}
	pool := etcd.NewPool(etcd.PoolOptions{Credentials: credentials.Config})
	defer pool.Close()
	if err := controllers.SetupWithManager(mgr, pool, credentials, o.Options); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// ownImage is the image of the container that this program runs in; empty when it does not run in a Pod, or may not
// read it. The variables come from the Pod itself (config/manager). It is asked for once, so any other error ends the
// program, which the kubelet starts again.
func ownImage(ctx context.Context, reader client.Reader) (string, error) {
	key := client.ObjectKey{Namespace: os.Getenv("POD_NAMESPACE"), Name: os.Getenv("POD_NAME")}
	if key.Name == "" {
		return "", nil
	}
	var pod corev1.Pod
	err := reader.Get(ctx, key, &pod)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return "", fmt.Errorf("read the operator's own Pod %s: %w", key, err)
	}
	for _, container := range pod.Spec.Containers {
		if container.Name == os.Getenv("CONTAINER_NAME") {
			return container.Image, nil
		}
	}
	ctrl.Log.Info("The operator's own image is not known: a lost quorum can be reported, but not examined", "cause", err)
	return "", nil
}

func managerOptions(o options) ctrl.Options {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two kinds of one name: a programming error
		}
	}
	var namespaces []string
	for _, ns := range strings.Split(o.namespaces, ",") {
		if ns = strings.TrimSpace(ns); ns != "" {
			namespaces = append(namespaces, ns)
		}
	}
	m := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	grace := 20 * time.Second
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(namespaces),
		Metrics:                       m,
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "quorate.quorate.dev",
		LeaderElectionNamespace:       o.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
	}
}
