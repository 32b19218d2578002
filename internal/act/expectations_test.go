package act

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
)

// view holds one Pod or none.
type view struct{ pod *corev1.Pod }

func (v *view) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if v.pod == nil {
		return apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
	}
	v.pod.DeepCopyInto(into.(*corev1.Pod)) //nolint:forcetypeassert // only Pods are read
	return nil
}

func (v *view) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func labelled(p *corev1.Pod) *corev1.Pod {
	p.Labels = map[string]string{resources.LabelCluster: "demo"}
	return p
}

func pod(uid, version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "demo-0", UID: types.UID(uid), ResourceVersion: version,
	}}
}

func terminating(p *corev1.Pod) *corev1.Pod {
	p.DeletionTimestamp = &metav1.Time{}
	return p
}

func TestUnsettled(t *testing.T) {
	wrote := func(e *Expectations, p *corev1.Pod) { e.Wrote(client.ObjectKey{Name: "demo"}, p) }
	deleted := func(e *Expectations, p *corev1.Pod) { e.Deleted(client.ObjectKey{Name: "demo"}, p) }
	tests := map[string]struct {
		did     func(*Expectations, *corev1.Pod)
		what    *corev1.Pod
		cached  *corev1.Pod
		live    *corev1.Pod
		after   time.Duration
		settled bool
	}{
		"a created object that the cache lacks":     {wrote, pod("a", "10"), nil, pod("a", "10"), 0, false},
		"a created object that the cache shows":     {wrote, pod("a", "10"), pod("a", "10"), nil, 0, true},
		"an updated object, before the update":      {wrote, pod("a", "10"), pod("a", "9"), nil, 0, false},
		"an updated object, after a later update":   {wrote, pod("a", "10"), pod("a", "11"), nil, 0, true},
		"resource versions compare as numbers":      {wrote, pod("a", "10"), pod("a", "9999999999"), nil, 0, true},
		"a predecessor of the created object":       {wrote, pod("b", "10"), pod("a", "5"), nil, 0, false},
		"a successor of the created object":         {wrote, pod("a", "10"), pod("b", "15"), nil, 0, true},
		"a deleted object that the cache shows":     {deleted, pod("a", "10"), pod("a", "10"), nil, 0, false},
		"a deleted object that is terminating":      {deleted, pod("a", "10"), terminating(pod("a", "11")), nil, 0, true},
		"a deleted object that is gone":             {deleted, pod("a", "10"), nil, nil, 0, true},
		"a successor of the deleted object":         {deleted, pod("a", "10"), pod("b", "15"), nil, 0, true},
		"a predecessor of the deleted object":       {deleted, pod("b", "10"), pod("a", "5"), nil, 0, false},
		"somebody else deleted it unseen":           {wrote, pod("a", "10"), nil, nil, 3 * time.Second, true},
		"somebody else replaced it, cache too":      {wrote, pod("a", "10"), pod("b", "7"), pod("b", "7"), 3 * time.Second, true},
		"it lost the label that the cache needs":    {wrote, pod("a", "10"), nil, pod("a", "12"), 3 * time.Second, true},
		"the cache has yet to show it":              {wrote, pod("a", "10"), nil, labelled(pod("a", "12")), 3 * time.Second, false},
		"the control plane went back in time":       {wrote, pod("a", "10"), pod("a", "7"), pod("a", "7"), 3 * time.Second, true},
		"the cache is merely slow":                  {wrote, pod("a", "10"), pod("a", "9"), pod("a", "10"), 3 * time.Second, false},
		"the cache still shows what is deleted now": {wrote, pod("a", "10"), pod("a", "9"), nil, 3 * time.Second, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(0, 0)
			e := NewExpectations(&view{test.cached}, &view{test.live}, func() time.Time { return now })
			test.did(e, test.what)
			now = now.Add(test.after)
			unsettled, err := e.Unsettled(context.Background(), client.ObjectKey{Name: "demo"})
			if err != nil {
				t.Fatal(err)
			}
			if (unsettled == "") != test.settled {
				t.Errorf("unsettled is %q, want settled %t", unsettled, test.settled)
			}
		})
	}
}

func TestUnsettledOfAnotherCluster(t *testing.T) {
	e := NewExpectations(&view{}, &view{}, func() time.Time { return time.Unix(0, 0) })
	e.Wrote(client.ObjectKey{Name: "demo"}, pod("a", "10"))
	if unsettled, _ := e.Unsettled(context.Background(), client.ObjectKey{Name: "other"}); unsettled != "" {
		t.Errorf("a write for demo holds up another cluster: %s", unsettled)
	}
}

func TestWritesForAClusterThatIsGone(t *testing.T) {
	demo := client.ObjectKey{Name: "demo"}
	cached := &view{}
	e := NewExpectations(cached, &view{}, func() time.Time { return time.Unix(0, 0) })
	e.Wrote(demo, pod("a", "10"))
	if err := e.Forget(context.Background(), demo); err != nil {
		t.Fatal(err)
	}
	if unsettled, _ := e.Unsettled(context.Background(), demo); unsettled == "" {
		t.Error("nothing is waited for: a cluster of the same name would be decided on without a write for the former one")
	}
	cached.pod = pod("a", "10")
	if err := e.Forget(context.Background(), demo); err != nil {
		t.Fatal(err)
	}
	if len(e.pending) != 0 {
		t.Errorf("%v is remembered of a cluster that is gone, although the cache shows all of it", e.pending)
	}
}
