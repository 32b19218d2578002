package tenant

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
)

// published is an EtcdCluster and its client Secret.
type published struct {
	client.Reader
	cluster v1alpha1.EtcdCluster
	secret  corev1.Secret
}

func (p *published) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	switch into := obj.(type) {
	case *v1alpha1.EtcdCluster:
		p.cluster.DeepCopyInto(into)
	case *corev1.Secret:
		p.secret.DeepCopyInto(into)
	}
	return nil
}

func publish(endpoints ...string) *published {
	p := &published{}
	p.cluster.Status.Endpoints = endpoints
	p.cluster.Status.TLS = &v1alpha1.TLSStatus{ClientSecret: ptr.To("demo-client-tls")}
	p.secret = corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"},
		Data:       map[string][]byte{"ca.crt": []byte("ca"), "tls.crt": []byte("crt"), "tls.key": []byte("key")},
	}
	return p
}

var demo = types.NamespacedName{Namespace: "ns", Name: "demo"}

func TestFlagsFollowTheEndpoints(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		endpoints []string
		want      []string
	}{
		"https": {
			[]string{"https://demo-0.ns.svc:2379", "https://demo-1.ns.svc:2379"},
			[]string{
				"--etcd-servers=https://demo-0.ns.svc:2379,https://demo-1.ns.svc:2379",
				"--etcd-cafile=" + dir + "/current/ca.crt",
				"--etcd-certfile=" + dir + "/current/tls.crt",
				"--etcd-keyfile=" + dir + "/current/tls.key",
			},
		},
		"http": {[]string{"http://demo-0.ns.svc:2379"}, []string{"--etcd-servers=http://demo-0.ns.svc:2379"}},
	} {
		d, err := ReadDatastore(t.Context(), publish(test.endpoints...), demo, dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, d.APIServerFlags()); diff != "" {
			t.Errorf("%s: the flags differ (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsNotPublishedIsRefused(t *testing.T) {
	noSecret, noKey := publish("https://demo-0.ns.svc:2379"), publish("https://demo-0.ns.svc:2379")
	noSecret.cluster.Status.TLS = nil
	delete(noKey.secret.Data, "tls.key")
	for want, from := range map[string]*published{
		"status.endpoints is empty":       publish(),
		"status.endpoints mixes":          publish("https://demo-0.ns.svc:2379", "http://demo-1.ns.svc:2379"),
		"status.tls.clientSecret names":   noSecret,
		"ns/demo-client-tls has no tls.k": noKey,
	} {
		if _, err := ReadDatastore(t.Context(), from, demo, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

func TestFilesFollowTheSecret(t *testing.T) {
	from := publish("https://demo-0.ns.svc:2379")
	d, err := ReadDatastore(t.Context(), from, demo, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	from.secret.ResourceVersion, from.secret.Data["ca.crt"] = "2", []byte("old and new ca")
	for range 2 { // the second time nothing has changed
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"ca.crt": "old and new ca", "tls.crt": "crt", "tls.key": "key"} {
			if got, err := os.ReadFile(d.File(key)); err != nil || string(got) != want {
				t.Errorf("%s holds %q (%v), want %q", key, got, err, want)
			}
		}
	}
}
