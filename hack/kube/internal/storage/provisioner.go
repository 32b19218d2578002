// Package storage provisions PersistentVolumes for the local Kubernetes, as a CSI driver with local disks would.
package storage

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/quorate/quorate/hack/kube/internal/volume"
)

// ProvisionerName is what storage classes name as their provisioner.
const ProvisionerName = "quorate.dev/local-xfs"

// Provisioner creates and deletes volumes in a Store for the controller of sig-storage-lib-external-provisioner.
type Provisioner struct {
	Store volume.Store
}

var _ controller.Provisioner = Provisioner{}

// Provision makes a volume on the node that the scheduler has chosen.
func (p Provisioner) Provision(
	ctx context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	node := options.SelectedNodeName
	if node == "" {
		return nil, controller.ProvisioningFinished, errors.New(
			"no node is selected: the storage class must have volumeBindingMode WaitForFirstConsumer")
	}
	if err := checkAccessModes(options.PVC.Spec.AccessModes); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	request := options.PVC.Spec.Resources.Requests[corev1.ResourceStorage]
	size := volume.Size(request.Value())
	if err := p.Store.Create(ctx, node, options.PVName, size); err != nil {
		return nil, controller.ProvisioningInBackground, err
	}
	return p.persistentVolume(options, size), controller.ProvisioningFinished, nil
}

// Delete removes the volume of a released PersistentVolume.
func (p Provisioner) Delete(ctx context.Context, pv *corev1.PersistentVolume) error {
	node := pv.Annotations[nodeAnnotation]
	if node == "" {
		return fmt.Errorf("PersistentVolume %s has no annotation %s that names its node", pv.Name, nodeAnnotation)
	}
	return p.Store.Delete(ctx, node, pv.Name)
}

// nodeAnnotation records on which node a volume lies.
const nodeAnnotation = "quorate.dev/node"

func (p Provisioner) persistentVolume(options controller.ProvisionOptions, size int64) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	capacity := corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(size, resource.BinarySI)}
	node := options.SelectedNodeName
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        options.PVName,
			Annotations: map[string]string{nodeAnnotation: node},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      capacity,
			AccessModes:                   options.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			VolumeMode:                    &mode,
			MountOptions:                  options.StorageClass.MountOptions,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: p.Store.MountPoint(node, options.PVName)},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
					}},
				}},
			}},
		},
	}
}

func checkAccessModes(modes []corev1.PersistentVolumeAccessMode) error {
	for _, mode := range modes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return fmt.Errorf("access mode %s is not possible with a local volume: "+
				"use ReadWriteOnce or ReadWriteOncePod", mode)
		}
	}
	return nil
}
