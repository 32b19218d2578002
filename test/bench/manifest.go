package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

//go:embed floor.yaml
var floorYAML string

// manifest fills in floor.yaml.
type manifest struct {
	Namespace, Cluster string
	// Version of etcd: floor.yaml has the flags of 3.6 and 3.7.
	Version string
	// Size of a volume, and Quota of the database in bytes.
	Size  string
	Quota int64
	// InitialCluster and State are etcd's --initial-cluster and --initial-cluster-state.
	InitialCluster, State string
	Members               []memberName
	// Certificates that were prepared; nil for plain text.
	Certificates *certificates
}

// memberName names a member, which is also its Pod, and its volume claim.
type memberName struct{ Name, Claim string }

// objects are what a manifest consists of. All are without a namespace.
type objects struct {
	Service *corev1.Service
	Secrets []*corev1.Secret
	// Trust is nil for plain text.
	Trust  *corev1.ConfigMap
	Claims []*corev1.PersistentVolumeClaim
	Pods   []*corev1.Pod
}

// shared are the objects that all members need, in the order of their creation.
func (o objects) shared() []client.Object {
	list := []client.Object{o.Service}
	for _, s := range o.Secrets {
		list = append(list, s)
	}
	if o.Trust != nil {
		list = append(list, o.Trust)
	}
	return list
}

// members are volumes before Pods: the scheduler puts a Pod whose claim it does not find aside for a while.
func (o objects) members() []client.Object {
	var list []client.Object
	for _, c := range o.Claims {
		list = append(list, c)
	}
	for _, p := range o.Pods {
		list = append(list, p)
	}
	return list
}

// Scheme of the URLs of the members.
func (m manifest) Scheme() string {
	if m.Certificates == nil {
		return "http"
	}
	return "https"
}

func (m manifest) member(slot int) memberName {
	name := fmt.Sprintf("%s-%d", m.Cluster, slot)
	return memberName{Name: name, Claim: "data-" + name}
}

// peerURL is the address in the manifest's --initial-advertise-peer-urls.
func (m manifest) peerURL(slot int) string {
	return fmt.Sprintf("%s://%s.%s-peers.%s.svc:2380", m.Scheme(), m.member(slot).Name, m.Cluster, m.Namespace)
}

// initialCluster lists the slots 0 to n-1.
func (m manifest) initialCluster(n int) string {
	entries := make([]string, 0, n)
	for slot := range n {
		entries = append(entries, m.member(slot).Name+"="+m.peerURL(slot))
	}
	return strings.Join(entries, ",")
}

// bootstrap is the manifest of n members that form a new cluster.
func (m manifest) bootstrap(n int) (objects, error) {
	m.State, m.InitialCluster = "new", m.initialCluster(n)
	for slot := range n {
		m.Members = append(m.Members, m.member(slot))
	}
	return m.render()
}

// joining is the manifest of the member that joins a cluster of the lower slots.
func (m manifest) joining(slot int) (objects, error) {
	m.State, m.InitialCluster = "existing", m.initialCluster(slot+1)
	m.Members = []memberName{m.member(slot)}
	return m.render()
}

// replacing is the manifest of the member that takes the place of a removed one among n, on a volume of its own.
func (m manifest) replacing(slot, n int) (objects, error) {
	m.State, m.InitialCluster = "existing", m.initialCluster(n)
	name := m.member(slot)
	name.Claim += "-again"
	m.Members = []memberName{name}
	return m.render()
}

func (m manifest) render() (objects, error) {
	t, err := template.New("floor.yaml").Option("missingkey=error").Parse(floorYAML)
	if err != nil {
		return objects{}, fmt.Errorf("floor.yaml: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, m); err != nil {
		return objects{}, fmt.Errorf("floor.yaml: %w", err)
	}
	var o objects
	for document := range strings.SplitSeq(text.String(), "\n---\n") {
		if err := o.add([]byte(document)); err != nil {
			return objects{}, fmt.Errorf("floor.yaml: %w", err)
		}
	}
	return o, nil
}

func (o *objects) add(document []byte) error {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "Service":
		o.Service = &corev1.Service{}
		return yaml.UnmarshalStrict(document, o.Service)
	case "Secret":
		o.Secrets = append(o.Secrets, &corev1.Secret{})
		return yaml.UnmarshalStrict(document, o.Secrets[len(o.Secrets)-1])
	case "ConfigMap":
		o.Trust = &corev1.ConfigMap{}
		return yaml.UnmarshalStrict(document, o.Trust)
	case "PersistentVolumeClaim":
		o.Claims = append(o.Claims, &corev1.PersistentVolumeClaim{})
		return yaml.UnmarshalStrict(document, o.Claims[len(o.Claims)-1])
	case "Pod":
		o.Pods = append(o.Pods, &corev1.Pod{})
		return yaml.UnmarshalStrict(document, o.Pods[len(o.Pods)-1])
	default:
		return fmt.Errorf("unexpected kind %q", kind.Kind)
	}
}
