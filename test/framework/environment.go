package framework

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Environment is a Kubernetes that answers.
type Environment struct {
	*Kube
	// Client reads and writes without a cache.
	Client client.Client
	// Clientset is for what Client cannot do: logs, and the scale subresource.
	Clientset kubernetes.Interface
	Config    *rest.Config
}

// Connect returns clients for the Kubernetes of the provider, which must be up.
func (k *Kube) Connect(ctx context.Context) (*Environment, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if file := k.Kubeconfig(); file != "" {
		rules.ExplicitPath = file
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find Kubernetes (\"make kube-up\" starts one): %w", err)
	}
	// Tests run many clusters at once and must not wait for one another on the client's side.
	config.QPS, config.Burst = 200, 400
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("set up the clients: %w", err)
		}
	}
	e := &Environment{Kube: k, Config: config}
	if e.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	if e.Clientset, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	if _, err := e.Clientset.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return nil, fmt.Errorf("kubernetes at %s does not answer (\"make kube-up\" starts one): %w", config.Host, err)
	}
	return e, nil
}
