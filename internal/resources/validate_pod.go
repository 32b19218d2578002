package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

const podField = "spec.podTemplate.spec."

func (f *findings) podSpec(p v1alpha1.PodSpec) {
	if p.Resources != nil {
		f.resources(podField+"resources", *p.Resources)
	}
	if p.SecurityContext != nil {
		f.securityContext(podField+"securityContext", *p.SecurityContext)
	}
	if p.Affinity != nil {
		f.affinity(podField+"affinity", *p.Affinity)
	}
	f.labels(podField+"nodeSelector", p.NodeSelector)
	for _, t := range p.Tolerations {
		f.toleration(podField+"tolerations", t)
	}
	for _, t := range p.TopologySpreadConstraints {
		f.spread(podField+"topologySpreadConstraints", t)
	}
}

func (f *findings) resources(field string, r corev1.ResourceRequirements) {
	if len(r.Claims) > 0 {
		f.addf(field+".claims", "names resource claims, of which a member Pod has none: remove it")
	}
	f.quantities(field+".requests", r.Requests)
	f.quantities(field+".limits", r.Limits)
	for _, name := range sortedKeys(r.Requests) {
		request := r.Requests[name]
		if limit, limited := r.Limits[name]; limited && request.Cmp(limit) > 0 {
			f.addf(field+".requests."+string(name), "is %s, above the limit of %s: lower it or raise the limit",
				request.String(), limit.String())
		}
	}
}

func (f *findings) quantities(field string, list corev1.ResourceList) {
	for _, name := range sortedKeys(list) {
		if q := list[name]; q.Sign() < 0 {
			f.addf(field+"."+string(name), "is %s: give a quantity of 0 or more", q.String())
		}
	}
}

func (f *findings) securityContext(field string, s corev1.PodSecurityContext) {
	if ptr.Deref(s.RunAsUser, unprivilegedID) == 0 && ptr.Deref(s.RunAsNonRoot, true) {
		f.addf(field+".runAsUser", "is 0, but members run as non-root: give another user, or set runAsNonRoot to false")
	}
	if s.WindowsOptions != nil {
		f.addf(field+".windowsOptions", "does not fit, since etcd runs on Linux: remove it")
	}
}

func (f *findings) affinity(field string, a corev1.Affinity) {
	if n := a.NodeAffinity; n != nil {
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil && len(r.NodeSelectorTerms) == 0 {
			f.addf(field+".nodeAffinity", "requires one of no terms: add a term, or remove the requirement")
		}
		for _, t := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			f.weight(field+".nodeAffinity", t.Weight)
		}
	}
	if p := a.PodAffinity; p != nil {
		f.podTerms(field+".podAffinity",
			p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if p := a.PodAntiAffinity; p != nil {
		f.podTerms(field+".podAntiAffinity",
			p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func (f *findings) podTerms(
	field string, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm,
) {
	for _, t := range required {
		f.podTerm(field, t)
	}
	for _, t := range preferred {
		f.weight(field, t.Weight)
		f.podTerm(field, t.PodAffinityTerm)
	}
}

func (f *findings) podTerm(field string, t corev1.PodAffinityTerm) {
	f.topologyKey(field, t.TopologyKey)
	f.selector(field, t.LabelSelector)
	f.selector(field, t.NamespaceSelector)
}

func (f *findings) weight(field string, weight int32) {
	if weight < 1 || weight > 100 {
		f.addf(field, "has a preferred term of weight %d: give 1 to 100", weight)
	}
}

func (f *findings) topologyKey(field, key string) {
	if key == "" {
		f.addf(field, "has an entry without topologyKey: add one, such as %s", corev1.LabelTopologyZone)
	}
}

func (f *findings) selector(field string, s *metav1.LabelSelector) {
	if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
		f.addf(field, "has a selector that Kubernetes refuses: correct it (%v)", err)
	}
}

func (f *findings) toleration(field string, t corev1.Toleration) {
	if t.Key == "" && t.Operator != corev1.TolerationOpExists {
		f.addf(field, "has an entry without key: add the key, or set operator to Exists to tolerate every taint")
	}
	if t.Operator == corev1.TolerationOpExists && t.Value != "" {
		f.addf(field, "has for key %q operator Exists and a value: remove the value, or set Equal", t.Key)
	}
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		f.addf(field, "has for key %q tolerationSeconds, which need effect NoExecute: set it, or remove them", t.Key)
	}
}

func (f *findings) spread(field string, t corev1.TopologySpreadConstraint) {
	if t.MaxSkew < 1 {
		f.addf(field, "has maxSkew %d: give 1 or more", t.MaxSkew)
	}
	if t.WhenUnsatisfiable != corev1.DoNotSchedule && t.WhenUnsatisfiable != corev1.ScheduleAnyway {
		f.addf(field, "has whenUnsatisfiable %q: give %s or %s",
			t.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)
	}
	f.topologyKey(field, t.TopologyKey)
	f.selector(field, t.LabelSelector)
}
