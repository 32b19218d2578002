package observe

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestASourceWithoutTheLabelIsReadLive(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), statetest.Now)
	label := func(s *corev1.Secret) { s.Labels = map[string]string{resources.LabelCluster: "demo"} }
	sources := []string{"my-peer", "my-server", "my-client"}
	for name, tc := range map[string]struct {
		change  []func(client.Object) client.Object
		live    []string
		problem string
	}{
		"none has the label": {nil, sources, ""},
		"all have it": {[]func(client.Object) client.Object{
			kubetest.Changing("my-peer", label), kubetest.Changing("my-server", label), kubetest.Changing("my-client", label),
		}, nil, ""},
		"one has it": {
			[]func(client.Object) client.Object{kubetest.Changing("my-server", label)}, []string{"my-peer", "my-client"}, "",
		},
		"one is not there": {
			[]func(client.Object) client.Object{kubetest.Without("my-peer")}, sources, "Secret my-peer does not exist",
		},
		"one is damaged": {
			[]func(client.Object) client.Object{kubetest.Changing("my-peer", keyLost)}, sources, "Secret my-peer: lacks the key tls.key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := kubetest.New(t, kept.Objects(tc.change...)...)
			live := &counted{Reader: api}
			got, err := tlsObserver(live).Observe(t.Context(), labelled{Reader: api}, kept.Cluster)
			if err != nil {
				t.Fatal(err)
			}
			seen := slices.Compact(slices.Sorted(slices.Values(live.secrets)))
			if diff := cmp.Diff(slices.Sorted(slices.Values(tc.live)), seen); diff != "" && len(tc.live)+len(seen) > 0 {
				t.Errorf("Secrets that were read live (-want +got):\n%s", diff)
			}
			for _, name := range state.CertificateNames() {
				want := ""
				if name == state.PeerCertificate {
					want = tc.problem
				}
				if source := got.TLS.Certificates[name].Source; source == nil || source.Problem != want {
					t.Errorf("the source of the %s certificate is %+v, want problem %q", name, source, want)
				}
			}
		})
	}
}

// A source that cannot be read must not pass for one that is gone.
func TestKubernetesErrorsAreTold(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSSecrets), statetest.Now)
	api := kubetest.New(t, kept.Objects()...)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "my-peer", errors.New("no right"))
	_, err := tlsObserver(&counted{Reader: api, err: forbidden}).Observe(t.Context(), labelled{Reader: api}, kept.Cluster)
	if !errors.Is(err, forbidden) || !strings.Contains(err.Error(), "my-peer") {
		t.Errorf("a source that must not be read: error %v", err)
	}
	_, err = tlsObserver(api).Observe(t.Context(), labelled{Reader: api, listErr: forbidden}, kept.Cluster)
	if !errors.Is(err, forbidden) {
		t.Errorf("Secrets that must not be listed: error %v", err)
	}
}
