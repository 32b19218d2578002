package act

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// refusing is an API server whose StorageClass permits no expansion.
type refusing struct {
	refuse  bool
	patches int
}

func (r *refusing) patch(
	ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
) error {
	r.patches++
	if r.refuse {
		return apierrors.NewForbidden(corev1.Resource("persistentvolumeclaims"), obj.GetName(),
			errors.New("only dynamically provisioned pvc can be resized"))
	}
	return c.Patch(ctx, obj, patch, opts...)
}

func TestARefusedSizeIsNotAskedForInEveryReconcile(t *testing.T) {
	cluster := statetest.Formed(1).Volumes("8Gi").Build()
	claim := resources.Volume(cluster.Object, state.Incarnation{MemberID: cluster.Members[0].ID})
	claim.UID = "uid"
	server, now := &refusing{refuse: true}, statetest.Now
	c := fake.NewClientBuilder().WithObjects(claim).WithInterceptorFuncs(interceptor.Funcs{Patch: server.patch}).Build()
	clock := func() time.Time { return now }
	e := &Executor{Client: c, Live: c, Expect: NewExpectations(c, c, clock)}
	grow := func(to int64) error {
		return e.Do(t.Context(), cluster, plan.ResizeVolumes{
			Size: to, Claims: []plan.Claim{{Name: claim.Name, UID: "uid", Request: 8 << 30}}, Full: true,
		})
	}
	for range 3 {
		var refused *RefusedError
		if err := grow(16 << 30); !errors.As(err, &refused) || len(refused.Blocked) != 1 ||
			refused.Blocked[0].Reason != v1alpha1.ReasonVolumeGrowthRefused ||
			!strings.Contains(refused.Blocked[0].Message, "from 8Gi to 16Gi") ||
			!strings.Contains(refused.Blocked[0].Message, "set storage.size back to 8Gi") {
			t.Fatalf("got %v, want that it is refused and what to do", err)
		}
	}
	if server.patches != 1 {
		t.Errorf("the API server was asked %d times, want once", server.patches)
	}
	_ = grow(12 << 30)
	if server.patches != 2 {
		t.Error("another size was not asked for")
	}
	server.refuse, now = false, now.Add(refusedRetry)
	if err := grow(16 << 30); err != nil {
		t.Errorf("after %s the size was not asked for again: %v", refusedRetry, err)
	}
	got := &corev1.PersistentVolumeClaim{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(claim), got); err != nil {
		t.Fatal(err)
	}
	if size := got.Spec.Resources.Requests[corev1.ResourceStorage]; size.Cmp(resource.MustParse("16Gi")) != 0 ||
		got.Annotations[resources.AnnotationGrownFull] == "" {
		t.Errorf("the claim asks for %s with annotations %v, want 16Gi and when it was full", size.String(), got.Annotations)
	}
}

func TestWhatKubernetesRefusesComesWithAdvice(t *testing.T) {
	step := plan.ResizeVolumes{Size: 16 << 30}
	for name, tc := range map[string]struct {
		step    plan.ResizeVolumes
		request int64
		cause   string
		want    string
	}{
		"a class without expansion": {step, 8 << 30, "only dynamically provisioned", "allowVolumeExpansion: true"},
		"a ResourceQuota":           {step, 8 << 30, "exceeded quota: x", "Raise the ResourceQuota"},
		"taking back":               {step, 32 << 30, "can not be less than status.capacity", "Set storage.size to 32Gi"},
	} {
		cause := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Message: tc.cause}}
		err := growthRefused(tc.step, plan.Claim{Name: "data", Request: tc.request}, cause)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(refused.Blocked[0].Message, tc.cause+". "+tc.want) &&
			!strings.Contains(refused.Blocked[0].Message, tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// slowMember is one whose defragmentation ends when it is told to.
type slowMember struct {
	etcd.Client
	begun chan int64
	end   chan error
}

// dialer of the one member.
type dialer struct{ member slowMember }

func (d dialer) Client(etcd.Target) (etcd.Client, error) { return d.member, nil }
func (d dialer) Retain(string, []string)                 {}

func (s slowMember) Defragment(_ context.Context, dbSize int64) error {
	s.begun <- dbSize
	return <-s.end
}

func TestADefragmentationHoldsUpNothingAndWakesAtItsEnd(t *testing.T) {
	cluster := statetest.Formed(3).Volumes("8Gi").Database("3Gi", "1Gi", 1).Build()
	m := cluster.Members[1]
	woken := make(chan string, 1)
	member := slowMember{begun: make(chan int64, 1), end: make(chan error)}
	ops := &etcd.Operations{
		Now: func() time.Time { return statetest.Now }, Go: func(f func()) { go f() }, Ended: func(c string) { woken <- c },
	}
	e := &Executor{Etcd: dialer{member}, Operations: ops}
	step := plan.Defragment{Member: m.Name, ID: m.ID, PodUID: m.Pod.UID}
	for range 2 {
		if err := e.maintain(t.Context(), cluster, step); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-member.begun; got != 3<<30 {
		t.Errorf("the size is %d, want that of the database", got)
	}
	if !ops.Of("default/demo", string(m.Pod.UID)).Running {
		t.Error("it is not known that it goes on")
	}
	member.end <- errors.New("refused")
	if got := <-woken; got != "default/demo" {
		t.Errorf("cluster %q was woken, want default/demo", got)
	}
	o := ops.Of("default/demo", string(m.Pod.UID))
	if o.Running || o.Err == nil || !o.Ended.Equal(statetest.Now) {
		t.Errorf("remembered is %+v, want that it failed and when", o)
	}
	if len(member.begun) != 0 {
		t.Error("it was begun twice")
	}
	e.Forget("default/demo")
	if o := ops.Of("default/demo", string(m.Pod.UID)); !o.Ended.IsZero() {
		t.Errorf("remembered is %+v of a cluster that is gone", o)
	}
}
