// Package v1alpha1 is the API of Quorate: the EtcdCluster kind, its validation rules, and the conditions and reasons
// that its status reports.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=quorate.dev
package v1alpha1
