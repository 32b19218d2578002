package storage

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/quorate/quorate/hack/kube/internal/volume"
)

func options(node string, mode corev1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	reclaim := corev1.PersistentVolumeReclaimRetain
	return controller.ProvisionOptions{
		PVName: "pvc-1", SelectedNodeName: node,
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: &reclaim},
		PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{mode},
				Resources: corev1.VolumeResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Mi")},
				},
			},
		},
	}
}

func TestProvisionRefusesBeforeItTouchesAnything(t *testing.T) {
	tests := []struct {
		name      string
		options   controller.ProvisionOptions
		complaint string
	}{
		{"a claim of an immediate class", options("", corev1.ReadWriteOnce), "WaitForFirstConsumer"},
		{"a shared volume", options("worker-1", corev1.ReadWriteMany), "ReadWriteMany is not possible"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, state, err := Provisioner{}.Provision(context.Background(), test.options)
			if err == nil || !strings.Contains(err.Error(), test.complaint) {
				t.Errorf("got error %v, want one that says %q", err, test.complaint)
			}
			if state != controller.ProvisioningFinished {
				t.Errorf("state is %s, want that nothing goes on", state)
			}
		})
	}
}

func TestThePersistentVolumeTellsTheTruth(t *testing.T) {
	provisioner := Provisioner{Store: volume.Store{Mounts: "/volumes"}}
	pv := provisioner.persistentVolume(options("worker-2", corev1.ReadWriteOnce), volume.Size(10<<20))
	if got := pv.Spec.Capacity[corev1.ResourceStorage]; got.String() != "32Mi" {
		t.Errorf("capacity is %s, want the real 32Mi", got.String())
	}
	if got := pv.Spec.Local.Path; got != "/volumes/worker-2/pvc-1" {
		t.Errorf("path is %s", got)
	}
	term := pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
	if term.Key != corev1.LabelHostname || len(term.Values) != 1 || term.Values[0] != "worker-2" {
		t.Errorf("the volume is bound to %v, want worker-2", term)
	}
	if got := pv.Spec.PersistentVolumeReclaimPolicy; got != corev1.PersistentVolumeReclaimRetain {
		t.Errorf("reclaim policy is %s, want that of the class", got)
	}
}

func TestDeleteRefusesAVolumeWithoutItsNode(t *testing.T) {
	err := Provisioner{}.Delete(context.Background(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
	if err == nil || !strings.Contains(err.Error(), nodeAnnotation) {
		t.Errorf("got error %v, want one that names the missing annotation", err)
	}
}
