package sim

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

// badRepository holds no image that could be pulled.
const badRepository = "registry.invalid/etcd"

// versions that users ask for.
func versions() []string { return []string{"3.5.35", "3.6.16", "3.7.3"} }

// edit is one edit of the spec by a user.
type edit struct {
	name string
	do   func(*v1alpha1.EtcdClusterSpec)
}

// templateEdits change what member Pods look like: in place, by a Pod that is created again, or not at all.
func templateEdits() []edit {
	template := func(s *v1alpha1.EtcdClusterSpec) *v1alpha1.PodTemplate {
		if s.PodTemplate == nil {
			s.PodTemplate = &v1alpha1.PodTemplate{}
		}
		if s.PodTemplate.Metadata == nil {
			s.PodTemplate.Metadata = &v1alpha1.PodMetadata{}
		}
		if s.PodTemplate.Spec == nil {
			s.PodTemplate.Spec = &v1alpha1.PodSpec{}
		}
		return s.PodTemplate
	}
	cpu := func(request, limit string) func(*v1alpha1.EtcdClusterSpec) {
		return func(s *v1alpha1.EtcdClusterSpec) {
			r := &corev1.ResourceRequirements{}
			r.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(request)}
			if limit != "" {
				r.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(limit)}
			}
			template(s).Spec.Resources = r
		}
	}
	return []edit{
		{"a label", func(s *v1alpha1.EtcdClusterSpec) {
			m := template(s).Metadata
			m.Labels = map[string]string{"team": fmt.Sprintf("team-%d", len(m.Labels["team"])%3)}
		}},
		{"cpu", cpu("200m", "")},
		{"cpu and a limit", cpu("200m", "1")},
		{"more cpu than most nodes have", cpu("16", "")},
		{"a priority class", func(s *v1alpha1.EtcdClusterSpec) { template(s).Spec.PriorityClassName = ptr.To("high") }},
		{"a flag", func(s *v1alpha1.EtcdClusterSpec) {
			if s.Etcd == nil {
				s.Etcd = &v1alpha1.EtcdOptions{}
			}
			s.Etcd.SnapshotCount = ptr.To(ptr.Deref(s.Etcd.SnapshotCount, 10_000) + 1000)
		}},
		{"a repository without the image", func(s *v1alpha1.EtcdClusterSpec) {
			s.Image = &v1alpha1.ImageSpec{Repository: ptr.To(badRepository)}
		}},
		{"no template", func(s *v1alpha1.EtcdClusterSpec) { s.PodTemplate, s.Image, s.Etcd = nil, nil, nil }},
	}
}

// editSpec has the user edit the spec.
func (w *world) editSpec(what string, do func(*v1alpha1.EtcdClusterSpec)) {
	c := w.cluster()
	if c == nil {
		return
	}
	before := c.DeepCopy()
	do(&c.Spec)
	if equal(before.Spec, c.Spec) {
		return
	}
	w.log("the user edits the spec: %s", what)
	must(w.store.update(c, false))
}

func (w *world) editVersion(version string) {
	w.editSpec("version "+version, func(s *v1alpha1.EtcdClusterSpec) { s.Version = ptr.To(version) })
}

func (w *world) pause(on bool) {
	w.editSpec(fmt.Sprintf("paused %t", on), func(s *v1alpha1.EtcdClusterSpec) { s.Paused = ptr.To(on) })
}

// editRepair changes how lost members are replaced; nil is the default.
func (w *world) editRepair(repair *v1alpha1.RepairSpec) {
	w.editSpec("repair", func(s *v1alpha1.EtcdClusterSpec) { s.Repair = repair })
}

// restartAll asks for a plain restart of all members.
func (w *world) restartAll() {
	w.editSpec("restartedAt", func(s *v1alpha1.EtcdClusterSpec) { s.RestartedAt = ptr.To(w.now.Format(time.RFC3339)) })
}

// annotate asks for something once.
func (w *world) annotate(key, value string) {
	c := w.cluster()
	if c == nil || c.Annotations[key] == value {
		return
	}
	w.log("a person sets %s=%s", key, value)
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, value)
	must(w.store.update(c, false))
}

// swapReclaimPolicy changes what becomes of the data when the EtcdCluster is deleted.
func (w *world) swapReclaimPolicy() {
	c := w.cluster()
	if c == nil {
		return
	}
	policy := v1alpha1.ReclaimDelete
	if ptr.Deref(c.Spec.Storage.ReclaimPolicy, v1alpha1.ReclaimRetain) == policy {
		policy = v1alpha1.ReclaimRetain
	}
	w.editSpec("reclaimPolicy "+string(policy), func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage.ReclaimPolicy = ptr.To(policy)
	})
}

// editStorageClass asks for volumes of a class; of the default one when it is empty.
func (w *world) editStorageClass(class string) {
	w.editSpec("storage class "+class, func(s *v1alpha1.EtcdClusterSpec) {
		s.Storage.StorageClassName = nil
		if class != "" {
			s.Storage.StorageClassName = ptr.To(class)
		}
	})
}
