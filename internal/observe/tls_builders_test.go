package observe

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// labelled is a cache of the API: it shows only what carries the label of a cluster.
type labelled struct {
	client.Reader
	listErr error
}

func (r labelled) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, into, opts...)
	if err == nil && into.GetLabels()[resources.LabelCluster] == "" {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	return err
}

func (r labelled) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	if _, secrets := into.(*corev1.SecretList); secrets && r.listErr != nil {
		return r.listErr
	}
	return r.Reader.List(ctx, into, opts...)
}

// counted counts what is read live, and may refuse it.
type counted struct {
	client.Reader
	secrets []string
	err     error
}

func (r *counted) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if _, secret := into.(*corev1.Secret); secret {
		r.secrets = append(r.secrets, key.Name)
		if r.err != nil {
			return r.err
		}
	}
	return r.Reader.Get(ctx, key, into, opts...)
}

// tlsObserver observes through a cache of the API.
func tlsObserver(live client.Reader) *Observer {
	return &Observer{
		Etcd: clientsByPod{}, Now: func() time.Time { return statetest.Now }, DefaultVersion: statetest.Version, Live: live,
		Credentials: &etcd.Credentials{},
		Handshake: func(context.Context, string, *tls.Certificate) (string, error) {
			return "", errors.New("nobody is there")
		},
	}
}

func observedTLS(t *testing.T, c *v1alpha1.EtcdCluster, objects []client.Object) *state.TLS {
	t.Helper()
	api := kubetest.New(t, objects...)
	observed, err := tlsObserver(api).Observe(t.Context(), labelled{Reader: api}, c)
	if err != nil {
		t.Fatal(err)
	}
	return observed.TLS
}

// somebodyElses makes another object the controller of the Secret.
func somebodyElses(s *corev1.Secret) {
	s.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "uid-x", Controller: new(true)},
	}
}

func ownerless(s *corev1.Secret) { s.OwnerReferences = nil }

func unlabelled(s *corev1.Secret) { s.Labels = nil }

func beingDeleted(s *corev1.Secret) {
	s.Finalizers, s.DeletionTimestamp = []string{"example.com/hold"}, &metav1.Time{Time: statetest.Now}
}

func keyLost(s *corev1.Secret) { delete(s.Data, "tls.key") }

func garbage(key string) func(*corev1.Secret) {
	return func(s *corev1.Secret) { s.Data[key] = []byte("garbage") }
}

func requireCertificate(t *testing.T, what string, held *tls.Certificate, want pki.Pair) {
	t.Helper()
	if len(held.Certificate) != 1 || !slices.Equal(held.Certificate[0], pkitest.Certificate(t, want).Raw) {
		t.Errorf("%s another certificate is in use (chain of %d)", what, len(held.Certificate))
	}
}
