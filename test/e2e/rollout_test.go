//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// incarnations are the member Pods with what tells whether they, or their containers, were started anew.
type incarnations map[string]struct {
	pod       types.UID
	container string
	restarts  int32
	image     string
}

func (c *cluster) incarnations() incarnations {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	found := incarnations{}
	for _, p := range pods {
		i := found[p.Name]
		i.pod = p.UID
		for _, s := range p.Status.ContainerStatuses {
			if s.Name == resources.EtcdContainer {
				i.container, i.restarts = s.ContainerID, s.RestartCount
			}
		}
		for _, container := range p.Spec.Containers {
			if container.Name == resources.EtcdContainer {
				i.image = container.Image
			}
		}
		found[p.Name] = i
	}
	return found
}

// remade checks that every Pod, or every container, is another one than before, or that none is.
func (c *cluster) remade(before incarnations, pods, containers bool) {
	c.t.Helper()
	for name, now := range c.incarnations() {
		if (now.pod != before[name].pod) != pods {
			c.t.Errorf("%s: Pod %s, before %s; want another one: %t", name, now.pod, before[name].pod, pods)
		}
		if (now.container != before[name].container) != containers {
			c.t.Errorf("%s: container %s, before %s; want another one: %t", name, now.container, before[name].container, containers)
		}
	}
}

// staysAsItIs checks for a while that nothing is started anew.
func (c *cluster) staysAsItIs() {
	c.t.Helper()
	before := c.incarnations()
	c.staysSo("nothing is to be restarted", 5*time.Second, func(context.Context) string {
		for name, now := range c.incarnations() {
			if now != before[name] {
				return fmt.Sprintf("%s is %+v, before %+v", name, now, before[name])
			}
		}
		return ""
	})
}

func restartedAt(when string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.RestartedAt = &when }
}

func template(change func(*v1alpha1.PodTemplate)) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) {
		if s.PodTemplate == nil {
			s.PodTemplate = &v1alpha1.PodTemplate{}
		}
		change(s.PodTemplate)
	}
}

func cpu(request string) func(*v1alpha1.EtcdClusterSpec) {
	return template(func(t *v1alpha1.PodTemplate) {
		t.Spec = &v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(request), corev1.ResourceMemory: resource.MustParse("128Mi"),
		}}}
	})
}

func repository(name string) func(*v1alpha1.EtcdClusterSpec) {
	return func(s *v1alpha1.EtcdClusterSpec) { s.Image = &v1alpha1.ImageSpec{Repository: &name} }
}

func TestATemplateReachesAllMembersOneByOneAndTheLeaderLast(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids, before, stops := c.ids(), c.incarnations(), c.stops()
	w := c.write()
	start := time.Now()
	c.edit(template(func(t *v1alpha1.PodTemplate) {
		t.Spec = &v1alpha1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](40)}
	}))
	c.ready()
	t.Logf("three members have the new template after %s", time.Since(start).Round(time.Second))
	c.remade(before, true, true)
	for name := range before {
		if got := ptr.Deref(c.pod(name).Spec.TerminationGracePeriodSeconds, 0); got != 40 {
			t.Errorf("%s has a grace period of %d s, want 40", name, got)
		}
	}
	before = c.incarnations()
	c.edit(restartedAt(time.Now().Format(time.RFC3339)))
	c.ready()
	c.remade(before, true, true)
	c.staysAsItIs()
	c.rolled(stops, 2)
	c.sameMembers(ids)
	c.onlyVolumesOfMembers()
	c.isProtectedFromEvictions(2)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestLabelsAndResourcesAreChangedInRunningPods(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	before := c.incarnations()
	w := c.write()
	c.edit(template(func(t *v1alpha1.PodTemplate) {
		t.Metadata = &v1alpha1.PodMetadata{Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "x"}}
	}))
	c.eventually("waiting for the label", settle, func(context.Context) string {
		for name := range before {
			if p := c.pod(name); p.Labels["team"] != "a" || p.Annotations["note"] != "x" {
				return fmt.Sprintf("%s has the labels %v", name, p.Labels)
			}
		}
		return ""
	})
	c.edit(cpu("150m"))
	c.edit(template(func(t *v1alpha1.PodTemplate) { t.Metadata = nil }))
	c.ready()
	for name := range before {
		p := c.pod(name)
		if _, there := p.Labels["team"]; there || p.Labels[resources.LabelRole] != resources.RoleVoter {
			t.Errorf("%s has the labels %v", name, p.Labels)
		}
		if _, there := p.Annotations["note"]; there {
			t.Errorf("%s has the annotation still", name)
		}
		for _, r := range []*corev1.ResourceRequirements{&p.Spec.Containers[0].Resources, p.Status.ContainerStatuses[0].Resources} {
			if r == nil || r.Requests.Memory().String() != "128Mi" || r.Requests.Cpu().String() != "150m" {
				t.Errorf("%s has the resources %v", name, r)
			}
		}
	}
	c.remade(before, false, false)
	w.goesOn()

	// A limit that equals the requests is another QoS class, and more than any node has fits nowhere.
	c.edit(template(func(t *v1alpha1.PodTemplate) {
		r := t.Spec.Resources
		r.Limits = r.Requests
	}))
	c.ready()
	c.remade(before, true, true)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

func TestABadImageStopsAtOneMemberAndIsMendedByAnEdit(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3))
	c.ready()
	ids, before := c.ids(), c.incarnations()
	w := c.write()
	c.edit(repository("registry.invalid/etcd"))
	broken := ""
	c.eventually("waiting for a member that cannot pull the image", settle, func(context.Context) string {
		for name, now := range c.incarnations() {
			for _, s := range c.pod(name).Status.ContainerStatuses {
				if wait := s.State.Waiting; wait != nil && strings.Contains(wait.Reason, "Image") && now.pod == before[name].pod {
					broken = name
					return ""
				}
			}
		}
		return "there is none"
	})
	c.staysSo("the other members are to be left alone", 8*time.Second, func(context.Context) string {
		return c.othersTouched(before, broken)
	})
	w.goesOn()
	c.edit(func(s *v1alpha1.EtcdClusterSpec) { s.Image = nil })
	c.ready()
	if others := c.othersTouched(before, broken); others != "" {
		t.Error(others)
	}
	c.sameMembers(ids)
	w.nothingLost()
	w.gapAtMost(tolerable)
}

// othersTouched names a member other than this one whose Pod or container is another than before; empty when there is none.
func (c *cluster) othersTouched(before incarnations, besides string) string {
	c.t.Helper()
	for name, now := range c.incarnations() {
		if name != besides && now != before[name] {
			return fmt.Sprintf("%s was restarted: it is %+v, before %+v", name, now, before[name])
		}
	}
	return ""
}

func TestAnImageThatSomebodyRewritesCausesNoLoop(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	p := c.pod("demo-0")
	before := p.Status.ContainerStatuses[0]
	// What a webhook or a registry mirror does: the same image under another name.
	c.must(c.Edit(c.ctx, p, func() { p.Spec.Containers[0].Image = before.ImageID }))
	c.eventually("waiting until the container runs from the other name", settle, func(context.Context) string {
		s := c.pod("demo-0").Status.ContainerStatuses[0]
		if s.ContainerID == before.ContainerID || s.State.Running == nil || !s.Ready {
			return fmt.Sprintf("it is %+v", s)
		}
		return ""
	})
	c.ready()
	c.staysAsItIs()
}

func TestASingleMemberIsChangedToo(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1, version("3.6.16")))
	c.ready()
	d := c.fill()
	before := c.incarnations()
	c.edit(restartedAt("now"))
	c.ready()
	c.remade(before, true, true)
	before = c.incarnations()
	c.edit(version("3.7.3"))
	c.runs("3.7.3")
	c.remade(before, false, true)
	c.holds(d)
}

// runs waits until the cluster is Ready with all members of the version.
func (c *cluster) runs(v string) {
	c.t.Helper()
	c.await("waiting for etcd "+v, func(obj *v1alpha1.EtcdCluster) string {
		for _, m := range obj.Status.Members {
			if ptr.Deref(m.Version, "") != v {
				return fmt.Sprintf("%s runs %s", m.Name, ptr.Deref(m.Version, "nothing"))
			}
		}
		return ""
	})
	c.ready()
}

func TestUpgradesGoMinorByMinor(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(3, version("3.5.35")))
	c.ready()
	ids := c.ids()
	w := c.write()

	c.edit(version("3.7.3"))
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonVersionRefused)
	old := c.pod(c.follower())
	c.deletePod(old.Name, 30)
	c.eventually("waiting until the Pod is created again", settle, func(ctx context.Context) string {
		p := &corev1.Pod{}
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(old), p); err != nil || p.UID == old.UID {
			return "it is not"
		}
		if image := p.Spec.Containers[0].Image; !strings.HasSuffix(image, ":v3.5.35") {
			t.Errorf("while the version is refused, a Pod is created with the image %s", image)
		}
		return c.notReady(ctx)
	})
	c.condition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonVersionRefused)

	stops, before := c.stops(), c.incarnations()
	start := time.Now()
	c.edit(version("3.6.16"))
	c.runs("3.6.16")
	t.Logf("3.5.35 to 3.6.16 took %s", time.Since(start).Round(time.Second))
	c.remade(before, true, true)
	w.goesOn()

	before, start = c.incarnations(), time.Now()
	c.edit(version("3.7.3"))
	c.runs("3.7.3")
	t.Logf("3.6.16 to 3.7.3 took %s", time.Since(start).Round(100*time.Millisecond))
	c.remade(before, false, true)
	c.staysAsItIs()
	c.rolled(stops, 2)
	c.sameMembers(ids)

	before, start = c.incarnations(), time.Now()
	c.edit(version("3.6.16"))
	c.runs("3.6.16")
	t.Logf("3.7.3 down to 3.6.16 took %s", time.Since(start).Round(100*time.Millisecond))
	c.remade(before, false, true)
	c.rolled(stops, 3)
	c.sameMembers(ids)
	w.nothingLost()
	w.gapAtMost(tolerable)
}
