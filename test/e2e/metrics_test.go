//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ports of the operator, as its Deployment names them.
const (
	metricsPort = 8443
	healthPort  = 8081
)

// fetch gets a page of the operator; the token may be empty. The operator's certificate is its own.
func (w *world) fetch(url, token string) (int, string) {
	w.t.Helper()
	ctx, cancel := w.within(15 * time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	w.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	response, err := c.Do(request)
	w.must(err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.must(err)
	return response.StatusCode, string(body)
}

// token is one of a new service account.
func (w *world) token(account string) string {
	w.t.Helper()
	accounts := w.Clientset.CoreV1().ServiceAccounts(w.namespace)
	_, err := accounts.Create(w.ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	w.must(err)
	request, err := accounts.CreateToken(w.ctx, account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	w.must(err)
	return request.Status.Token
}

// operatorAddress is where a port of the operator can be reached from here.
func (w *world) operatorAddress(port int) string {
	w.t.Helper()
	pods, err := w.OperatorPods(w.ctx)
	w.must(err)
	if len(pods) != 1 {
		w.t.Fatalf("there are %d operator Pods, want one", len(pods))
	}
	address, stop, err := w.Reach(w.ctx, &pods[0], port)
	w.must(err)
	w.t.Cleanup(stop)
	return address
}

func TestMetricsAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("demo", spec(1))
	c.ready()
	url := "https://" + w.operatorAddress(metricsPort) + "/metrics"
	stranger, reader := w.token("stranger"), w.token("reader")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "quorate-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "reader", Namespace: w.namespace}},
	}
	w.must(w.Client.Create(w.ctx, binding))
	t.Cleanup(func() { _ = w.Client.Delete(context.Background(), binding) })

	if code, _ := w.fetch(url, ""); code != http.StatusUnauthorized {
		t.Errorf("an anonymous client gets %d, want %d", code, http.StatusUnauthorized)
	}
	if code, _ := w.fetch(url, stranger); code != http.StatusForbidden {
		t.Errorf("a client without the right gets %d, want %d", code, http.StatusForbidden)
	}
	series := fmt.Sprintf(`quorate_cluster_available{name="demo",namespace=%q} 1`, w.namespace)
	w.eventually("waiting for the metrics of the cluster", settle, func(context.Context) string {
		code, body := w.fetch(url, reader)
		if code != http.StatusOK || !strings.Contains(body, series) {
			return fmt.Sprintf("an authorised client gets %d without %s", code, series)
		}
		return ""
	})
	c.delete()
	w.eventually("waiting until the metrics of the deleted cluster are gone", settle, func(context.Context) string {
		if _, body := w.fetch(url, reader); strings.Contains(body, w.namespace) {
			return "there are still series of it"
		}
		return ""
	})
}

func TestTheOperatorTellsItsHealthAndRunsRestricted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.operatorAddress(healthPort)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := w.fetch("http://"+address+path, ""); code != http.StatusOK {
			t.Errorf("%s gives %d %q, want 200", path, code, body)
		}
	}
	// The API server itself checks a copy of the operator's Pod against the level that the test's namespace enforces.
	pods, err := w.OperatorPods(w.ctx)
	w.must(err)
	pod := pods[0].Spec.DeepCopy()
	pod.ServiceAccountName, pod.NodeName, pod.PriorityClassName, pod.Priority = "default", "", "", nil
	_, err = w.Clientset.CoreV1().Pods(w.namespace).Create(w.ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Spec: *pod,
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Errorf("the operator's Pod does not comply with the Pod Security level restricted: %v", err)
	}
}
