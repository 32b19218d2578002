package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// The kinds of cert-manager are not known to this API server.
func TestAMissingCertManagerIsTold(t *testing.T) {
	stored := createCluster(t, newNamespace(t), "demo", `{tls: {mode: CertManager, `+issuers+`}}`)
	cluster := &v1alpha1.EtcdCluster{}
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), cluster); err != nil {
		t.Fatalf("read the cluster: %v", err)
	}
	executor := &act.Executor{
		Client: server.Client, Live: server.Client, Expect: act.NewExpectations(server.Client, server.Client, time.Now),
	}
	err := executor.Do(t.Context(), &state.Cluster{Object: cluster, TLS: &state.TLS{}}, plan.RequestCertificates{})
	if !errors.Is(err, act.ErrConflict) || !strings.Contains(err.Error(), "cert-manager is not installed: install it, or choose another tls.mode") {
		t.Errorf("got error %v, want one that tells to install cert-manager", err)
	}
}
