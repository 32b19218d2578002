package resources

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/quorate/quorate/api/v1alpha1"
)

// appliedSpec is the part of the spec that shapes a member Pod, as the user wrote it. The operator's own defaults are
// not part of it, so that an upgrade of the operator alone restarts no member.
type appliedSpec struct {
	Version     string                     `json:"version"`
	Image       *v1alpha1.ImageSpec        `json:"image,omitempty"`
	Etcd        *v1alpha1.EtcdOptions      `json:"etcd,omitempty"`
	PodTemplate *v1alpha1.PodTemplate      `json:"podTemplate,omitempty"`
	Ephemeral   *v1alpha1.EphemeralStorage `json:"ephemeral,omitempty"`
	// VolumeSize in bytes is what the quota follows from, where the spec gives none.
	VolumeSize  int64   `json:"volumeSize,omitempty"`
	RestartedAt *string `json:"restartedAt,omitempty"`
}

// Applied renders the part of the spec that shapes a member Pod of the version as canonical JSON: equal wishes give
// equal strings, whatever the notation of a quantity, the order of flags, or an empty struct in place of none.
func Applied(c *v1alpha1.EtcdCluster, version string) string { return applied(c, version, 0) }

// AppliedOn is Applied for members with volumes of so many bytes, from which their quota follows unless the spec gives
// one. The size and not the quota is in it: another default rule, in a later operator, restarts no member.
func AppliedOn(c *v1alpha1.EtcdCluster, version string, volumeSize int64) string {
	if !DerivesQuota(c) {
		volumeSize = 0
	}
	return applied(c, version, volumeSize)
}

// KeepImage is what is desired of a Pod, a rendering of Applied, with the image that it has: where the spec names the
// digest of another version's image, nobody knows another one of the Pod's own version.
func KeepImage(c *v1alpha1.EtcdCluster, desired, applied string) string {
	now, err := decode(applied)
	then, _ := decode(desired)
	if err != nil || now.Version != then.Version || !pinsAnother(c, now.Version) {
		return desired
	}
	return withImage(desired, applied)
}

// RecordedVolumeSize is the size of the volumes, in bytes, in what a Pod was rendered from; 0 when it is not in it.
func RecordedVolumeSize(applied string) int64 {
	var a appliedSpec
	if err := json.Unmarshal([]byte(applied), &a); err != nil {
		return 0
	}
	return a.VolumeSize
}

func applied(c *v1alpha1.EtcdCluster, version string, volumeSize int64) string {
	spec := c.Spec.DeepCopy()
	if spec.Etcd != nil {
		slices.SortFunc(spec.Etcd.ExtraArgs, func(a, b v1alpha1.ExtraArg) int {
			return strings.Compare(a.Name, b.Name)
		})
	}
	if t := spec.PodTemplate; t != nil {
		t.Metadata, t.Spec = orNil(t.Metadata), orNil(t.Spec)
	}
	if pinsAnother(c, version) {
		spec.Image.Digest = nil
	}
	return encode(appliedSpec{
		Version:     version,
		Image:       orNil(spec.Image),
		Etcd:        orNil(spec.Etcd),
		PodTemplate: orNil(spec.PodTemplate),
		Ephemeral:   spec.Storage.Ephemeral,
		VolumeSize:  volumeSize,
		RestartedAt: spec.RestartedAt,
	})
}

func encode(s appliedSpec) string {
	b, err := json.Marshal(s)
	if err != nil {
		// Only unsupported Go types fail to marshal, and the API has none.
		panic("marshal the applied spec: " + err.Error())
	}
	return string(b)
}

// orNil is nil for a struct in which nothing is set.
func orNil[T any](p *T) *T {
	var zero T
	if p == nil || equality.Semantic.DeepEqual(*p, zero) {
		return nil
	}
	return p
}
