// Command cert-manager runs cert-manager's own controllers for issuers of the types SelfSigned and CA, and for
// Certificates. cert-manager's programs are in modules that are not published, so this is a small one over its library.
//
// Compared with a release it lacks issuers of other types, Ingress and Gateway shims, leader election (run one
// replica), the webhook (so objects are checked by the CRDs' schemas only) and the CA injector.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/logs"

	// Each of these registers itself.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

const (
	readinessAddress = ":9403"
	shutdownTimeout  = 5 * time.Second
	// workersPerController is the default of cert-manager's numberOfConcurrentWorkers.
	workersPerController = 5
)

func main() {
	klog.InitFlags(nil)
	flag.Parse()
	logs.InitLogs()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	logs.FlushLogs()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cert-manager:", err)
		os.Exit(1)
	}
}

// run returns when ctx ends or one of the controllers fails.
func run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	namespace := os.Getenv("POD_NAMESPACE")
	if namespace == "" {
		return errors.New("POD_NAMESPACE is not set: it names the namespace with the Secrets of ClusterIssuers")
	}
	factory, err := controller.NewContextFactory(ctx, options(namespace))
	if err != nil {
		return fmt.Errorf("connect to Kubernetes: %w", err)
	}
	shared, err := factory.Build()
	if err != nil {
		return fmt.Errorf("connect to Kubernetes: %w", err)
	}
	constructors := controller.Known()
	for _, name := range slices.Sorted(maps.Keys(constructors)) {
		built, err := constructors[name](factory)
		if err != nil {
			return fmt.Errorf("set up controller %s: %w", name, err)
		}
		group.Go(func() error {
			if err := built.Run(workersPerController, ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("controller %s: %w", name, err)
			}
			return nil
		})
	}
	// Informers exist only once their controllers are set up, so this comes last.
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	group.Go(func() error { return serveReadiness(ctx, shared) })
	return group.Wait()
}

// options are the defaults of cert-manager's flags, as far as these controllers look at them.
func options(namespace string) controller.ContextOptions {
	return controller.ContextOptions{
		KubernetesAPIQPS: 20, KubernetesAPIBurst: 50,
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: namespace},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes: []string{
				"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/",
			},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	}
}

// serveReadiness answers /readyz with 200 once all that the controllers watch is known.
func serveReadiness(ctx context.Context, shared *controller.Context) error {
	var synced atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !synced.Load() {
			http.Error(w, "caches are not filled yet", http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: readinessAddress, Handler: mux, ReadHeaderTimeout: shutdownTimeout}
	go func() {
		shared.SharedInformerFactory.WaitForCacheSync(ctx.Done())
		shared.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done())
		synced.Store(ctx.Err() == nil)
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(ending)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve readiness: %w", err)
	}
	return nil
}
