package storage

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func storageOf(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
}

// boundClaim asks for 2Gi and has 1Gi.
func boundClaim() (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			VolumeName: "pvc-1", Resources: corev1.VolumeResourceRequirements{Requests: storageOf("2Gi")},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: storageOf("1Gi")},
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-1", Annotations: map[string]string{
			provisionedBy: ProvisionerName, nodeAnnotation: "worker-1",
		}},
		Spec: corev1.PersistentVolumeSpec{Capacity: storageOf("1Gi")},
	}
	return claim, pv
}

func TestAClaimThatAsksForMoreGetsIt(t *testing.T) {
	claim, pv := boundClaim()
	client, grown := fake.NewClientset(claim, pv), int64(0)
	r := &Resizer{Client: client, Grow: func(_ context.Context, node, name string, size int64) error {
		if node != "worker-1" || name != "pvc-1" {
			t.Errorf("volume %s of %s grows, want pvc-1 of worker-1", name, node)
		}
		grown = size
		return nil
	}}
	if err := r.resize(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if grown != 2<<30 {
		t.Errorf("the volume was grown to %d bytes, want 2Gi", grown)
	}
	gotPV, _ := client.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-1", metav1.GetOptions{})
	got, _ := client.CoreV1().PersistentVolumeClaims("default").Get(t.Context(), "data", metav1.GetOptions{})
	if gotPV.Spec.Capacity.Storage().String() != "2Gi" || got.Status.Capacity.Storage().String() != "2Gi" {
		t.Errorf("the volume has %s and the claim's status says %s, want 2Gi in both",
			gotPV.Spec.Capacity.Storage(), got.Status.Capacity.Storage())
	}
}

func TestAnExpansionThatFailsIsToldInTheClaim(t *testing.T) {
	claim, pv := boundClaim()
	client := fake.NewClientset(claim, pv)
	r := &Resizer{Client: client, Grow: func(context.Context, string, string, int64) error { return errors.New("disk full") }}
	if err := r.resize(t.Context(), claim); err == nil {
		t.Error("there is no error, so that it would not be tried again")
	}
	got, _ := client.CoreV1().PersistentVolumeClaims("default").Get(t.Context(), "data", metav1.GetOptions{})
	if len(got.Status.Conditions) != 1 || got.Status.Conditions[0].Message != "disk full" {
		t.Errorf("conditions are %v, want a ControllerResizeError that says why", got.Status.Conditions)
	}
}

func TestOnlyOwnBoundVolumesAreExpanded(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim, *corev1.PersistentVolume){
		"another provisioner's": func(_ *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
			pv.Annotations[provisionedBy] = "other"
		},
		"not bound": func(c *corev1.PersistentVolumeClaim, _ *corev1.PersistentVolume) {
			c.Status.Phase = corev1.ClaimPending
		},
		"large enough": func(c *corev1.PersistentVolumeClaim, _ *corev1.PersistentVolume) {
			c.Status.Capacity = storageOf("2Gi")
		},
	} {
		claim, pv := boundClaim()
		change(claim, pv)
		r := &Resizer{Client: fake.NewClientset(claim, pv), Grow: func(context.Context, string, string, int64) error {
			t.Errorf("a volume grows that is %s", name)
			return nil
		}}
		if err := r.resize(t.Context(), claim); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
