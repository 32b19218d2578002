package resources

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/quorate/quorate/api/v1alpha1"
)

// Difference is what it takes to bring a Pod from what was last applied to it to what is wanted. What the Pod looks
// like does not matter: others, such as webhooks that rewrite images, may have changed it.
type Difference struct {
	// Metadata tells that labels or annotations differ: harmless to change.
	Metadata bool
	// Resources tells that cpu or memory differ, and that Kubernetes can change them in the running Pod.
	Resources bool
	// More tells that the Pod would ask for more of something than it does, so that a node may be too small for it.
	More bool
	// Image tells that the version or the image differ: its change in place restarts the container.
	Image bool
	// Recreate names the fields of the spec that only a new Pod can take.
	Recreate []string
}

// None tells that nothing differs.
func (d Difference) None() bool {
	return !d.Metadata && !d.Resources && !d.Image && len(d.Recreate) == 0
}

// Compare tells what differs between two renderings of Applied; the size of the volumes only when it is in the second.
// A record that cannot be read takes a new Pod.
func Compare(applied, desired string) Difference {
	a, errA := decode(applied)
	b, errB := decode(desired)
	if errA != nil || errB != nil {
		return Difference{Recreate: []string{"the unreadable record " + AnnotationApplied}}
	}
	d := Difference{
		Metadata: !equality.Semantic.DeepEqual(a.metadata(), b.metadata()),
		Image:    a.Version != b.Version || !equality.Semantic.DeepEqual(a.reference(), b.reference()),
	}
	old, now := containerResources(a.podSpec().Resources), containerResources(b.podSpec().Resources)
	resources := !equality.Semantic.DeepEqual(old, now)
	d.Resources, d.More = resources && resizable(old, now), asksForMore(old, now)
	for field, differs := range map[string]bool{
		"image.pullPolicy and pullSecrets": !equality.Semantic.DeepEqual(a.pulling(), b.pulling()),
		"etcd":                             !equality.Semantic.DeepEqual(a.Etcd, b.Etcd),
		"podTemplate.spec":                 !equality.Semantic.DeepEqual(a.scheduling(), b.scheduling()),
		"podTemplate.spec.resources":       resources && !d.Resources,
		"storage.ephemeral":                !equality.Semantic.DeepEqual(a.Ephemeral, b.Ephemeral),
		"restartedAt":                      !equality.Semantic.DeepEqual(a.RestartedAt, b.RestartedAt),
		"storage.size":                     b.VolumeSize != 0 && a.VolumeSize != b.VolumeSize,
	} {
		if differs {
			d.Recreate = append(d.Recreate, field)
		}
	}
	slices.Sort(d.Recreate)
	return d
}

func decode(applied string) (appliedSpec, error) {
	var s appliedSpec
	err := json.Unmarshal([]byte(applied), &s)
	return s, err //nolint:wrapcheck // nobody reads it
}

func (s appliedSpec) metadata() v1alpha1.PodMetadata {
	if s.PodTemplate == nil || s.PodTemplate.Metadata == nil {
		return v1alpha1.PodMetadata{}
	}
	return *s.PodTemplate.Metadata
}

func (s appliedSpec) podSpec() v1alpha1.PodSpec {
	if s.PodTemplate == nil || s.PodTemplate.Spec == nil {
		return v1alpha1.PodSpec{}
	}
	return *s.PodTemplate.Spec
}

// scheduling is the Pod spec without the resources, which are compared by what is rendered from them.
func (s appliedSpec) scheduling() v1alpha1.PodSpec {
	spec := s.podSpec()
	spec.Resources = nil
	return spec
}

// reference is what of the image makes up its name.
func (s appliedSpec) reference() v1alpha1.ImageSpec {
	if s.Image == nil {
		return v1alpha1.ImageSpec{}
	}
	return v1alpha1.ImageSpec{Repository: s.Image.Repository, Digest: s.Image.Digest}
}

func (s appliedSpec) pulling() v1alpha1.ImageSpec {
	if s.Image == nil {
		return v1alpha1.ImageSpec{}
	}
	return v1alpha1.ImageSpec{PullPolicy: s.Image.PullPolicy, PullSecrets: s.Image.PullSecrets}
}

// resizable tells that Kubernetes can bring a running container from one to the other: only cpu and memory change, none
// is taken away, and the QoS class stays (k8s.io/kubernetes pkg/apis/core/validation, ValidatePodResize).
func resizable(from, to corev1.ResourceRequirements) bool {
	return resizableList(from.Requests, to.Requests) && resizableList(from.Limits, to.Limits) &&
		equality.Semantic.DeepEqual(from.Claims, to.Claims) && qosOf(from) == qosOf(to)
}

// asksForMore tells that the second requests more of something. A limit without a request counts as both.
func asksForMore(from, to corev1.ResourceRequirements) bool {
	former := requested(from)
	for name, quantity := range requested(to) {
		if was := former[name]; quantity.Cmp(was) > 0 {
			return true
		}
	}
	return false
}

// requested is what the API server takes to be requested (pkg/apis/core/v1/defaults.go, SetDefaults_Pod).
func requested(r corev1.ResourceRequirements) corev1.ResourceList {
	all := maps.Clone(r.Limits)
	if all == nil {
		all = corev1.ResourceList{}
	}
	maps.Copy(all, r.Requests)
	return all
}

func resizableList(from, to corev1.ResourceList) bool {
	for name := range from {
		if _, kept := to[name]; !kept {
			return false
		}
	}
	for name, quantity := range to {
		was, had := from[name]
		changed := !had || was.Cmp(quantity) != 0
		if changed && name != corev1.ResourceCPU && name != corev1.ResourceMemory {
			return false
		}
	}
	return true
}

// qosOf is the QoS class of a Pod with this container only. A limit without a request counts as both.
func qosOf(r corev1.ResourceRequirements) corev1.PodQOSClass {
	requests := requested(r)
	asked, guaranteed := false, true
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := requests[name], r.Limits[name]
		asked = asked || !request.IsZero() || !limit.IsZero()
		guaranteed = guaranteed && !limit.IsZero() && request.Cmp(limit) == 0
	}
	switch {
	case !asked:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	default:
		return corev1.PodQOSBurstable
	}
}

// withMetadata is the record of a Pod of which only the labels and annotations were brought up to date.
func withMetadata(applied, desired string) string {
	return blend(applied, desired, func(s *appliedSpec, from appliedSpec) {
		metadata := from.metadata()
		s.template().Metadata = orNil(&metadata)
	})
}

// withResources is the record of a Pod of which only cpu and memory were brought up to date.
func withResources(applied, desired string) string {
	return blend(applied, desired, func(s *appliedSpec, from appliedSpec) {
		spec := s.podSpec()
		spec.Resources = from.podSpec().Resources
		s.template().Spec = orNil(&spec)
	})
}

// withImage is the record of a Pod of which only the version and the image were brought up to date.
func withImage(applied, desired string) string {
	return blend(applied, desired, func(s *appliedSpec, from appliedSpec) {
		s.Version = from.Version
		image := s.pulling()
		image.Repository, image.Digest = from.reference().Repository, from.reference().Digest
		s.Image = orNil(&image)
	})
}

func (s *appliedSpec) template() *v1alpha1.PodTemplate {
	if s.PodTemplate == nil {
		s.PodTemplate = &v1alpha1.PodTemplate{}
	}
	return s.PodTemplate
}

// blend changes a part of the record to what is wanted. A record that cannot be read stays: its Pod is made anew.
func blend(applied, desired string, part func(s *appliedSpec, from appliedSpec)) string {
	a, errA := decode(applied)
	b, errB := decode(desired)
	if errA != nil || errB != nil {
		return applied
	}
	part(&a, b)
	a.PodTemplate = orNil(a.PodTemplate)
	return encode(a)
}
