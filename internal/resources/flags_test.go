package resources

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

// argsOf is the command line of slot 0, without those of TLS and the flags that are the same for every spec and minor.
func argsOf(c *v1alpha1.EtcdCluster, version string) []string {
	common := []string{
		"--name=", "--data-dir=", "--listen-", "--initial-", "--advertise-", "--log-outputs=", "--enable-grpc-gateway=",
	}
	tls := tlsArgsOf(c, version)
	return slices.DeleteFunc(args(c, bootstrapped(c, 0, version), state.Start{}), func(arg string) bool {
		return slices.Contains(tls, arg) ||
			slices.ContainsFunc(common, func(prefix string) bool { return strings.HasPrefix(arg, prefix) })
	})
}

func TestFlagsOfEachMinor(t *testing.T) {
	for version, want := range map[string][]string{
		"3.5.35": {
			"--quota-backend-bytes=3435973836", "--snapshot-count=10000",
			"--experimental-initial-corrupt-check=true", "--experimental-compact-hash-check-enabled=true",
			"--experimental-watch-progress-notify-interval=5s",
		},
		"3.6.16": {
			"--quota-backend-bytes=3435973836", "--snapshot-count=10000", "--max-learners=1",
			"--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true", "--watch-progress-notify-interval=5s",
		},
		"3.7.3": {
			"--quota-backend-bytes=3435973836", "--snapshot-count=10000", "--max-learners=1",
			"--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true", "--watch-progress-notify-interval=5s",
		},
	} {
		if diff := cmp.Diff(want, argsOf(cluster(), version)); diff != "" {
			t.Errorf("etcd %s (-want +got):\n%s", version, diff)
		}
	}
}

func TestEtcdOptionsBecomeFlags(t *testing.T) {
	c := cluster(etcdOptions(v1alpha1.EtcdOptions{
		QuotaBackendBytes: quantity("1Gi"),
		AutoCompaction:    &v1alpha1.AutoCompaction{Mode: v1alpha1.AutoCompactionPeriodic, Retention: "10h"},
		SnapshotCount:     new(int64(5000)),
		HeartbeatInterval: &metav1.Duration{Duration: 200 * time.Millisecond},
		ElectionTimeout:   &metav1.Duration{Duration: 2 * time.Second},
		ExtraArgs: []v1alpha1.ExtraArg{
			{Name: "watch-progress-notify-interval", Value: "1m"},
			{Name: "warning-apply-duration", Value: "1s"},
			{Name: "warning-unary-request-duration", Value: "2s"},
			{Name: "max-txn-ops", Value: "512"},
		},
	}))
	for version, want := range map[string][]string{
		"3.5.35": {
			"--quota-backend-bytes=1073741824", "--snapshot-count=5000",
			"--heartbeat-interval=200", "--election-timeout=2000",
			"--auto-compaction-mode=periodic", "--auto-compaction-retention=10h",
			"--experimental-initial-corrupt-check=true", "--experimental-compact-hash-check-enabled=true",
			"--experimental-warning-apply-duration=1s", "--experimental-watch-progress-notify-interval=1m",
			"--max-txn-ops=512",
		},
		"3.7.3": {
			"--quota-backend-bytes=1073741824", "--snapshot-count=5000",
			"--heartbeat-interval=200", "--election-timeout=2000",
			"--auto-compaction-mode=periodic", "--auto-compaction-retention=10h", "--max-learners=1",
			"--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true", "--max-txn-ops=512",
			"--warning-apply-duration=1s", "--warning-unary-request-duration=2s", "--watch-progress-notify-interval=1m",
		},
	} {
		if diff := cmp.Diff(want, argsOf(c, version)); diff != "" {
			t.Errorf("etcd %s (-want +got):\n%s", version, diff)
		}
	}
}

// A voter without a Pod starts while the spec is refused; with such a flag it would end at once.
func TestARetentionThatEtcdRefusesIsNotGivenToIt(t *testing.T) {
	for _, a := range []v1alpha1.AutoCompaction{
		{Mode: v1alpha1.AutoCompactionPeriodic, Retention: "99999999999h"},
		{Mode: v1alpha1.AutoCompactionRevision, Retention: "99999999999999999999"},
	} {
		c := cluster(etcdOptions(v1alpha1.EtcdOptions{AutoCompaction: &a}))
		if problems := Validate(c, "3.6.16"); len(problems) != 1 {
			t.Errorf("retention %s: the spec has the problems %q, want one", a.Retention, problems)
		}
		for _, arg := range argsOf(c, "3.6.16") {
			if strings.HasPrefix(arg, "--auto-compaction") {
				t.Errorf("retention %s: etcd gets %s", a.Retention, arg)
			}
		}
	}
}

// etcd takes the last of two equal flags, but a person reads the first.
func TestNoFlagIsGivenTwice(t *testing.T) {
	var all []v1alpha1.ExtraArg
	for _, f := range extraFlags() {
		all = append(all, v1alpha1.ExtraArg{Name: f.name(), Value: "1"})
	}
	c := cluster(etcdOptions(v1alpha1.EtcdOptions{ExtraArgs: all}))
	for _, version := range []string{"3.5.35", "3.6.16", "3.7.3"} {
		seen := map[string]bool{}
		for _, arg := range args(c, bootstrapped(c, 0, version), state.Start{}) {
			name, _, _ := strings.Cut(arg, "=")
			if seen[name] {
				t.Errorf("etcd %s gets %s twice", version, name)
			}
			seen[name] = true
		}
	}
}

// The CEL rule of the API and the table here are two lists of the same flags.
func TestTheAllowListIsTheAPIs(t *testing.T) {
	source, err := os.ReadFile("../../api/v1alpha1/etcd_options.go")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`rule="self in \[([^\]]*)\]"`).FindSubmatch(source)
	if rule == nil {
		t.Fatal("found no rule over extraArgs names in the API")
	}
	var here []string
	for _, f := range extraFlags() {
		here = append(here, "'"+f.name()+"'")
	}
	slices.Sort(here)
	if diff := cmp.Diff(string(rule[1]), strings.Join(here, ", ")); diff != "" {
		t.Errorf("the lists differ (-API +table):\n%s", diff)
	}
}

func TestQuota(t *testing.T) {
	sized := func(size string) func(*v1alpha1.EtcdCluster) {
		return func(c *v1alpha1.EtcdCluster) { c.Spec.Storage.Size = quantity(size) }
	}
	given := etcdOptions(v1alpha1.EtcdOptions{QuotaBackendBytes: quantity("3Gi")})
	for name, tc := range map[string]struct {
		cluster *v1alpha1.EtcdCluster
		want    int64
	}{
		"40 % of the default 8Gi":                {cluster(), 3435973836},
		"40 % of the volume":                     {cluster(sized("10Gi")), 4 << 30},
		"at most 8Gi":                            {cluster(sized("1Ti")), 8 << 30},
		"a small volume":                         {cluster(sized("100Mi")), 40 << 20},
		"given":                                  {cluster(given), 3 << 30},
		"40 % of an ephemeral limit":             {cluster(ephemeral(v1alpha1.EphemeralMemory, "1Gi")), 429496728},
		"ephemeral without a limit":              {cluster(ephemeral(v1alpha1.EphemeralDisk, "")), 2 << 30},
		"given, above what would be the default": {cluster(ephemeral(v1alpha1.EphemeralDisk, "5Gi"), given), 3 << 30},
	} {
		if got := QuotaBackendBytes(tc.cluster, quotaSize(tc.cluster, state.Incarnation{})); got != tc.want {
			t.Errorf("%s: quota is %d, want %d", name, got, tc.want)
		}
	}
}

func TestMinorOfAVersion(t *testing.T) {
	for version, want := range map[string]minor{"3.5.32": etcd35, "3.6.14": etcd36, "3.7.2": etcd37, "3.7.10": etcd37} {
		if got, known := minorOf(version); !known || got != want {
			t.Errorf("%s is of minor %s, %t; want %s", version, got, known, want)
		}
	}
	for _, version := range []string{"", "3", "3.6", "3.60.1", "3.8.0", "v3.6.16", "2.3.7"} {
		if got, known := minorOf(version); known {
			t.Errorf("%q was taken for minor %s", version, got)
		}
	}
}
