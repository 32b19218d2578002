package resources

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

func TestPodObject(t *testing.T) {
	founder := func(c *v1alpha1.EtcdCluster, version string) *corev1.Pod {
		i := bootstrapped(c, 0, version)
		start := state.Start{InitialCluster: i.BootstrapList, Voter: true}
		if SpeaksTLS(c) {
			start.Trust, start.Certificates = testTrust, testRevision
		}
		return Pod(c, i, start)
	}
	golden(t, "pod-default", founder(cluster(), "3.6.16"))
	golden(t, "pod-tls-disabled", founder(cluster(tlsMode(v1alpha1.TLSDisabled)), "3.7.3"))

	memory := cluster(ephemeral(v1alpha1.EphemeralMemory, "1Gi"))
	golden(t, "pod-ephemeral-ipv6-sealed", Pod(memory, bootstrapped(memory, 2, "3.5.35"),
		state.Start{Sealed: true, Voter: true, IPv6: true, Node: "node-1", Trust: testTrust, Certificates: testRevision}))

	golden(t, "pod-everything-given", Pod(everythingGiven(), joined(), state.Start{
		InitialCluster: "demo-0=https://demo-0.demo-peers.shop.svc:2380,demo-3=https://demo-3.demo-peers.shop.svc:2380",
		Existing:       true,
		Node:           "node-1",
		Trust:          testTrust,
		Certificates:   testRevision,
	}))
}

func everythingGiven() *v1alpha1.EtcdCluster {
	return cluster(func(c *v1alpha1.EtcdCluster) {
		c.Spec.Image = &v1alpha1.ImageSpec{
			Repository:  new("registry.example/etcd"),
			Digest:      new("sha256:" + strings.Repeat("ab", 32)),
			PullPolicy:  new(corev1.PullAlways),
			PullSecrets: []v1alpha1.PullSecret{{Name: "one"}, {Name: "two"}},
		}
		c.Spec.PodTemplate = &v1alpha1.PodTemplate{
			Metadata: &v1alpha1.PodMetadata{
				Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"},
			},
			Spec: &v1alpha1.PodSpec{
				Resources: &corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": *quantity("2Gi")}},
				Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
						NodeSelectorTerms: []corev1.NodeSelectorTerm{onDisk("ssd"), onDisk("nvme")},
					},
				}},
				NodeSelector: map[string]string{"pool": "etcd"},
				Tolerations:  []corev1.Toleration{{Key: "etcd", Operator: corev1.TolerationOpExists}},
				TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
					{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule},
				},
				PriorityClassName:             new("high"),
				SchedulerName:                 new("mine"),
				RuntimeClassName:              new("gvisor"),
				SecurityContext:               &corev1.PodSecurityContext{RunAsUser: new(int64(1000))},
				TerminationGracePeriodSeconds: new(int64(60)),
			},
		}
	})
}

func onDisk(disk string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{disk}},
	}}
}

func TestPodOfAnEphemeralClusterHasNoClaim(t *testing.T) {
	for medium, want := range map[v1alpha1.EphemeralMedium]corev1.StorageMedium{
		v1alpha1.EphemeralDisk: corev1.StorageMediumDefault, v1alpha1.EphemeralMemory: corev1.StorageMediumMemory,
	} {
		c := cluster(ephemeral(medium, "1Gi"))
		pod := Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{InitialCluster: "x"})
		source := pod.Spec.Volumes[0].EmptyDir
		if source == nil || source.Medium != want || source.SizeLimit.String() != "1Gi" {
			t.Errorf("%s gives the volume %+v", medium, pod.Spec.Volumes[0].VolumeSource)
		}
	}
}

func TestSealedPodStartsWithItselfOnly(t *testing.T) {
	c := cluster()
	i := bootstrapped(c, 1, "3.6.16")
	const self = "demo-1=https://demo-1.demo-peers.shop.svc:2380"
	fresh := func() *corev1.Pod { return Pod(c, i, state.Start{InitialCluster: i.BootstrapList, Voter: true}) }
	for name, tc := range map[string]struct {
		pod         *corev1.Pod
		list, state string
		sealed      bool
	}{
		"a founder is not sealed": {fresh(), i.BootstrapList, "new", false},
		"a learner is not sealed": {
			Pod(c, i, state.Start{InitialCluster: "demo-0=u," + self, Existing: true}),
			"demo-0=u," + self, "existing", false,
		},
		"the only founder of its cluster is not sealed, although its list is itself": {
			Pod(c, i, state.Start{InitialCluster: self}), self, "new", false,
		},
		"born sealed, whatever list came along": {
			Pod(c, i, state.Start{InitialCluster: i.BootstrapList, Sealed: true}), self, "existing", true,
		},
		"sealed later": {changed(fresh(), func(p *corev1.Pod) { Seal(p, i, 0) }), self, "existing", true},
		"sealed by a new start": {
			changed(fresh(), func(p *corev1.Pod) { SetStart(p, state.Start{Sealed: true}) }), self, "existing", true,
		},
		"a learner's list made anew": {
			changed(fresh(), func(p *corev1.Pod) { SetStart(p, state.Start{InitialCluster: "a=b", Existing: true}) }),
			"a=b", "existing", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePod("demo", tc.pod)
			if err != nil {
				t.Fatal(err)
			}
			clusterState := tc.pod.Annotations[AnnotationInitialClusterState]
			if got.InitialCluster != tc.list || clusterState != tc.state || got.Sealed != tc.sealed {
				t.Errorf("starts with %q, %s, sealed=%t; want %q, %s, sealed=%t",
					got.InitialCluster, clusterState, got.Sealed, tc.list, tc.state, tc.sealed)
			}
		})
	}
}

func changed(pod *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod {
	change(pod)
	return pod
}

// etcd resolves the sealed settings from the annotations; a value written into the arguments would stay for ever.
func TestTheSealedSettingsReachEtcdFromTheAnnotations(t *testing.T) {
	c := cluster()
	container := Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{InitialCluster: "list"}).Spec.Containers[0]
	for flag, tc := range map[string]struct{ variable, annotation string }{
		"--initial-cluster":       {"INITIAL_CLUSTER", AnnotationInitialCluster},
		"--initial-cluster-state": {"INITIAL_CLUSTER_STATE", AnnotationInitialClusterState},
	} {
		if !slices.Contains(container.Args, flag+"=$("+tc.variable+")") {
			t.Errorf("%s does not come from $(%s): %v", flag, tc.variable, container.Args)
		}
		found := false
		for _, env := range container.Env {
			if strings.HasPrefix(env.Name, "ETCD_") {
				t.Errorf("etcd takes the variable %s for a flag", env.Name)
			}
			if env.Name == tc.variable {
				path := "metadata.annotations['" + tc.annotation + "']"
				found = env.ValueFrom != nil && env.ValueFrom.FieldRef.FieldPath == path
			}
		}
		if !found {
			t.Errorf("%s does not come from annotation %s: %+v", tc.variable, tc.annotation, container.Env)
		}
	}
}

// The requirements of the restricted Pod Security Standard, as in k8s.io/pod-security-admission/policy.
func TestPodsMeetTheRestrictedPodSecurityStandard(t *testing.T) {
	for name, c := range map[string]*v1alpha1.EtcdCluster{
		"default":          cluster(),
		"everything given": everythingGiven(),
		"ephemeral":        cluster(ephemeral(v1alpha1.EphemeralMemory, "")),
		"IDs left to the platform": cluster(podSpec(v1alpha1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{},
		})),
	} {
		t.Run(name, func(t *testing.T) {
			pod := Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{InitialCluster: "list", Trust: testTrust})
			s := pod.Spec
			if s.HostNetwork || s.HostPID || s.HostIPC {
				t.Error("uses a namespace of the host")
			}
			seccomp := s.SecurityContext.SeccompProfile
			if !*s.SecurityContext.RunAsNonRoot || seccomp.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("Pod security context is %+v", s.SecurityContext)
			}
			if u := s.SecurityContext.RunAsUser; u != nil && *u == 0 {
				t.Error("runs as root")
			}
			for _, v := range s.Volumes {
				if v.EmptyDir == nil && v.PersistentVolumeClaim == nil && v.Secret == nil && v.ConfigMap == nil {
					t.Errorf("volume %s is of another kind than emptyDir, claim, Secret and ConfigMap", v.Name)
				}
			}
			if len(s.InitContainers)+len(s.EphemeralContainers) > 0 || len(s.Containers) != 1 {
				t.Fatal("holds other containers than etcd")
			}
			sc := s.Containers[0].SecurityContext
			if *sc.AllowPrivilegeEscalation || !*sc.ReadOnlyRootFilesystem || sc.Privileged != nil ||
				!cmp.Equal(sc.Capabilities, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}) {
				t.Errorf("container security context is %+v", sc)
			}
			for _, p := range s.Containers[0].Ports {
				if p.HostPort != 0 {
					t.Errorf("port %s is a host port", p.Name)
				}
			}
		})
	}
}

func TestSecurityContextIsFilledFieldByField(t *testing.T) {
	id := func(n int64) *int64 { return &n }
	for name, tc := range map[string]struct {
		user               *corev1.PodSecurityContext
		uid, gid, fs       *int64
		nonRoot            bool
		fsGroupPolicyGiven corev1.PodFSGroupChangePolicy
	}{
		"none given": {nil, id(65532), id(65532), id(65532), true, corev1.FSGroupChangeOnRootMismatch},
		"empty: the platform chooses the IDs": {
			&corev1.PodSecurityContext{}, nil, nil, nil, true, corev1.FSGroupChangeOnRootMismatch,
		},
		"a user of its own": {
			&corev1.PodSecurityContext{RunAsUser: id(7)},
			id(7), id(65532), id(7), true, corev1.FSGroupChangeOnRootMismatch,
		},
		"what is given stays": {
			&corev1.PodSecurityContext{FSGroupChangePolicy: new(corev1.FSGroupChangeAlways), RunAsNonRoot: new(false)},
			id(65532), id(65532), id(65532), false, corev1.FSGroupChangeAlways,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := podSecurityContext(tc.user)
			want := &corev1.PodSecurityContext{
				RunAsUser: tc.uid, RunAsGroup: tc.gid, FSGroup: tc.fs, RunAsNonRoot: &tc.nonRoot,
				FSGroupChangePolicy: &tc.fsGroupPolicyGiven,
				SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserLabelsNeverReplaceTheOperators(t *testing.T) {
	c := cluster(func(c *v1alpha1.EtcdCluster) {
		c.Spec.PodTemplate = &v1alpha1.PodTemplate{Metadata: &v1alpha1.PodMetadata{
			Labels:      map[string]string{LabelCluster: "other", "team": "a"},
			Annotations: map[string]string{AnnotationMemberID: "1", "note": "b"},
		}}
	})
	i := bootstrapped(c, 0, "3.6.16")
	pod := Pod(c, i, state.Start{InitialCluster: "list"})
	if pod.Labels[LabelCluster] != "demo" || pod.Annotations[AnnotationMemberID] != FormatID(i.MemberID) {
		t.Errorf("records were replaced: %v %v", pod.Labels, pod.Annotations)
	}
	if pod.Labels["team"] != "a" || pod.Annotations["note"] != "b" {
		t.Errorf("the user's are missing: %v %v", pod.Labels, pod.Annotations)
	}
}

func TestBuildersLeaveTheSpecAlone(t *testing.T) {
	c := everythingGiven()
	before := c.DeepCopy()
	pod := Pod(c, joined(), state.Start{InitialCluster: "list", Node: "node-1"})
	pod.Spec.NodeSelector["x"] = "y"
	pod.Labels["x"] = "y"
	if diff := cmp.Diff(before, c); diff != "" {
		t.Errorf("the spec was changed (-before +after):\n%s", diff)
	}
}

func TestThePodIsAlwaysOwnedByTheCluster(t *testing.T) {
	for _, policy := range []v1alpha1.ReclaimPolicy{v1alpha1.ReclaimRetain, v1alpha1.ReclaimDelete} {
		c := cluster(reclaim(policy))
		pod := Pod(c, bootstrapped(c, 0, "3.6.16"), state.Start{InitialCluster: "list"})
		if owner := metav1.GetControllerOf(pod); owner == nil || owner.UID != testUID {
			t.Errorf("with %s the Pod has the owners %v", policy, pod.OwnerReferences)
		}
	}
}
