//go:build e2e

package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestAClusterInPlainTextIsCreatedScaledAndHealed(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, withTLS(mode(v1alpha1.TLSDisabled))))
	obj := c.ready()
	for _, endpoint := range obj.Status.Endpoints {
		if !strings.HasPrefix(endpoint, "http://") {
			t.Errorf("the endpoint %s is not plain HTTP", endpoint)
		}
	}
	if obj.Status.TLS != nil {
		t.Errorf("the status tells of certificates: %v", obj.Status.TLS)
	}
	var secrets corev1.SecretList
	c.must(c.Client.List(c.ctx, &secrets, client.InNamespace(c.namespace)))
	if len(secrets.Items) > 0 {
		t.Errorf("there are %d Secrets, want none", len(secrets.Items))
	}
	w := c.write()
	c.scale(3)
	c.ready()
	ids := c.ids()
	w.goesOn()

	for name, member := range map[string]string{"a follower": c.follower(), "the leader": c.leader()} {
		old := c.pod(member)
		c.deletePod(member, 0)
		c.replaced(old)
		t.Logf("%s is back", name)
		w.goesOn()
	}
	c.sameMembers(ids)
	if got := c.etcdctl("demo-1", "get", "/", "--prefix", "--keys-only"); !strings.Contains(got, w.writer.Prefix()) {
		t.Errorf("etcdctl in demo-1 does not see what was written:\n%s", got)
	}
	c.scale(1)
	c.ready()
	w.goesOn()
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestAClusterMovesNeitherToNorFromPlainText(t *testing.T) {
	managed := func(s *v1alpha1.EtcdClusterSpec) { s.TLS = nil }
	tests := map[string]struct {
		was, other func(*v1alpha1.EtcdClusterSpec)
		patch      string
		refusal    string
	}{
		"from plain text": {
			was: withTLS(mode(v1alpha1.TLSDisabled)), other: managed,
			patch:   `{"spec":{"tls":{"mode":"Managed"}}}`,
			refusal: "this cluster's data was made without TLS: set tls.mode to Disabled",
		},
		"to plain text": {
			was: managed, other: withTLS(mode(v1alpha1.TLSDisabled)),
			patch:   `{"spec":{"tls":{"mode":"Disabled"}}}`,
			refusal: "this cluster's data was made with TLS: remove tls.mode Disabled",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(3, test.was))
			before := c.ready()
			d := c.fill()
			_, err := c.tryKubectl("patch", "etcd", "demo", "--type=merge", "-p", test.patch)
			if err == nil || !strings.Contains(err.Error(), "Disabled") {
				t.Errorf("kubectl patch gives\n%v\nwant a refusal that speaks of Disabled", err)
			}
			c.delete()
			c.onlyLeft(map[string]int{"PersistentVolumeClaim": 3, "ConfigMap": 1})

			c.createAgain(spec(3, test.other))
			obj := c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
			if status := framework.ShortStatus(obj); !strings.Contains(status, test.refusal) {
				t.Errorf("the status does not say %q: %s", test.refusal, status)
			}
			pods, err := c.members.Pods(c.ctx)
			c.must(err)
			if len(pods) > 0 {
				t.Errorf("%d Pods were started in a mode that is refused", len(pods))
			}
			c.delete()
			c.onlyLeft(map[string]int{"PersistentVolumeClaim": 3, "ConfigMap": 1})

			c.createAgain(spec(3, test.was))
			after := c.ready()
			if got, want := ptr.Deref(after.Status.ClusterID, ""), ptr.Deref(before.Status.ClusterID, ""); got != want {
				t.Errorf("the cluster ID is %s, want %s as before", got, want)
			}
			c.holds(d)
		})
	}
}
