//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

func TestReplicasAloneAreEnoughForACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("demo", v1alpha1.EtcdClusterSpec{Replicas: ptr.To[int32](3)})
	obj := c.ready()
	c.etcdctl("demo-0", "put", "/greeting", "hello")
	if got := c.etcdctl("demo-1", "get", "/", "--prefix", "--keys-only"); strings.TrimSpace(got) != "/greeting" {
		t.Errorf("etcdctl get / --prefix --keys-only prints %q, want /greeting", got)
	}
	for _, want := range []struct {
		kind, reason string
		status       metav1.ConditionStatus
	}{
		{v1alpha1.ConditionReady, v1alpha1.ReasonAsSpecified, metav1.ConditionTrue},
		{v1alpha1.ConditionAvailable, v1alpha1.ReasonQuorate, metav1.ConditionTrue},
		{v1alpha1.ConditionProgressing, v1alpha1.ReasonAsSpecified, metav1.ConditionFalse},
		{v1alpha1.ConditionDegraded, v1alpha1.ReasonAllMembersHealthy, metav1.ConditionFalse},
	} {
		c.condition(want.kind, want.status, want.reason)
	}
	if obj.Spec.Version != nil || ptr.Deref(obj.Status.Version, "") == "" {
		t.Errorf("spec.version is %v and status.version %v, want the spec untouched and a version chosen",
			obj.Spec.Version, obj.Status.Version)
	}
	c.showsColumns(obj)
	c.hasScaleSubresource(3)
	c.answersAtEndpoints(3)
	c.isProtectedFromEvictions(2)
	c.isSealed()
}

// showsColumns checks what kubectl get prints.
func (c *cluster) showsColumns(obj *v1alpha1.EtcdCluster) {
	c.t.Helper()
	lines := strings.Split(strings.TrimSpace(c.kubectl("get", "etcd", c.key.Name)), "\n")
	want := []string{"NAME READY REPLICAS QUORUM LEADER VERSION AGE", fmt.Sprintf("%s True %d %d/%d %s %s",
		c.key.Name, *obj.Status.Replicas, *obj.Status.Replicas, *obj.Status.Replicas, *obj.Status.Leader, *obj.Status.Version)}
	for i, line := range lines {
		if got := strings.Join(strings.Fields(line), " "); !strings.HasPrefix(got, want[i]) {
			c.t.Errorf("kubectl get etcd prints %q, want %q", got, want[i])
		}
	}
}

func (c *cluster) hasScaleSubresource(replicas int32) {
	c.t.Helper()
	path := fmt.Sprintf("/apis/quorate.dev/v1alpha1/namespaces/%s/etcdclusters/%s/scale", c.namespace, c.key.Name)
	var scale autoscalingv1.Scale
	c.must(json.Unmarshal([]byte(c.kubectl("get", "--raw", path)), &scale))
	if scale.Spec.Replicas != replicas || scale.Status.Replicas != replicas {
		c.t.Errorf("the scale subresource has spec %d, status %d, want %d", scale.Spec.Replicas, scale.Status.Replicas, replicas)
	}
	pods := strings.Fields(c.kubectl("get", "pods", "-l", scale.Status.Selector, "-o", "name"))
	if len(pods) != int(replicas) {
		c.t.Errorf("the selector %q of the scale subresource selects %v, want %d Pods", scale.Status.Selector, pods, replicas)
	}
}

// answersAtEndpoints reaches every status.endpoints and the client Service from inside the cluster's network.
func (c *cluster) answersAtEndpoints(members int) {
	c.t.Helper()
	endpoints := c.get().Status.Endpoints
	if len(endpoints) != members {
		c.t.Fatalf("status.endpoints is %v, want %d", endpoints, members)
	}
	scheme, _, _ := strings.Cut(endpoints[0], "//")
	endpoints = append(endpoints, fmt.Sprintf("%s//%s.%s.svc:%d",
		scheme, resources.ClientServiceName(c.key.Name), c.namespace, resources.ClientPort))
	for _, url := range endpoints {
		c.eventually("reaching "+url, 30*time.Second, func(context.Context) string {
			out, err := c.tryKubectl("exec", c.key.Name+"-0", "--", "etcdctl", "--endpoints="+url, "endpoint", "health")
			if err != nil {
				return err.Error() + out
			}
			return ""
		})
	}
}

// isProtectedFromEvictions checks the disruption budget as the disruption controller sees it.
func (c *cluster) isProtectedFromEvictions(minAvailable int) {
	c.t.Helper()
	voters := int32(len(c.get().Status.Members))
	c.eventually("waiting for the disruption budget", settle, func(ctx context.Context) string {
		pdb := &policyv1.PodDisruptionBudget{}
		if err := c.Client.Get(ctx, c.key, pdb); err != nil {
			return err.Error()
		}
		if got := pdb.Spec.MinAvailable.IntValue(); got != minAvailable || pdb.Status.CurrentHealthy != voters {
			return fmt.Sprintf("minAvailable is %d of %d healthy Pods, want %d of %d",
				got, pdb.Status.CurrentHealthy, minAvailable, voters)
		}
		return ""
	})
}

// isSealed checks that no member can start empty under its ID any more.
func (c *cluster) isSealed() {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	for _, p := range pods {
		if got := p.Annotations[resources.AnnotationInitialClusterState]; got != "existing" {
			c.t.Errorf("%s starts with initial-cluster-state %q, want existing", p.Name, got)
		}
		if got := p.Annotations[resources.AnnotationInitialCluster]; strings.Contains(got, ",") || !strings.HasPrefix(got, p.Name+"=") {
			c.t.Errorf("%s starts with initial-cluster %q, want itself only", p.Name, got)
		}
	}
}

func TestASingleMemberSaysSoAndBlocksNoDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("solo", spec(1))
	c.ready()
	c.holds(c.fill())
	c.condition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonSingleMember)
	if err := w.Client.Get(w.ctx, c.key, &policyv1.PodDisruptionBudget{}); !apierrors.IsNotFound(err) {
		t.Errorf("reading the disruption budget of a single member gives %v, want that there is none", err)
	}
	c.isSealed()
}

func TestFiveMembersFormACluster(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(5))
	c.ready()
	c.holds(c.fill())
	c.answersAtEndpoints(5)
	c.isProtectedFromEvictions(3)
	c.isSealed()
}

func TestSevenMembersFormACluster(t *testing.T) {
	full(t)
	t.Parallel()
	c := newWorld(t).create("demo", spec(7))
	c.ready()
	c.holds(c.fill())
	c.isProtectedFromEvictions(4)
	c.isSealed()
}

func TestEverySupportedMinorFormsAClusterAndGrows(t *testing.T) {
	for _, v := range []string{"3.5.35", "3.6.16", "3.7.3"} {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(1, version(v)))
			c.ready()
			w := c.write()
			c.scale(3)
			obj := c.ready()
			if got := ptr.Deref(obj.Status.Version, ""); got != v {
				t.Errorf("the members run etcd %s, want %s", got, v)
			}
			w.nothingLost()
			c.isSealed()
		})
	}
}

func TestTheCheckForLostWritesFindsADeletedKey(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	d := c.fill()
	for key := range d.keys {
		c.etcdctl("demo-0", "del", key)
		break
	}
	if err := c.members.CheckWrites(c.ctx, d.prefix, d.keys); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("the check says %v, want that a key is missing", err)
	}
}
