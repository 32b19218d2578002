package controllers

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
)

// Directories of testdata hold what Kubernetes held of a cluster at rest that a former release had made, each kind as
// "kubectl get KIND -o yaml" gave it.

func TestTheClustersOfAFormerReleaseAreLeftAsTheyAre(t *testing.T) {
	releases, err := filepath.Glob(filepath.Join("testdata", "release-*"))
	if err != nil || len(releases) == 0 {
		t.Fatalf("no recorded releases: %v", err)
	}
	for _, release := range releases {
		t.Run(filepath.Base(release), func(t *testing.T) {
			r := newRecorded(t, release)
			var obj v1alpha1.EtcdCluster
			if err := r.api.Get(t.Context(), r.key, &obj); err != nil {
				t.Fatal(err)
			}
			c, err := r.reconciler.Observer.Observe(t.Context(), r.api, &obj)
			if err != nil {
				t.Fatal(err)
			}
			if d := plan.Next(c); d.Step != nil || len(d.Blocked) > 0 {
				t.Errorf("the plan is to %v (%s); blocked %v", d.Step, d.Reason, d.Blocked)
			}
			obj.Spec.RestartedAt = new("now")
			if d := plan.Next(c); d.Step == nil && len(d.Blocked) == 0 {
				t.Error("nor do they follow an edit: the test proves nothing")
			}
			ctx := logr.NewContext(t.Context(), logr.Discard())
			for range 3 {
				if _, err := r.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: r.key}); err != nil {
					t.Fatal(err)
				}
			}
			r.requireOnlyRecords()
		})
	}
}

// requireOnlyRecords fails when anything but the status was written, apart from what claims record since.
func (r *recorded) requireOnlyRecords() {
	r.t.Helper()
	for _, kind := range []string{"Pod", "PersistentVolumeClaim", "Secret", "PodDisruptionBudget", "ConfigMap", "Service"} {
		for _, wrote := range r.api.Writes {
			if strings.Contains(wrote, " "+kind+" ") && kind != "PersistentVolumeClaim" {
				r.t.Errorf("it wrote: %s", wrote)
			}
		}
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.api.List(r.t.Context(), &claims); err != nil {
		r.t.Fatal(err)
	}
	for _, now := range claims.Items {
		before := r.claims[now.Name].DeepCopy()
		resources.RecordSizeInSpec(before, before.Spec.Resources.Requests.Storage().Value())
		before.TypeMeta, before.ResourceVersion = now.TypeMeta, now.ResourceVersion
		if diff := cmp.Diff(before, &now, cmpopts.EquateEmpty()); diff != "" {
			r.t.Errorf("claim %s has changed (-before +now):\n%s", now.Name, diff)
		}
	}
}

// recorded is a Kubernetes with what was recorded, whose members run and are healthy.
type recorded struct {
	t          *testing.T
	api        *kubetest.API
	key        client.ObjectKey
	reconciler *EtcdClusterReconciler
	pods       []corev1.Pod
	claims     map[string]*corev1.PersistentVolumeClaim
	served     map[string]string // fingerprints of the certificates that are served, by port
}

func newRecorded(t *testing.T, dir string) *recorded {
	t.Helper()
	r := &recorded{t: t, claims: map[string]*corev1.PersistentVolumeClaim{}, served: map[string]string{}}
	var latest time.Time
	var objects []client.Object
	for _, obj := range load(t, dir) {
		switch o := obj.(type) {
		case *v1alpha1.EtcdCluster:
			r.key = client.ObjectKeyFromObject(o)
		case *corev1.Pod:
			r.pods = append(r.pods, *o)
		case *corev1.PersistentVolumeClaim:
			r.claims[o.Name] = o.DeepCopy()
			// Volumes belong to no namespace, and were not recorded.
			objects = append(objects, &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: o.Spec.VolumeName},
				Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{
					Namespace: o.Namespace, Name: o.Name, UID: o.UID,
				}},
				Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
			})
		case *corev1.Secret:
			for port, name := range map[string]string{"2379": "-server-tls", "2380": "-peer-tls"} {
				if block, _ := pem.Decode(o.Data[corev1.TLSCertKey]); block != nil && strings.HasSuffix(o.Name, name) {
					sum := sha256.Sum256(block.Bytes)
					r.served[port] = hex.EncodeToString(sum[:])
				}
			}
		}
		if made := obj.GetCreationTimestamp().Time; made.After(latest) {
			latest = made
		}
		obj.SetManagedFields(nil)
		objects = append(objects, obj)
	}
	objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.key.Namespace}})
	r.api = kubetest.New(t, objects...)
	clock := func() time.Time { return latest.Add(time.Minute) }
	expect := act.NewExpectations(r.api, r.api, clock)
	observer := &observe.Observer{
		Etcd: r, Now: clock, DefaultVersion: "3.7.3", Live: r.api, Nodes: true, Credentials: &etcd.Credentials{},
		Handshake: func(_ context.Context, address string, _ *tls.Certificate) (string, error) {
			_, port, err := net.SplitHostPort(address)
			return r.served[port], err
		},
	}
	r.reconciler = &EtcdClusterReconciler{
		Client: r.api, Etcd: r, Observer: observer, Expect: expect, Events: &operator{t: t},
		Metrics: NewMetrics(prometheus.NewRegistry()),
		Executor: &act.Executor{
			Client: r.api, Live: r.api, Etcd: r, Observer: observer, Expect: expect, NewToken: func() string { return "new" },
		},
	}
	return r
}

// load reads the objects of all files.
func load(t *testing.T, dir string) []client.Object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	var objects []client.Object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list unstructured.UnstructuredList
		if err := yaml.Unmarshal(text, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, item := range list.Items {
			made, err := scheme.New(item.GroupVersionKind())
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, made); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			obj, ok := made.(client.Object)
			if !ok {
				t.Fatalf("%s holds a %T", file, made)
			}
			objects = append(objects, obj)
		}
	}
	return objects
}

func (r *recorded) Retain(string, []string) {}

// Client is that of the member at the address.
func (r *recorded) Client(target etcd.Target) (etcd.Client, error) {
	host, _, err := net.SplitHostPort(target.Address)
	for _, p := range r.pods {
		if err == nil && p.Status.PodIP == host {
			return recordedMember{recorded: r, pod: p}, nil
		}
	}
	return nil, fmt.Errorf("nobody is at %s", target.Address)
}

// recordedMember answers as a healthy member of its cluster, which the first one leads.
type recordedMember struct {
	etcd.Client // what is not implemented must not be asked of a cluster at rest
	*recorded
	pod corev1.Pod
}

func idOf(p corev1.Pod) uint64 {
	id, _ := resources.ParseID(p.Annotations[resources.AnnotationMemberID])
	return id
}

func (m recordedMember) clusterID() uint64 {
	var latch corev1.ConfigMap
	key := client.ObjectKey{Namespace: m.key.Namespace, Name: resources.LatchName(m.key.Name)}
	if err := m.api.Get(m.t.Context(), key, &latch); err != nil {
		m.t.Fatal(err)
	}
	l, err := resources.ParseLatch(&latch)
	if err != nil {
		m.t.Fatal(err)
	}
	return l.ClusterID
}

func (m recordedMember) Status(context.Context) (etcd.Status, error) {
	version := m.pod.Annotations[resources.AnnotationVersion]
	return etcd.Status{
		ClusterID: m.clusterID(), MemberID: idOf(m.pod), Version: version, Leader: idOf(m.pods[0]), Term: 2, Committed: 9,
		Applied: 9, StorageVersion: "3.6.0",
	}, nil
}

func (m recordedMember) Members(context.Context) (etcd.MemberList, error) {
	list := etcd.MemberList{ClusterID: m.clusterID()}
	for _, p := range m.pods {
		list.Members = append(list.Members, etcd.Member{
			ID: idOf(p), Name: p.Name, PeerURLs: []string{p.Annotations[resources.AnnotationPeerURL]},
			ClientURLs: []string{"https://" + p.Name},
		})
	}
	return list, nil
}

func (m recordedMember) Read(context.Context) error { return nil }
