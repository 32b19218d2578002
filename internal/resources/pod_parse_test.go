package resources

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

var at = metav1.NewTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

func TestPodRoundTrip(t *testing.T) {
	c := cluster()
	i := bootstrapped(c, 1, "3.6.16")
	made := state.Pod{
		Name: "demo-1", UID: "uid", ResourceVersion: "7", Owner: testUID, Slot: 1, Generation: 1, MemberID: i.MemberID,
		Token: testToken, Size: 3,
		Volume: VolumeName("demo", 1, i.MemberID), InitialCluster: i.BootstrapList, Voter: true,
		Applied: AppliedOn(c, "3.6.16", 8<<30), Version: "3.6.16", Quota: 3435973836, Created: at.Time,
	}
	etcdContainer := func(s corev1.ContainerStatus) []corev1.ContainerStatus {
		s.Name = EtcdContainer
		return []corev1.ContainerStatus{{Name: "injected-sidecar", RestartCount: 99}, s}
	}
	running := corev1.ContainerStatus{
		ContainerID: "containerd://1",
		State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   func(*state.Pod)
	}{
		"just created": {func(*corev1.Pod) {}, func(*state.Pod) {}},
		"waits for a node": {
			func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
					Reason: "Unschedulable", Message: "0/3 nodes fit",
				}}
			},
			func(p *state.Pod) { p.Waiting = "Unschedulable: 0/3 nodes fit" },
		},
		"waits for its image": {
			func(p *corev1.Pod) {
				p.Spec.NodeName = "node-1"
				p.Status.ContainerStatuses = etcdContainer(corev1.ContainerStatus{State: corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"},
				}})
			},
			func(p *state.Pod) { p.Node, p.Waiting = "node-1", "ErrImagePull: not found" },
		},
		"runs and is ready": {
			func(p *corev1.Pod) {
				p.Spec.NodeName, p.Status.PodIP, p.Status.Phase = "node-1", "10.0.0.1", corev1.PodRunning
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
				p.Status.ContainerStatuses = etcdContainer(running)
			},
			func(p *state.Pod) {
				p.Node, p.IP, p.Running, p.Ready, p.ContainerID = "node-1", "10.0.0.1", true, true, "containerd://1"
			},
		},
		"waits for a scheduler that may not exist": {
			func(p *corev1.Pod) { p.Spec.SchedulerName = "mine" },
			func(p *state.Pod) { p.Waiting = "no scheduler named mine has looked at it yet" },
		},
		"was restarted and crashed again": {
			func(p *corev1.Pod) {
				p.Status.ContainerStatuses = etcdContainer(corev1.ContainerStatus{
					RestartCount: 3,
					ContainerID:  "containerd://3",
					State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
						Reason: "CrashLoopBackOff", Message: "back-off 40s",
					}},
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
						ExitCode: 1, Message: "bootstrap failed", FinishedAt: at,
					}},
				})
			},
			func(p *state.Pod) {
				p.Restarts, p.Waiting = 3, "CrashLoopBackOff: back-off 40s"
				p.LastExit = &state.Exit{Code: 1, Message: "bootstrap failed", At: at.Time}
			},
		},
		"is evicted": {
			func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "low on disk"
				p.Status.ContainerStatuses = etcdContainer(corev1.ContainerStatus{State: corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, FinishedAt: at},
				}})
			},
			func(p *state.Pod) {
				p.Finished, p.Waiting = true, "Evicted: low on disk"
				p.LastExit = &state.Exit{Code: 137, At: at.Time}
			},
		},
		"is called failed while its container may still run": {
			func(p *corev1.Pod) {
				p.Status.Phase = corev1.PodFailed
				p.Status.ContainerStatuses = etcdContainer(running)
			},
			func(p *state.Pod) { p.Running, p.ContainerID = true, "containerd://1" },
		},
		"failed before any container": {
			func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "UnexpectedAdmissionError" },
			func(p *state.Pod) { p.Finished, p.Waiting = true, "UnexpectedAdmissionError" },
		},
		"is being deleted": {
			func(p *corev1.Pod) { p.DeletionTimestamp = &at },
			func(p *state.Pod) { p.Terminating = true },
		},
		"was deleted by force and has a finalizer": {
			func(p *corev1.Pod) { p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, new(int64) },
			func(p *state.Pod) { p.Terminating, p.Forced = true, true },
		},
		"is another owner's": {
			func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" },
			func(p *state.Pod) { p.Owner = "other" },
		},
		"is nobody's": {
			func(p *corev1.Pod) { p.OwnerReferences = nil },
			func(p *state.Pod) { p.Owner = "" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := Pod(c, i, state.Start{InitialCluster: i.BootstrapList, Voter: true})
			pod.UID, pod.ResourceVersion, pod.CreationTimestamp = "uid", "7", at
			tc.change(pod)
			want := made
			want.Args = pod.Spec.Containers[0].Args
			tc.want(&want)
			got, err := ParsePod("demo", pod)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the Pod came back otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEphemeralPodHoldsTheRecordsOfItsIncarnation(t *testing.T) {
	c := cluster(ephemeral(v1alpha1.EphemeralDisk, ""))
	pod := Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{InitialCluster: "list"})
	check := func(when string, started, retiring, voter bool) {
		t.Helper()
		p, err := ParsePod("demo", pod)
		if err != nil {
			t.Fatal(err)
		}
		if p.Volume != "" || p.Started != started || p.Retiring != retiring || p.Voter != voter {
			t.Errorf("%s: volume %q, started %t, retiring %t, voter %t", when, p.Volume, p.Started, p.Retiring, p.Voter)
		}
	}
	check("just made", false, false, false)
	RecordPodStarted(pod)
	check("seen started", true, false, false)
	SetVoter(pod)
	check("about to be promoted", true, false, true)
	RecordPodRetiring(pod, true)
	check("about to be removed", true, true, true)
	RecordPodRetiring(pod, false)
	check("removal withdrawn", true, false, true)
	RecordSurge(pod)
	if p, err := ParsePod("demo", pod); err != nil || !p.Surge {
		t.Errorf("recorded as a stand-in: %t, error %v", p.Surge, err)
	}
}

func TestAPodTellsWhetherItIsTheFirstOnItsVolume(t *testing.T) {
	pod := Pod(cluster(), bootstrapped(cluster(), 0, "3.6.16"), state.Start{InitialCluster: "list"})
	for _, want := range []bool{false, true} {
		p, err := ParsePod("demo", pod)
		if err != nil || p.Unused != want {
			t.Errorf("its volume was unused: %t, want %t (%v)", p.Unused, want, err)
		}
		MarkUnused(pod)
	}
}

func TestParsePodRefusesRecordsThatDoNotFit(t *testing.T) {
	annotate := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations[key] = value }
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"no records":           {func(p *corev1.Pod) { p.Annotations = nil }, "generation is"},
		"no member ID":         {annotate(AnnotationMemberID, ""), "member-id is"},
		"member ID 0":          {annotate(AnnotationMemberID, "0"), "member-id is"},
		"no list":              {annotate(AnnotationInitialCluster, ""), "initial-cluster is missing"},
		"started is none":      {annotate(AnnotationStarted, "maybe"), "started is"},
		"no member label":      {func(p *corev1.Pod) { p.Labels = nil }, "fit no member"},
		"a name of no slot":    {func(p *corev1.Pod) { p.Name = "demo-0-1" }, "fit no member"},
		"another peer URL":     {annotate(AnnotationPeerURL, "http://10.0.0.1:2380"), "peer-url is"},
		"no token":             {annotate(AnnotationToken, ""), "token is missing"},
		"no bootstrap size":    {annotate(AnnotationSize, "none"), "size is"},
		"no generation number": {annotate(AnnotationGeneration, "one"), "generation is"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := Pod(cluster(), bootstrapped(cluster(), 0, "3.6.16"), state.Start{InitialCluster: "list"})
			tc.change(pod)
			p, err := ParsePod("demo", pod)
			if err == nil || !strings.Contains(err.Error(), tc.want) ||
				!strings.Contains(err.Error(), "shop/"+pod.Name) {
				t.Fatalf("got error %v, want one with %q and the Pod's name", err, tc.want)
			}
			if diff := cmp.Diff(state.Pod{}, p); diff != "" {
				t.Errorf("a Pod came with the error:\n%s", diff)
			}
		})
	}
}
