package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
)

// ours marks the namespaces of this program.
var ours = client.MatchingLabels{"quorate.dev/test": "bench"}

// createNamespace makes a namespace in which Pods can be created at once: the service account that every Pod gets, and
// the ConfigMap that is mounted with it, come from controllers.
func createNamespace(ctx context.Context, e *framework.Environment, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}}
	for key, value := range ours {
		ns.Labels[key] = value
	}
	if err := e.Client.Create(ctx, ns); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return repeat(ctx, "prepare namespace "+name, func(ctx context.Context) error {
		account := client.ObjectKey{Namespace: name, Name: "default"}
		if err := e.Client.Get(ctx, account, &corev1.ServiceAccount{}); err != nil {
			return err
		}
		root := client.ObjectKey{Namespace: name, Name: "kube-root-ca.crt"}
		return e.Client.Get(ctx, root, &corev1.ConfigMap{})
	})
}

// removeNamespaces deletes all namespaces of this program, and waits until they and their volumes are gone. It works
// also when ctx was cancelled.
func removeNamespaces(ctx context.Context, e *framework.Environment) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return framework.Eventually(ctx, func(ctx context.Context) string {
		var list corev1.NamespaceList
		if err := e.Client.List(ctx, &list, ours); err != nil {
			return "the namespaces cannot be listed: " + err.Error()
		}
		for i := range list.Items {
			ns := &list.Items[i]
			if ns.DeletionTimestamp.IsZero() {
				if err := client.IgnoreNotFound(e.Client.Delete(ctx, ns)); err != nil {
					return "delete namespace " + ns.Name + ": " + err.Error()
				}
			}
		}
		if len(list.Items) > 0 {
			return fmt.Sprintf("%d namespaces of the benchmark are being deleted", len(list.Items))
		}
		return releasedVolumes(ctx, e)
	})
}

// releasedVolumes tells of volumes that outlived their claims: their deletion would disturb the next measurement.
func releasedVolumes(ctx context.Context, e *framework.Environment) string {
	var volumes corev1.PersistentVolumeList
	if err := e.Client.List(ctx, &volumes); err != nil {
		return "the volumes cannot be listed: " + err.Error()
	}
	for _, v := range volumes.Items {
		if c := v.Spec.ClaimRef; c != nil && isOurs(c.Namespace) &&
			v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			return "volume " + v.Name + " is being deleted"
		}
	}
	return ""
}

const namespacePrefix = "quorate-bench-"

func isOurs(namespace string) bool { return strings.HasPrefix(namespace, namespacePrefix) }

func newNamespaceName() string { return namespacePrefix + uuid.NewString()[:8] }
