//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/test/framework"
)

func TestAnImageThatCannotBeHadIsReportedAndMendedByAnEdit(t *testing.T) {
	tests := map[string]struct {
		bad, good func(*v1alpha1.EtcdClusterSpec)
		message   string
	}{
		"a registry that does not answer": {
			bad: func(s *v1alpha1.EtcdClusterSpec) {
				s.Image = &v1alpha1.ImageSpec{Repository: ptr.To("localhost:1/etcd")} // nothing listens there
			},
			good:    func(s *v1alpha1.EtcdClusterSpec) { s.Image = nil },
			message: "ImagePull",
		},
		"a version of which there is no image": {
			bad: func(s *v1alpha1.EtcdClusterSpec) {
				s.Version = ptr.To("3.6.99")
				s.Image = &v1alpha1.ImageSpec{PullPolicy: ptr.To(corev1.PullNever)}
			},
			good:    version("3.6.16"),
			message: "ErrImageNeverPull",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(3, test.bad))
			c.await("waiting until the image is reported", func(obj *v1alpha1.EtcdCluster) string {
				for _, m := range obj.Status.Members {
					if message := ptr.Deref(m.Message, ""); !strings.Contains(message, test.message) {
						return fmt.Sprintf("the message of %s does not tell %s: %s", m.Name, test.message, message)
					}
				}
				if status := framework.ShortStatus(obj); !strings.Contains(status, test.message) || len(obj.Status.Members) != 3 {
					return fmt.Sprintf("the conditions do not tell %s: %s", test.message, status)
				}
				return ""
			})
			c.edit(test.good)
			c.ready()
			c.holds(c.fill())
			c.isSealed()
		})
	}
}

func TestASpecThatTheSchemaCannotRefuseIsReportedAndRunningMembersGoOn(t *testing.T) {
	tests := map[string]struct {
		bad, good func(*v1alpha1.EtcdClusterSpec)
		message   string
	}{
		"a value of extraArgs with which etcd could not work": {
			bad: func(s *v1alpha1.EtcdClusterSpec) {
				s.Etcd = &v1alpha1.EtcdOptions{ExtraArgs: []v1alpha1.ExtraArg{{Name: "max-request-bytes", Value: "7"}}}
			},
			good:    func(s *v1alpha1.EtcdClusterSpec) { s.Etcd = nil },
			message: "spec.etcd.extraArgs[max-request-bytes]",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(1))
			c.ready()
			ids := c.ids()
			pod := c.pod("demo-0")
			w := c.write()
			c.edit(func(s *v1alpha1.EtcdClusterSpec) { test.bad(s); s.Replicas = ptr.To[int32](3) })
			obj := c.condition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
			if status := framework.ShortStatus(obj); !strings.Contains(status, test.message) {
				t.Errorf("the status does not name %s: %s", test.message, status)
			}
			c.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
			c.condition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonSingleMember)
			c.event(v1alpha1.ReasonInvalidSpec)
			w.goesOn()
			c.sameMembers(ids)
			if got := c.pod("demo-0"); got.UID != pod.UID {
				t.Errorf("the running Pod was replaced because of a spec that is refused")
			}
			c.edit(test.good)
			c.ready()
			w.nothingLost()
		})
	}
}

func TestTheAPIServerRefusesWhatTheSchemaCanSee(t *testing.T) {
	t.Parallel()
	c := newWorld(t).create("demo", spec(1))
	c.ready()
	tests := map[string]struct {
		args []string
		want string
	}{
		"an even number of members with kubectl scale": {
			args: []string{"scale", "etcd", "demo", "--replicas=2"}, want: "replicas must be 1, 3, 5 or 7",
		},
		"no members with kubectl scale": {
			args: []string{"scale", "etcd", "demo", "--replicas=0"}, want: "spec.replicas",
		},
		"a flag that belongs to the operator": {
			args: []string{"patch", "etcd", "demo", "--type=merge", "-p",
				`{"spec":{"etcd":{"extraArgs":[{"name":"force-new-cluster","value":"true"}]}}}`},
			want: "this flag is not in the allow-list",
		},
		"an etcd that is too old": {
			args: []string{"patch", "etcd", "demo", "--type=merge", "-p", `{"spec":{"version":"3.5.9"}}`},
			want: "version must be 3.5.32 or later",
		},
	}
	generation := c.get().Generation
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.tryKubectl(test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("kubectl %s gives\n%v\nwant a refusal that says %q", strings.Join(test.args, " "), err, test.want)
			}
		})
	}
	if got := c.get().Generation; got != generation {
		t.Errorf("the spec was changed (generation %d, was %d) although every edit was to be refused", got, generation)
	}
}
