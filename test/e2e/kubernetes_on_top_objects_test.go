//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// populate creates objects of many kinds, and waits until kube-controller-manager has made of them what it should.
func (k *onTop) populate() {
	k.t.Helper()
	c, err := client.New(k.plane.Config(), client.Options{Scheme: k.Client.Scheme()})
	k.must(err)
	const namespace = "shop"
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	read := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}}
	reader := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "reader"}}
	role := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: "reader"}
	}
	container := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "localhost:1/app"}}}
	app := map[string]string{"app": "shop"}
	onNode := container
	onNode.NodeName = "node-1"
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: named("reader")},
		&rbacv1.Role{ObjectMeta: named("reader"), Rules: read},
		&rbacv1.RoleBinding{ObjectMeta: named("reader"), Subjects: reader, RoleRef: role("Role")},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: read},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Subjects: reader, RoleRef: role("ClusterRole")},
		&corev1.Secret{ObjectMeta: named("password"), StringData: map[string]string{"password": "secret"}},
	}
	for i := range 5 {
		objects = append(objects,
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}},
			&corev1.ConfigMap{ObjectMeta: named(fmt.Sprintf("settings-%d", i)), Data: map[string]string{"number": fmt.Sprint(i)}})
	}
	for _, obj := range objects {
		k.must(c.Create(k.ctx, obj))
	}
	// Pods are admitted once kube-controller-manager has made their service account.
	k.eventually("waiting for the namespace's service account", time.Minute, func(ctx context.Context) string {
		return errorText(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{}))
	})
	k.must(c.Create(k.ctx, &corev1.Pod{ObjectMeta: named("on-a-node"), Spec: onNode}))
	deployment := &appsv1.Deployment{ObjectMeta: named("shop"), Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](10), Selector: &metav1.LabelSelector{MatchLabels: app},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: container},
	}}
	k.must(c.Create(k.ctx, deployment))
	k.eventually("waiting for the Pods of a Deployment", time.Minute, func(ctx context.Context) string {
		if err := c.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
			return err.Error()
		}
		if deployment.Status.Replicas != 10 {
			return fmt.Sprintf("it has %d, want 10", deployment.Status.Replicas)
		}
		return ""
	})
	k.canRead(c, namespace)
}

// canRead checks that the bound service account may do what its role says, which the API server looks up in etcd.
func (k *onTop) canRead(c client.Client, namespace string) {
	k.t.Helper()
	token, err := k.clientset.CoreV1().ServiceAccounts(namespace).CreateToken(k.ctx, "reader",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	k.must(err)
	config := k.plane.Config()
	config.BearerToken = token.Status.Token
	as, err := client.New(config, client.Options{Scheme: c.Scheme()})
	k.must(err)
	var list corev1.ConfigMapList
	k.eventually("reading as a service account", 30*time.Second, func(ctx context.Context) string {
		return errorText(as.List(ctx, &list, client.InNamespace(namespace)))
	})
	if len(list.Items) < 5 {
		k.t.Errorf("the service account lists %d ConfigMaps, want those 5 that were created and more", len(list.Items))
	}
	if err := as.List(k.ctx, &corev1.SecretList{}, client.InNamespace(namespace)); err == nil {
		k.t.Error("the service account lists Secrets, which no role allows")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
