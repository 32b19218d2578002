package act

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// lostWorld is an API server with what is left of a cluster of three: one volume, and the Pod of its member.
type lostWorld struct {
	*world
	latch    state.Latch
	survivor *corev1.PersistentVolumeClaim
	// writes so far, and the number of the write before which the operator crashes; 0 for never.
	writes, crash int
}

var errCrash = errors.New("the operator crashes")

func newLostWorld(t *testing.T, crash int) *lostWorld {
	t.Helper()
	kept := managed(t)
	w := &lostWorld{world: newWorld(t, kept), crash: crash}
	w.operator.Observer.OperatorImage = statetest.OperatorImage
	w.latch = resources.NewLatch(kept.Cluster, 1, "lineage-1", 3, statetest.Version)
	w.latch.Formed = true
	members := resources.LatchMembers(kept.Cluster, w.latch)
	for _, in := range members {
		w.latch.Launched = append(w.latch.Launched, in.MemberID)
	}
	w.survivor = resources.Volume(kept.Cluster, members[0])
	resources.RecordStarted(w.survivor, w.latch.ClusterID)
	w.survivor.Spec.VolumeName = "pv-0"
	w.survivor.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("40Gi") // it has grown
	pod := resources.Pod(kept.Cluster, members[0], state.Start{
		InitialCluster: w.latch.InitialCluster, Voter: true, Trust: kept.Trust().Name,
	})
	peers := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: kept.Cluster.Namespace, Name: resources.PeerServiceName(kept.Cluster.Name),
		Labels: map[string]string{resources.LabelCluster: kept.Cluster.Name},
	}}
	w.create(resources.Latch(kept.Cluster, w.latch), w.survivor, pod, peers)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.EtcdContainer, State: corev1.ContainerState{
		Running: &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: now.Add(-time.Hour)}},
	}}}
	if err := w.api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.api.Before = func(_ context.Context, _ client.WithWatch, verb string, obj client.Object) error {
		if w.writes++; w.writes == w.crash {
			return errCrash
		}
		if _, claim := obj.(*corev1.PersistentVolumeClaim); claim && verb == "delete" {
			t.Errorf("the claim %s is deleted", obj.GetName())
		}
		return nil
	}
	return w
}

// reconcile observes, plans and acts once, as the operator does. A crash ends it.
func (w *lostWorld) reconcile() plan.Decision {
	w.t.Helper()
	c, err := w.operator.Observer.Observe(w.t.Context(), w.api, w.object())
	if err != nil {
		w.t.Fatal(err)
	}
	d := plan.Next(c)
	steps := slices.Clone(d.Ensures)
	if d.Step != nil {
		steps = append(steps, d.Step)
	}
	for _, s := range steps {
		switch s.(type) {
		case plan.ApplyServices, plan.ApplyDisruptionBudget, plan.ApplyNetworkPolicy:
			continue // they have nothing to do with it, and applying is slow in memory
		}
		err := w.operator.Do(w.t.Context(), c, s)
		if errors.Is(err, errCrash) {
			return d
		}
		var refused *RefusedError
		if _, later := Later(err); err != nil && !later && !errors.As(err, &refused) {
			w.t.Fatalf("%s: %v", s, err)
		}
	}
	return d
}

func (w *lostWorld) object() *v1alpha1.EtcdCluster {
	w.t.Helper()
	var obj v1alpha1.EtcdCluster
	if err := w.api.Get(w.t.Context(), client.ObjectKeyFromObject(w.kept.Cluster), &obj); err != nil {
		w.t.Fatal(err)
	}
	return &obj
}

// kubelet lets the Pods of inspections and of the salvage end well.
func (w *lostWorld) kubelet(lossID string) {
	w.t.Helper()
	var pods corev1.PodList
	if err := w.api.List(w.t.Context(), &pods); err != nil {
		w.t.Fatal(err)
	}
	for i := range pods.Items {
		var report any
		switch p := &pods.Items[i]; p.Labels[resources.ComponentLabel] {
		case resources.ComponentInspection:
			report = state.DataReport{
				ClusterID: w.latch.ClusterID, MemberID: w.latch.Launched[0], LastTerm: 3, LastIndex: 70,
				Voters: w.latch.Launched,
			}
		case resources.ComponentSalvage:
			report = state.SalvageReport{QuorumLossID: lossID, Digest: state.DataDigest{Keys: 9}}
		default:
			continue
		}
		message, err := json.Marshal(report)
		if err != nil {
			w.t.Fatal(err)
		}
		p := &pods.Items[i]
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: p.Spec.Containers[0].Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Message: string(message), FinishedAt: metav1.Time{Time: now},
			}},
		}}
		if err := w.api.Status().Update(w.t.Context(), p); err != nil {
			w.t.Fatal(err)
		}
	}
}

// recover goes on until the first member of the new cluster has a Pod, and tells the loss.
func (w *lostWorld) recover() state.QuorumLoss {
	w.t.Helper()
	var loss *state.QuorumLoss
	for range 60 {
		d := w.reconcile()
		if start, ok := d.Step.(plan.StartMembers); ok && start.Members[0].Incarnation.Token != w.latch.Token &&
			len(w.former()) == 0 {
			return *loss
		}
		if loss == nil {
			c, err := w.operator.Observer.Observe(w.t.Context(), w.api, w.object())
			if err != nil {
				w.t.Fatal(err)
			}
			if loss = plan.QuorumLoss(c); loss != nil {
				w.agree(*loss)
			}
		}
		id := ""
		if loss != nil {
			id = loss.ID
		}
		w.kubelet(id)
	}
	w.t.Fatalf("after 60 rounds no member of a new cluster is started; the last writes are %v",
		w.api.Writes[max(0, len(w.api.Writes)-10):])
	return state.QuorumLoss{}
}

// former are the volumes of the lost cluster that are not marked as kept aside.
func (w *lostWorld) former() []string {
	w.t.Helper()
	var claim corev1.PersistentVolumeClaim
	if err := w.api.Get(w.t.Context(), client.ObjectKeyFromObject(w.survivor), &claim); err != nil {
		w.t.Fatalf("the survivor's volume: %v", err)
	}
	if claim.Annotations[resources.AnnotationRetired] == "true" {
		return nil
	}
	return []string{claim.Name}
}

func (w *lostWorld) agree(loss state.QuorumLoss) {
	w.t.Helper()
	obj := w.object()
	obj.Spec.Recovery = &v1alpha1.RecoverySpec{QuorumLossID: loss.ID, ConfirmMissing: []string{"demo-1", "demo-2"}}
	before := w.api.Before
	w.api.Before = nil
	defer func() { w.api.Before = before }()
	if err := w.api.Update(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

func TestARecoveryIsTheSameWhereverTheOperatorCrashes(t *testing.T) {
	whole := newLostWorld(t, 0)
	whole.recover()
	if whole.writes < 12 {
		t.Fatalf("a recovery has %d writes, fewer than its steps: %v", whole.writes, whole.api.Writes)
	}
	begun := 1 + slices.IndexFunc(whole.api.Writes, func(done string) bool { return strings.Contains(done, "-inspect") })
	for crash := begun; crash <= whole.writes; crash++ {
		w := newLostWorld(t, crash)
		loss := w.recover()
		w.reconcile() // what the crash kept from being done in the last round
		c, err := w.operator.Observer.Observe(t.Context(), w.api, w.object())
		if err != nil {
			t.Fatal(err)
		}
		if !c.Formed() || c.Latch.ClusterID == w.latch.ClusterID || len(c.Latch.Launched) != 1 {
			t.Errorf("crash before write %d: the latch is %+v, want that of a new cluster that has formed", crash, c.Latch)
		}
		if len(c.Members) != 1 || c.Members[0].Volume == nil || !c.Members[0].Volume.Started ||
			c.Members[0].Volume.Request != 40<<30 || c.Members[0].Pod == nil || !c.Members[0].Pod.Sealed {
			t.Errorf("crash before write %d: the members are %+v, want one, sealed, on the salvaged volume of 40Gi", crash, c.Members)
		}
		for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
			if a := w.authority(side); a.Recovery != loss.ID || !a.Previous.Empty() {
				t.Errorf("crash before write %d: the %s CA was not made anew", crash, side)
			}
		}
		for _, done := range w.api.Writes {
			if strings.HasPrefix(done, "create ConfigMap demo-recovery-") && done != "create ConfigMap demo-recovery-"+loss.ID {
				t.Errorf("crash before write %d: %s", crash, done)
			}
		}
	}
}

func TestWithoutConsentNothingIsChanged(t *testing.T) {
	w := newLostWorld(t, 0)
	for range 10 {
		w.reconcile()
		w.kubelet("")
	}
	for _, done := range w.api.Writes {
		if strings.HasPrefix(done, "delete ") || strings.Contains(done, "ConfigMap demo-latch") ||
			strings.Contains(done, "ConfigMap demo-recovery") {
			t.Errorf("without consent: %s", done)
		}
	}
	before := len(w.api.Writes)
	if w.reconcile(); len(w.api.Writes) > before {
		t.Errorf("while consent is waited for: %v", w.api.Writes[before:])
	}
}
