package sim

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/resources"
)

// files are what a kubelet has mounted into a Pod, by path.
type files map[string]string

// certificatePaths are where a container looks for its certificates; empty ones where it speaks plain text.
type certificatePaths struct {
	peerTrust, clientTrust string
	peerCert, peerKey      string
	serverCert, serverKey  string
	peerCommonName         string
}

func pathsOf(pod *corev1.Pod) certificatePaths {
	return certificatePaths{
		peerTrust: argument(pod, "--peer-trusted-ca-file="), clientTrust: argument(pod, "--trusted-ca-file="),
		peerCert: argument(pod, "--peer-cert-file="), peerKey: argument(pod, "--peer-key-file="),
		serverCert: argument(pod, "--cert-file="), serverKey: argument(pod, "--key-file="),
		peerCommonName: argument(pod, "--peer-cert-allowed-cn="),
	}
}

// read returns an object as the kubelet knows it: its watch may be late.
func (k *kube) read(kind, name string) (map[string]string, error) {
	obj := k.world.store.at(ref{kind, namespace, name}, k.world.now.Add(-k.lag))
	data := map[string]string{}
	switch o := obj.(type) {
	case *corev1.Secret:
		for key, value := range o.Data {
			data[key] = string(value)
		}
	case *corev1.ConfigMap:
		data = o.Data
	default:
		return nil, fmt.Errorf("%s %s not found", kind, name)
	}
	return data, nil
}

// mount gives the Pod all its files, or tells which object is missing or lacks a key: then its containers wait.
func (k *kube) mount(pod *corev1.Pod) (files, error) {
	mounted := files{}
	for _, v := range pod.Spec.Volumes {
		if err := k.mountVolume(pod, v, mounted); err != nil {
			return nil, err
		}
	}
	return mounted, nil
}

func (k *kube) mountVolume(pod *corev1.Pod, v corev1.Volume, into files) error {
	kind, name, items := "", "", []corev1.KeyToPath(nil)
	switch {
	case v.ConfigMap != nil:
		kind, name, items = "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Items
	case v.Secret != nil:
		kind, name, items = "Secret", v.Secret.SecretName, v.Secret.Items
	default:
		return nil
	}
	data, err := k.read(kind, name)
	if err != nil {
		return err
	}
	if items == nil {
		for key := range data {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	for _, item := range items {
		if _, found := data[item.Key]; !found {
			return fmt.Errorf("%s %s lacks the key %s", kind, name, item.Key)
		}
	}
	for _, item := range items {
		into[mountPathOf(pod, v.Name)+"/"+item.Path] = data[item.Key]
	}
	return nil
}

func mountPathOf(pod *corev1.Pod, volume string) string {
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		if m.Name == volume {
			return m.MountPath
		}
	}
	return ""
}

// refresh brings the Secrets of a running Pod up to date: at once when its annotation changes, else now and then. Those
// that cannot be read, or lack a key, stay as they were mounted. An immutable ConfigMap is never read again.
func (k *kube) refresh(pod *corev1.Pod, c *container) {
	told := pod.Annotations[resources.AnnotationCertificates]
	if c.files == nil || told == c.told && k.world.now.Before(c.refreshAt) {
		return
	}
	c.told, c.refreshAt = told, k.world.now.Add(k.resync)
	for _, v := range pod.Spec.Volumes {
		if v.Secret != nil {
			_ = k.mountVolume(pod, v, c.files)
		}
	}
}

// load is what etcd does with its certificates when it starts: CAs are read now and never again.
func (k *kube) load(c *container) error {
	c.peerTrust, c.clientTrust = c.files[c.paths.peerTrust], c.files[c.paths.clientTrust]
	if c.paths.serverCert == "" {
		return nil
	}
	v := k.world.verifier
	if v.bundle(c.peerTrust).Empty() || v.bundle(c.clientTrust).Empty() {
		return errors.New("open the trusted CA file: no certificate")
	}
	if v.leaf(c.peerLeaf()) == nil || v.leaf(c.serverLeaf()) == nil {
		return errors.New("tls: failed to find any PEM data in certificate input")
	}
	return nil
}

func (c *container) peerLeaf() leaf {
	return leaf{c.files[c.paths.peerCert], c.files[c.paths.peerKey]}
}

func (c *container) serverLeaf() leaf {
	return leaf{c.files[c.paths.serverCert], c.files[c.paths.serverKey]}
}

// defaultResync is how often the kubelet reads Secrets anew when the schedule says nothing else.
const defaultResync = time.Minute
