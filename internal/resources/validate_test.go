package resources

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestValidateAcceptsGoodSpecs(t *testing.T) {
	for name, c := range map[string]*v1alpha1.EtcdCluster{
		"the defaults":     cluster(),
		"everything given": everythingGiven(),
		"every extra flag": cluster(etcdOptions(v1alpha1.EtcdOptions{ExtraArgs: []v1alpha1.ExtraArg{
			{Name: "auth-token-ttl", Value: "300"}, {Name: "backend-batch-interval", Value: "100ms"},
			{Name: "backend-batch-limit", Value: "10000"}, {Name: "backend-bbolt-freelist-type", Value: "map"},
			{Name: "bcrypt-cost", Value: "10"}, {Name: "compaction-batch-limit", Value: "1000"},
			{Name: "compaction-sleep-interval", Value: "10ms"}, {Name: "grpc-keepalive-interval", Value: "2h"},
			{Name: "grpc-keepalive-min-time", Value: "5s"}, {Name: "grpc-keepalive-timeout", Value: "0"},
			{Name: "log-level", Value: "warn"}, {Name: "max-concurrent-streams", Value: "4294967295"},
			{Name: "max-request-bytes", Value: "1572864"}, {Name: "max-snapshots", Value: "5"},
			{Name: "max-txn-ops", Value: "128"}, {Name: "max-wals", Value: "5"}, {Name: "metrics", Value: "extensive"},
			{Name: "warning-apply-duration", Value: "100ms"}, {Name: "warning-unary-request-duration", Value: "300ms"},
			{Name: "watch-progress-notify-interval", Value: "100ms"},
		}})),
		"revisions are counted": cluster(compaction(v1alpha1.AutoCompactionRevision, "10000")),
		"a tmpfs below the memory limit": cluster(
			ephemeral(v1alpha1.EphemeralMemory, "1Gi"), memoryLimit("2Gi")),
		"a disk is not charged to memory": cluster(ephemeral(v1alpha1.EphemeralDisk, "4Gi"), memoryLimit("2Gi")),
		"root by explicit choice": cluster(podSpec(v1alpha1.PodSpec{SecurityContext: &corev1.PodSecurityContext{
			RunAsUser: new(int64(0)), RunAsNonRoot: new(false),
		}})),
		"a toleration of everything": cluster(podSpec(v1alpha1.PodSpec{
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		})),
	} {
		if problems := append(Validate(c, "3.6.16"), ValidateBeside(c)...); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func compaction(mode v1alpha1.AutoCompactionMode, retention string) func(*v1alpha1.EtcdCluster) {
	return etcdOptions(v1alpha1.EtcdOptions{AutoCompaction: &v1alpha1.AutoCompaction{Mode: mode, Retention: retention}})
}

func TestValidateRefusesExtraArgs(t *testing.T) {
	for name, tc := range map[string]struct{ version, flag, value, want string }{
		"a flag of the operator":      {"3.6.16", "data-dir", "/x", "is not in the allow-list: remove it"},
		"an older name":               {"3.5.35", "experimental-warning-apply-duration", "1s", "not in the allow-list"},
		"a flag that the minor lacks": {"3.5.35", "warning-unary-request-duration", "1s", "does not exist in etcd 3.5"},
		"no number":                   {"3.6.16", "max-txn-ops", "many", "give a whole number from 1"},
		"a number in hexadecimal":     {"3.6.16", "max-txn-ops", "0x10", "give a whole number"},
		"a negative number":           {"3.6.16", "max-wals", "-1", "give a whole number from 1"},
		"too small for etcd itself":   {"3.6.16", "max-request-bytes", "1024", "from 65536"},
		"files without end":           {"3.6.16", "max-wals", "0", "give a whole number from 1"},
		"beyond 32 bits":              {"3.6.16", "max-concurrent-streams", "4294967296", "to 4294967295"},
		"a cost that bcrypt refuses":  {"3.6.16", "bcrypt-cost", "32", "from 4 to 31"},
		"a duration without unit":     {"3.6.16", "grpc-keepalive-interval", "10", "duration with its unit"},
		"a negative duration":         {"3.6.16", "grpc-keepalive-timeout", "-1s", "of at least 0s"},
		"a duration too short":        {"3.6.16", "watch-progress-notify-interval", "10ms", "of at least 100ms"},
		"no level":                    {"3.6.16", "log-level", "verbose", "give one of debug, info"},
		"no freelist type":            {"3.6.16", "backend-bbolt-freelist-type", "hashmap", "give one of array, map"},
		"a reference to a variable":   {"3.6.16", "metrics", "$(INITIAL_CLUSTER)", "give one of basic, extensive"},
		"a value with more flags":     {"3.6.16", "max-wals", "5 --force-new-cluster", "give a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []v1alpha1.ExtraArg{{Name: tc.flag, Value: tc.value}}
			c := cluster(etcdOptions(v1alpha1.EtcdOptions{ExtraArgs: args}))
			expectOne(t, Validate(c, tc.version), "spec.etcd.extraArgs["+tc.flag+"]", tc.want)
		})
	}
}

func expectOne(t *testing.T, problems []string, parts ...string) {
	t.Helper()
	if len(problems) != 1 {
		t.Fatalf("got %d problems, want one: %q", len(problems), problems)
	}
	for _, part := range parts {
		if !strings.Contains(problems[0], part) {
			t.Errorf("the message lacks %q: %s", part, problems[0])
		}
	}
}

func TestValidateRefusesEtcdOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.EtcdCluster)
		want   string
	}{
		"a heartbeat of half milliseconds": {
			etcdOptions(v1alpha1.EtcdOptions{HeartbeatInterval: &metav1.Duration{Duration: 100500 * time.Microsecond}}),
			"spec.etcd.heartbeatInterval is 100.5ms",
		},
		"a retention of nothing":   {compaction(v1alpha1.AutoCompactionPeriodic, "0h"), "give a duration above 0"},
		"a retention beyond time":  {compaction(v1alpha1.AutoCompactionPeriodic, "99999999999h"), "give a duration"},
		"revisions beyond 64 bits": {compaction(v1alpha1.AutoCompactionRevision, "99999999999999999999"), "number of"},
		"a tmpfs above the memory limit": {
			func(c *v1alpha1.EtcdCluster) {
				ephemeral(v1alpha1.EphemeralMemory, "2Gi")(c)
				memoryLimit("2Gi")(c)
			}, "spec.storage.ephemeral.sizeLimit is 2Gi",
		},
		"a load balancer class without one": {
			func(c *v1alpha1.EtcdCluster) {
				c.Spec.ClientService = &v1alpha1.ClientServiceSpec{LoadBalancerClass: new("x")}
			}, "needs type LoadBalancer",
		},
		"an annotation that is no key": {
			func(c *v1alpha1.EtcdCluster) {
				c.Spec.ClientService = &v1alpha1.ClientServiceSpec{Annotations: map[string]string{"a b": ""}}
			}, `spec.clientService.annotations has the key "a b"`,
		},
		"a limit on pings that the operator's do not keep": {
			etcdOptions(v1alpha1.EtcdOptions{ExtraArgs: []v1alpha1.ExtraArg{{Name: "grpc-keepalive-min-time", Value: "30s"}}}),
			"set it to 10s at most",
		},
		"an annotation that no running Pod takes": {
			podMetadataGiven(v1alpha1.PodMetadata{Annotations: map[string]string{
				"container.apparmor.security.beta.kubernetes.io/etcd": "runtime/default",
			}}), "which Kubernetes changes in no running Pod",
		},
		"annotations beyond what a Pod can hold twice": {
			podMetadataGiven(v1alpha1.PodMetadata{Annotations: map[string]string{"note": strings.Repeat("x", 64<<10)}}),
			"takes 65540 bytes: shorten it to 65536",
		},
		"a label value that is none": {
			podMetadataGiven(v1alpha1.PodMetadata{Labels: map[string]string{"a": "b c"}}),
			`spec.podTemplate.metadata.labels gives a the value "b c"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			expectOne(t, append(Validate(cluster(tc.change), "3.6.16"), ValidateBeside(cluster(tc.change))...), tc.want)
		})
	}
}

func TestValidateRefusesPodFields(t *testing.T) {
	list := func(q string) corev1.ResourceList { return corev1.ResourceList{corev1.ResourceMemory: *quantity(q)} }
	antiAffinity := func(weight int32, term corev1.PodAffinityTerm) *corev1.Affinity {
		return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
				{Weight: weight, PodAffinityTerm: term},
			},
		}}
	}
	badSelector := &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}},
	}
	tolerating := func(t corev1.Toleration) v1alpha1.PodSpec {
		return v1alpha1.PodSpec{Tolerations: []corev1.Toleration{t}}
	}
	secured := func(s corev1.PodSecurityContext) v1alpha1.PodSpec { return v1alpha1.PodSpec{SecurityContext: &s} }
	spread := func(t corev1.TopologySpreadConstraint) v1alpha1.PodSpec {
		return v1alpha1.PodSpec{TopologySpreadConstraints: []corev1.TopologySpreadConstraint{t}}
	}
	for name, tc := range map[string]struct {
		spec v1alpha1.PodSpec
		want string
	}{
		"a request above its limit": {
			v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: list("2Gi"), Limits: list("1Gi")}},
			"resources.requests.memory is 2Gi, above the limit of 1Gi",
		},
		"a negative request": {
			v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: list("-1Gi")}},
			"give a quantity of 0 or more",
		},
		"a resource claim": {
			v1alpha1.PodSpec{Resources: &corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}},
			"resources.claims",
		},
		"root, but not in so many words": {
			secured(corev1.PodSecurityContext{RunAsUser: new(int64(0))}), "runAsUser is 0",
		},
		"Windows": {
			secured(corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{}}),
			"windowsOptions",
		},
		"a node selector that is none": {
			v1alpha1.PodSpec{NodeSelector: map[string]string{"pool": "a/b"}}, "nodeSelector gives pool the value",
		},
		"node affinity to nothing": {
			v1alpha1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{},
			}}}, "nodeAffinity requires one of no terms",
		},
		"a weight of 0": {
			v1alpha1.PodSpec{Affinity: antiAffinity(0, corev1.PodAffinityTerm{TopologyKey: "zone"})},
			"weight 0: give 1 to 100",
		},
		"affinity without a topology key": {
			v1alpha1.PodSpec{Affinity: antiAffinity(1, corev1.PodAffinityTerm{})},
			"podAntiAffinity has an entry without topologyKey",
		},
		"affinity with a selector that is none": {
			v1alpha1.PodSpec{Affinity: antiAffinity(1, corev1.PodAffinityTerm{
				TopologyKey: "zone", LabelSelector: badSelector,
			})},
			"a selector that Kubernetes refuses",
		},
		"required affinity without a topology key": {
			v1alpha1.PodSpec{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{}},
			}}}, "podAffinity has an entry without topologyKey",
		},
		"a toleration without key": {
			tolerating(corev1.Toleration{Effect: corev1.TaintEffectNoSchedule}), "an entry without key",
		},
		"a toleration with value and Exists": {
			tolerating(corev1.Toleration{Key: "a", Operator: corev1.TolerationOpExists, Value: "b"}),
			"operator Exists and a value",
		},
		"seconds without NoExecute": {
			tolerating(corev1.Toleration{Key: "a", TolerationSeconds: new(int64(1))}), "need effect NoExecute",
		},
		"no skew": {
			spread(corev1.TopologySpreadConstraint{TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}),
			"maxSkew 0",
		},
		"no choice when unsatisfiable": {
			spread(corev1.TopologySpreadConstraint{TopologyKey: "zone", MaxSkew: 1}), "whenUnsatisfiable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			expectOne(t, Validate(cluster(podSpec(tc.spec)), "3.6.16"), "spec.podTemplate.spec.", tc.want)
		})
	}
}

func TestValidateRefusesAnUnknownMinor(t *testing.T) {
	expectOne(t, Validate(cluster(), "3.8.0"), `spec.version "3.8.0"`, "3.5, 3.6 or 3.7")
}
