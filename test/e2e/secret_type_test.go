//go:build e2e

package e2e

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// A backup that is restored by hand may bring a Secret back with another type, which can never be changed.
func TestASecretThatCameBackWithAnotherTypeIsReplaced(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(true) })
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPaused)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.namespace, Name: resources.CertificateSecretName("demo", state.ClientCertificate),
	}}
	c.must(c.Client.Get(c.ctx, client.ObjectKeyFromObject(secret), secret))
	c.must(c.Client.Delete(c.ctx, secret))
	opaque := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: secret.Name, Labels: secret.Labels},
		Type:       corev1.SecretTypeOpaque,
	}
	c.must(c.Client.Create(c.ctx, opaque))
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Paused = nil })
	c.eventually("waiting until the Secret is usable again", settle, func(ctx context.Context) string {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			return err.Error()
		}
		if secret.Type != corev1.SecretTypeTLS || len(secret.Data[corev1.TLSCertKey]) == 0 {
			return "it is of type " + string(secret.Type)
		}
		return ""
	})
	c.ready()
	c.holds(c.fill())
}
