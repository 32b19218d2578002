package resources

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/state"
)

func testRecovery() state.Recovery {
	loss := state.QuorumLoss{
		ClusterID: 0xc, Chosen: 0xa,
		Survivors: []state.Survivor{{Name: "demo-0", MemberID: 0xa, Volume: "demo-0-a", VolumeUID: "u", Version: "3.6.16",
			LastTerm: 4, LastIndex: 120, Commit: 119}},
		Missing: []state.Missing{{Name: "demo-1", MemberID: 0xb, Why: "its volume is gone"}},
	}
	loss.ID = LossID(loss)
	return state.Recovery{
		Loss: loss, Confirmed: []string{"demo-1"}, From: testToken, To: "lineage-2", Generation: 2, Size: 1, Version: "3.6.16",
	}
}

func TestTheRecordOfARecoveryIsReadBackAsItWas(t *testing.T) {
	want := testRecovery()
	cm, err := RecoveryRecord(cluster(), want)
	if err != nil {
		t.Fatal(err)
	}
	if cm.Immutable == nil || !*cm.Immutable || len(cm.OwnerReferences) > 0 {
		t.Errorf("it is immutable %v, owned by %v; want it immutable, and nobody's as the volumes", cm.Immutable, cm.OwnerReferences)
	}
	RecordFinished(cm)
	got, err := ParseRecovery("demo", cm)
	if err != nil {
		t.Fatal(err)
	}
	want.Object, want.Finished = cm.Name, true
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("it is read back differently (-written +read):\n%s", diff)
	}
	for name, damage := range map[string]func(){
		"the evidence was edited": func() { cm.Data[recoveryLoss] = strings.Replace(cm.Data[recoveryLoss], "120", "121", 1) },
		"a token is missing":      func() { delete(cm.Data, recoveryTo) },
		"it has another name":     func() { cm.Name = RecoveryName("demo", "0123456789abcdef") },
		"the evidence is no JSON": func() { cm.Data[recoveryLoss] = "?" },
	} {
		cm, err = RecoveryRecord(cluster(), testRecovery())
		if err != nil {
			t.Fatal(err)
		}
		if damage(); func() error { _, err := ParseRecovery("demo", cm); return err }() == nil {
			t.Errorf("it is read although %s", name)
		}
	}
}

func TestTheIDOfALossTellsEvidenceApart(t *testing.T) {
	ids := []string{testRecovery().Loss.ID}
	for _, change := range []func(*state.QuorumLoss){
		func(l *state.QuorumLoss) { l.ClusterID++ },
		func(l *state.QuorumLoss) { l.Survivors[0].LastIndex++ },
		func(l *state.QuorumLoss) { l.Survivors[0].LastTerm++ },
		func(l *state.QuorumLoss) { l.Survivors[0].VolumeUID = "other" },
		func(l *state.QuorumLoss) { l.Survivors[0].MemberID++ },
		func(l *state.QuorumLoss) { l.Missing[0].MemberID++ },
		func(l *state.QuorumLoss) { l.Missing = append(l.Missing, state.Missing{MemberID: 7}) },
	} {
		l := testRecovery().Loss
		change(&l)
		ids = append(ids, LossID(l))
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 8 {
		t.Errorf("of 8 losses the IDs are %v", ids)
	}
	same := testRecovery().Loss
	same.Missing[0].Fenced, same.Missing[0].Node = true, "node-1"
	if LossID(same) != testRecovery().Loss.ID {
		t.Error("fencing a missing member makes another loss of it")
	}
}

func TestTheLatchOfARecoveredCluster(t *testing.T) {
	r := testRecovery()
	l := RecoveredLatch(cluster(), r)
	if !l.Formed || l.Generation != 2 || l.Token != "lineage-2" || !slices.Equal(l.Launched, []uint64{RecoveredMember(cluster(), r).MemberID}) {
		t.Errorf("with data it is %+v, want it formed, with one member", l)
	}
	r.Loss.Chosen, r.Loss.Survivors, r.Size = 0, nil, 3
	if l := RecoveredLatch(cluster(), r); l.Formed || l.Size != 3 || len(l.Launched) > 0 {
		t.Errorf("without data it is %+v, want one that has yet to form", l)
	}
}

func TestHelperPods(t *testing.T) {

	golden(t, "inspection", InspectionPod(cluster(), "quorate.dev/quorate:v1", "demo-0-a", "uid-claim", "node-1"))
	golden(t, "salvage", SalvagePod(cluster(), "quorate.dev/quorate:v1", testRecovery()))
}

func TestWhatHelperPodsTell(t *testing.T) {
	at := metav1.Time{Time: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	ended := func(code int32, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: helperContainer, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: at}}}
	}
	retried := ended(1, "no space left")
	retried.LastTerminationState, retried.State = retried.State, corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	tests := map[string]struct {
		status  corev1.ContainerStatus
		report  *state.DataReport
		waiting string
	}{
		"it ended well":   {ended(0, `{"memberID":10}`), &state.DataReport{MemberID: 10}, ""},
		"it failed":       {ended(1, "no space left"), nil, "it failed: no space left"},
		"it is retried":   {retried, nil, "it failed: no space left"},
		"it is no report": {ended(0, "hello"), nil, "what it told cannot be read"},
		"no image": {corev1.ContainerStatus{Name: helperContainer, State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}, nil, "ImagePullBackOff"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := InspectionPod(cluster(), "image", "demo-0-a", "uid-claim", "")
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{test.status}
			i := ParseInspection(pod)
			if i.Volume != "demo-0-a" || i.VolumeUID != "uid-claim" || !strings.HasPrefix(i.Waiting, test.waiting) ||
				(i.Waiting == "") != (test.waiting == "") || !cmp.Equal(i.Report, test.report) || (i.Report != nil) != i.At.Equal(at.Time) {
				t.Errorf("it is read as %+v, report %+v", i, i.Report)
			}
		})
	}
}

func TestAHelperThatWasEvictedHasFinished(t *testing.T) {
	created := metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	evict := func(pod *corev1.Pod) *corev1.Pod {
		pod.CreationTimestamp = created
		pod.Status.Phase, pod.Status.Reason = corev1.PodFailed, "Evicted"
		return pod
	}
	i := ParseInspection(evict(InspectionPod(cluster(), "image", "demo-0-a", "uid-claim", "")))
	if !i.Finished || i.Report != nil || i.Waiting != "Evicted" || !i.Created.Equal(created.Time) {
		t.Errorf("the inspection is read as %+v", i)
	}
	s := ParseSalvage(evict(SalvagePod(cluster(), "image", testRecovery())))
	if !s.Finished || s.Report != nil || s.Waiting != "Evicted" || !s.Created.Equal(created.Time) {
		t.Errorf("the salvage is read as %+v", s)
	}
}
