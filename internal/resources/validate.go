package resources

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/window"
)

// findings are what is wrong with a spec, one sentence each.
type findings []string

func (f *findings) addf(field, format string, args ...any) {
	*f = append(*f, field+" "+fmt.Sprintf(format, args...))
}

// Validate finds what the CEL rules of the API cannot see: values that etcd or Kubernetes would refuse once the member
// is made, when it is too late to tell the user at once. The version is the one to run, which the spec may leave open.
// Each message names the field, what is wrong, and what to do; none means that the spec is fine.
func Validate(c *v1alpha1.EtcdCluster, version string) []string {
	m, known := minorOf(version)
	if !known {
		return []string{fmt.Sprintf("spec.version %q is not supported: give a release of 3.5, 3.6 or 3.7", version)}
	}
	var f findings
	if e := c.Spec.Etcd; e != nil {
		f.extraArgs(e.ExtraArgs, m)
		f.wholeMilliseconds("spec.etcd.heartbeatInterval", e.HeartbeatInterval)
		f.wholeMilliseconds("spec.etcd.electionTimeout", e.ElectionTimeout)
		f.compaction(e.AutoCompaction)
	}
	if t := c.Spec.PodTemplate; t != nil && t.Metadata != nil {
		f.labels("spec.podTemplate.metadata.labels", t.Metadata.Labels)
		f.keys("spec.podTemplate.metadata.annotations", t.Metadata.Annotations)
	}
	f.podSpec(podTemplateSpec(c))
	f.memoryMedium(c)
	return f
}

// ValidateBeside tells what is wrong with the parts of the spec from which no member is made, or that hurts none; nil
// when nothing is.
func ValidateBeside(c *v1alpha1.EtcdCluster) []string {
	var f findings
	if e := c.Spec.Etcd; e != nil {
		f.pings(e.ExtraArgs)
	}
	if t := c.Spec.PodTemplate; t != nil && t.Metadata != nil {
		f.podAnnotations(t.Metadata.Annotations)
	}
	if s := c.Spec.ClientService; s != nil {
		f.clientService(s)
	}
	if m := c.Spec.Maintenance; m != nil {
		// Any time does, to find schedules that name no time at all.
		if _, err := window.Parse(m.Window, time.Unix(0, 0)); err != nil {
			f.addf("spec.maintenance.window", "is refused: %s", err)
		}
	}
	return f
}

func (f *findings) wholeMilliseconds(field string, d *metav1.Duration) {
	if d != nil && d.Duration%time.Millisecond != 0 {
		f.addf(field, "is %s, but etcd counts in milliseconds: give a whole number of them", d.Duration)
	}
}

func (f *findings) compaction(a *v1alpha1.AutoCompaction) {
	if a == nil {
		return
	}
	if problem := compactionProblem(*a); problem != "" {
		f.addf("spec.etcd.autoCompaction.retention", "is %q: %s", a.Retention, problem)
	}
}

// compactionProblem tells what is wrong with a retention that the API server admits.
func compactionProblem(a v1alpha1.AutoCompaction) string {
	if a.Mode == v1alpha1.AutoCompactionPeriodic {
		if d, err := time.ParseDuration(a.Retention); err != nil || d <= 0 {
			return "give a duration above 0 such as 10h, or remove autoCompaction"
		}
		return ""
	}
	if n, err := strconv.ParseInt(a.Retention, 10, 64); err != nil || n < 1 {
		return fmt.Sprintf("give a number of revisions from 1 to %d", math.MaxInt64)
	}
	return ""
}

func (f *findings) clientService(s *v1alpha1.ClientServiceSpec) {
	f.labels("spec.clientService.labels", s.Labels)
	f.keys("spec.clientService.annotations", s.Annotations)
	if s.LoadBalancerClass != nil && ptr.Deref(s.Type, "") != corev1.ServiceTypeLoadBalancer {
		f.addf("spec.clientService.loadBalancerClass", "needs type LoadBalancer: set that type, or remove the class")
	}
}

func (f *findings) labels(field string, labels map[string]string) {
	f.keys(field, labels)
	for _, key := range sortedKeys(labels) {
		if errs := validation.IsValidLabelValue(labels[key]); len(errs) > 0 {
			f.addf(field, "gives %s the value %q: %s", key, labels[key], strings.Join(errs, "; "))
		}
	}
}

func (f *findings) keys(field string, values map[string]string) {
	for _, key := range sortedKeys(values) {
		// A prefix in upper case is let through here; the API server decides.
		if errs := validation.IsQualifiedName(strings.ToLower(key)); len(errs) > 0 {
			f.addf(field, "has the key %q: %s", key, strings.Join(errs, "; "))
		}
	}
}

// maxAnnotations bounds the annotations of a Pod, in bytes: the operator records them once more beside its own, and
// Kubernetes takes 256 KiB in all (k8s.io/apimachinery pkg/api/validation, TotalAnnotationSizeLimitB).
const maxAnnotations = 64 << 10

func (f *findings) podAnnotations(annotations map[string]string) {
	const field = "spec.podTemplate.metadata.annotations"
	total := 0
	for _, key := range sortedKeys(annotations) {
		total += len(key) + len(annotations[key])
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) {
			f.addf(field, "has the key %q, which Kubernetes changes in no running Pod: set "+
				"podTemplate.spec.securityContext.appArmorProfile instead", key)
		}
	}
	if total > maxAnnotations {
		f.addf(field, "takes %d bytes: shorten it to %d", total, maxAnnotations)
	}
}

// memoryMedium: a tmpfs is charged to the container that writes it. When it may grow beyond the memory limit, the
// member is killed over its own data, and again at each restart.
func (f *findings) memoryMedium(c *v1alpha1.EtcdCluster) {
	e := c.Spec.Storage.Ephemeral
	if e == nil || e.SizeLimit == nil || ptr.Deref(e.Medium, v1alpha1.EphemeralDisk) != v1alpha1.EphemeralMemory {
		return
	}
	limit, limited := containerResources(podTemplateSpec(c).Resources).Limits[corev1.ResourceMemory]
	if limited && limit.Cmp(*e.SizeLimit) <= 0 {
		f.addf("spec.storage.ephemeral.sizeLimit", "is %s and counts as memory, but the memory limit is %s: "+
			"raise resources.limits.memory above it, or lower sizeLimit", e.SizeLimit.String(), limit.String())
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
