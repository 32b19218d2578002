//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestAuthenticationByCertificateLeavesTheOperatorIn(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	ids := c.ids()
	c.switchAuthOn()
	c.etcdctl("demo-0", "--user=root:secret", "put", "/of/root", "value")

	c.scale(3)
	c.await("waiting until the cluster is Ready", framework.Ready)
	c.everyMember(func(member string) {
		c.eventually("waiting until "+member+" holds what was written", settle, func(context.Context) string {
			got, err := c.tryKubectl("exec", member, "--", "etcdctl", "--user=root:secret", "get", "/of/root", "--print-value-only")
			if err != nil || strings.TrimSpace(got) != "value" {
				return fmt.Sprintf("it says %q (%v)", got, err)
			}
			return ""
		})
	})
	c.etcdctl("demo-2", "--user=root:secret", "auth", "disable")
	c.ready()
	if got := c.ids()["demo-0"]; got != ids["demo-0"] {
		t.Errorf("demo-0 is member %x, want %x as before", got, ids["demo-0"])
	}
}

func TestAuthenticationInPlainTextLocksTheOperatorOutAndItSaysSo(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, withTLS(mode(v1alpha1.TLSDisabled))))
	c.ready()
	d := c.fill()
	pod := c.pod("demo-0")
	c.switchAuthOn()
	c.scale(3)

	obj := c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAuthRequired)
	if status := framework.ShortStatus(obj); !strings.Contains(status, "etcdctl auth disable") {
		t.Errorf("the status does not tell what to do: %s", status)
	}
	c.event(v1alpha1.ReasonAuthRequired)
	if got := c.pod("demo-0"); got.UID != pod.UID {
		t.Error("the member was replaced although nothing can be known of it")
	}
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	if len(pods) != 1 {
		t.Errorf("there are %d Pods, want 1: nothing is to be changed", len(pods))
	}

	c.etcdctl("demo-0", "--user=root:secret", "auth", "disable")
	c.ready()
	c.holds(d)
}

// switchAuthOn makes the user root with the role root, and has etcd demand authentication.
func (c *cluster) switchAuthOn() {
	c.t.Helper()
	c.etcdctl("demo-0", "user", "add", "root:secret")
	c.etcdctl("demo-0", "user", "grant-role", "root", "root")
	c.etcdctl("demo-0", "auth", "enable")
}
