package integration

import (
	"fmt"
	"slices"
	"strings"
)

const (
	wantReplicas   = "replicas must be 1, 3, 5 or 7"
	wantRelease    = "version must be a full etcd release number without a leading 'v'"
	wantSupported  = "version must be 3.5.32 or later, 3.6.14 or later, or 3.7.2 or later"
	wantAllowList  = "this flag is not in the allow-list"
	wantDuration   = "this flag takes a duration"
	wantNumber     = "this flag takes a whole number"
	wantVolume     = "a cluster with ephemeral storage cannot be hibernated"
	wantOneMedium  = "storage is either a volume (size, maxSize, storageClassName, reclaimPolicy) or ephemeral, not both"
	wantMaxSize    = "storage.maxSize must be at least storage.size (8Gi when not set)"
	wantSchedule   = "schedule must have five fields as in cron"
	wantWindow     = "duration must be between 1m and 168h"
	wantElection   = "electionTimeout (1s when not set) must be at least 5 times heartbeatInterval (100ms when not set)"
	wantQuota      = "quotaBackendBytes must not be above storage.size (8Gi when not set)"
	wantQuotaLimit = "quotaBackendBytes must not be above storage.ephemeral.sizeLimit"
	wantLabels     = "labels of quorate.dev and app.kubernetes.io belong to the operator"
	wantNotes      = "annotations of quorate.dev belong to the operator"
	wantImageName  = "repository must be an image name without tag and digest"
	wantDigest     = "digest must be 'sha256:' and 64 lower-case hexadecimal digits"
)

func maintenanceWindow(schedule, duration string) string {
	return fmt.Sprintf(`{maintenance: {window: {schedule: "%s", duration: %s}}}`, schedule, duration)
}

func refusedSpecs() []specCase {
	cases := []specCase{
		{"no members", `{replicas: 0}`, wantReplicas},
		{"a negative number of members", `{replicas: -1}`, wantReplicas},
		{"two members", `{replicas: 2}`, wantReplicas},
		{"four members", `{replicas: 4}`, wantReplicas},
		{"six members", `{replicas: 6}`, wantReplicas},
		{"eight members", `{replicas: 8}`, wantReplicas},
		{"nine members", `{replicas: 9}`, wantReplicas},
		{"a version that is a word", `{version: latest}`, wantRelease},
		{"an empty version", `{version: ""}`, wantRelease},
		{"a version without a patch number", `{version: "3.6"}`, wantRelease},
		{"a version with a leading v", `{version: v3.6.16}`, wantRelease},
		{"a pre-release", `{version: 3.7.0-rc.1}`, wantRelease},
		{"a version with a line break", `{version: "3.6.16\n"}`, wantRelease},
		{"an unsupported old minor", `{version: 3.4.30}`, wantSupported},
		{"a 3.5 that loses learner promotions", `{version: 3.5.31}`, wantSupported},
		{"a 3.5 of a single-digit patch", `{version: 3.5.9}`, wantSupported},
		{"a 3.6 that is too old", `{version: 3.6.13}`, wantSupported},
		{"a 3.7 that is too old", `{version: 3.7.1}`, wantSupported},
		{"a minor that is not known yet", `{version: 3.8.0}`, wantSupported},
		{"a major that is not known yet", `{version: 4.0.0}`, wantSupported},
		{"a patch number with a leading zero", `{version: 3.6.016}`, wantSupported},
		{"a volume and ephemeral storage", `{storage: {size: 8Gi, ephemeral: {}}}`, wantOneMedium},
		{"automatic growth of ephemeral storage", `{storage: {maxSize: 16Gi, ephemeral: {}}}`, wantOneMedium},
		{"automatic growth to less than there is", `{storage: {size: 16Gi, maxSize: 15Gi}}`, wantMaxSize},
		{"automatic growth to less than the default", `{storage: {maxSize: 7Gi}}`, wantMaxSize},
		{"automatic growth to something else than a size", `{storage: {maxSize: much}}`, "must be a quantity of at least 100Mi"},
		{"a maintenance window without a minute", maintenanceWindow("3 * * 6", "2h"), wantSchedule},
		{"a time zone in the schedule", maintenanceWindow("TZ=UTC 0 3 * * 6", "2h"), wantSchedule},
		{"a maintenance window of no time", maintenanceWindow("0 3 * * 6", "0s"), wantWindow},
		{"a maintenance window of weeks", maintenanceWindow("0 3 * * 6", "169h"), wantWindow},
		{"a maintenance window that never closes", `{maintenance: {window: {schedule: "0 3 * * 6"}}}`, "duration"},
		{"a compaction that keeps nothing", `{maintenance: {keepRevisions: 0}}`, "greater than or equal to 1"},
		{"defragmentation of what is hardly fragmented",
			`{maintenance: {defragmentation: {unusedPercent: 5}}}`, "greater than or equal to 10"},
		{"defragmentation for nothing",
			`{maintenance: {defragmentation: {minUnused: 0}}}`, "minUnused must be a quantity above 0"},
		{"a storage class and ephemeral storage", `{storage: {storageClassName: ssd, ephemeral: {}}}`, wantOneMedium},
		{"a reclaim policy and ephemeral storage", `{storage: {reclaimPolicy: Delete, ephemeral: {}}}`, wantOneMedium},
		{"hibernation of data that lies in the Pods", `{hibernated: true, storage: {ephemeral: {}}}`, wantVolume},
		{"a reclaim policy that does not exist",
			`{storage: {reclaimPolicy: Recycle}}`, `supported values: "Retain", "Delete"`},
		{"a medium that does not exist",
			`{storage: {ephemeral: {medium: Tape}}}`, `supported values: "Disk", "Memory"`},
		{"a volume too small for etcd", `{storage: {size: 99Mi}}`, "storage.size must be a quantity of at least 100Mi"},
		{"a negative volume", `{storage: {size: "-8Gi"}}`, "storage.size must be a quantity of at least 100Mi"},
		{"ephemeral storage too small for etcd",
			`{storage: {ephemeral: {sizeLimit: 1Mi}}}`, "sizeLimit must be a quantity of at least 100Mi"},
		{"a quota above the volume", `{storage: {size: 1Gi}, etcd: {quotaBackendBytes: 1025Mi}}`, wantQuota},
		{"a quota above the volume, in bytes",
			`{storage: {size: 1Gi}, etcd: {quotaBackendBytes: 1073741825}}`, wantQuota},
		{"a quota above the default volume", `{etcd: {quotaBackendBytes: 9Gi}}`, wantQuota},
		{"a quota above the ephemeral limit",
			`{storage: {ephemeral: {sizeLimit: 1Gi}}, etcd: {quotaBackendBytes: 2Gi}}`, wantQuotaLimit},
		{"a quota too small for anything",
			`{etcd: {quotaBackendBytes: 1Mi}}`, "quotaBackendBytes must be a quantity of at least 16Mi"},
		{"a quota that is no quantity", `{etcd: {quotaBackendBytes: lots}}`, "quotaBackendBytes must be a quantity"},
		{"a size with a wrong unit",
			`{storage: {size: 8GiB}}`, "storage.size must be a quantity of at least 100Mi, such as 8Gi"},
		{"an election timeout below five default heartbeats", `{etcd: {electionTimeout: 499ms}}`, wantElection},
		{"a heartbeat above a fifth of the default election timeout",
			`{etcd: {heartbeatInterval: 201ms}}`, wantElection},
		{"an election timeout below five heartbeats",
			`{etcd: {heartbeatInterval: 500ms, electionTimeout: 2.4s}}`, wantElection},
		{"an election timeout above etcd's limit", `{etcd: {electionTimeout: 51s}}`, "of at most 50s"},
		{"a heartbeat below 10ms", `{etcd: {heartbeatInterval: 9ms}}`, "between 10ms and 10s"},
		{"a heartbeat above 10s", `{etcd: {heartbeatInterval: 11s, electionTimeout: 50s}}`, "between 10ms and 10s"},
		{"a negative heartbeat", `{etcd: {heartbeatInterval: "-100ms"}}`, "between 10ms and 10s"},
		{"a heartbeat without a unit", `{etcd: {heartbeatInterval: "100"}}`, "between 10ms and 10s"},
		{"an election timeout that is no duration",
			`{etcd: {electionTimeout: soon}}`, "must be a duration in whole milliseconds"},
		{"a heartbeat in microseconds", `{etcd: {heartbeatInterval: 100500us}}`, "whole milliseconds"},
		{"a snapshot count of nothing", `{etcd: {snapshotCount: 0}}`, "greater than or equal to 100"},
		{"a periodic compaction by revisions",
			`{etcd: {autoCompaction: {mode: Periodic, retention: "1000"}}}`, "such as 10h"},
		{"a compaction by revisions with a duration",
			`{etcd: {autoCompaction: {mode: Revision, retention: 10h}}}`, "such as 10000"},
		{"an unknown compaction mode",
			`{etcd: {autoCompaction: {mode: Sometimes, retention: 10h}}}`, `supported values: "Periodic", "Revision"`},
		{"a label of the operator", `{podTemplate: {metadata: {labels: {quorate.dev/cluster: x}}}}`, wantLabels},
		{"a label of a sub-domain of the operator",
			`{podTemplate: {metadata: {labels: {x.quorate.dev/y: x}}}}`, wantLabels},
		{"a recommended label", `{podTemplate: {metadata: {labels: {app.kubernetes.io/name: x}}}}`, wantLabels},
		{"an annotation of the operator",
			`{podTemplate: {metadata: {annotations: {quorate.dev/initial-cluster: x}}}}`, wantNotes},
		{"a Service label of the operator", `{clientService: {labels: {quorate.dev/cluster: x}}}`, wantLabels},
		{"a Service annotation of the operator", `{clientService: {annotations: {quorate.dev/x: x}}}`, wantNotes},
		{"a Service type that does not exist", `{clientService: {type: Ingress}}`, `supported values: "ClusterIP"`},
		{"a Service type that has no endpoints",
			`{clientService: {type: ExternalName}}`, `supported values: "ClusterIP"`},
		{"a load balancer class without a load balancer", `{clientService: {loadBalancerClass: x}}`,
			"loadBalancerClass is only for a Service of type LoadBalancer"},
		{"a grace period too short to hand over the lead", `{podTemplate: {spec: {terminationGracePeriodSeconds: 5}}}`,
			"greater than or equal to 30"},
		{"an image with a tag", `{image: {repository: "gcr.io/etcd-development/etcd:v3.6.16"}}`, wantImageName},
		{"an image with a digest", `{image: {repository: "gcr.io/etcd@sha256:0"}}`, wantImageName},
		{"a digest that is too short", `{image: {digest: "sha256:abc"}}`, "at least 71"},
		{"a digest of another kind", `{image: {digest: "sha512:` + strings.Repeat("0", 64) + `"}}`, wantDigest},
		{"a consent to no loss", `{recovery: {confirmMissing: [demo-1]}}`, "quorumLossID"},
		{"a consent to something that is no ID", `{recovery: {quorumLossID: yes-do-it-now-00}}`,
			"quorumLossID must be copied from status.quorumLoss.id"},
		{"a member confirmed twice", `{recovery: {quorumLossID: 0123456789abcdef, confirmMissing: [demo-1, demo-1]}}`,
			"Duplicate value"},
		{"an unknown pull policy",
			`{image: {pullPolicy: Sometimes}}`, `supported values: "Always", "IfNotPresent", "Never"`},
	}
	return slices.Concat(cases, refusedFlags(), refusedTLS(), refusedRepairs())
}

// refusedFlags are etcd flags that belong to the operator, would endanger the data, or do not exist.
func refusedFlags() []specCase {
	var cases []specCase
	for _, flag := range []string{
		"force-new-cluster", "unsafe-no-fsync", "initial-cluster", "initial-cluster-state", "initial-cluster-token",
		"initial-advertise-peer-urls", "advertise-client-urls", "listen-client-urls", "listen-peer-urls",
		"listen-metrics-urls", "listen-client-http-urls", "name", "data-dir", "wal-dir", "cert-file", "key-file",
		"trusted-ca-file", "client-cert-auth", "peer-cert-file", "peer-key-file", "peer-trusted-ca-file",
		"peer-client-cert-auth", "auto-tls", "peer-auto-tls", "peer-skip-client-san-verification", "config-file",
		"discovery", "discovery-srv", "discovery-token", "strict-reconfig-check", "pre-vote", "quota-backend-bytes",
		"heartbeat-interval", "election-timeout", "snapshot-count", "auto-compaction-mode", "max-learners",
		"feature-gates", "enable-pprof", "auth-token", "cors", "host-whitelist", "logger", "log-outputs",
		"experimental-initial-corrupt-check", "downgrade-check-time", "ETCD_NAME", "ETCD_FORCE_NEW_CLUSTER",
		"no-such-flag",
	} {
		for _, dashes := range []string{"", "-", "--"} {
			cases = append(cases, specCase{
				"the flag " + dashes + flag, extraArg(dashes+flag, "1"), wantAllowList,
			})
		}
	}
	return append(cases,
		specCase{"an allowed flag with dashes", extraArg("--log-level", "debug"), "without leading dashes"},
		specCase{"an allowed flag with its value in the name", extraArg("log-level=debug", "debug"), wantAllowList},
		specCase{"a second flag in the name", extraArg("log-level --force-new-cluster", "debug"), wantAllowList},
		specCase{"an unknown log level",
			extraArg("log-level", "verbose"), "log-level is debug, info, warn, error, panic or fatal"},
		specCase{"an unknown level of metrics", extraArg("metrics", "all"), "metrics is basic or extensive"},
		specCase{"an unknown freelist", extraArg("backend-bbolt-freelist-type", "tree"), "array or map"},
		specCase{"a duration without a unit", extraArg("grpc-keepalive-interval", "10"), wantDuration},
		specCase{"a negative duration", extraArg("warning-apply-duration", "-1s"), wantDuration},
		specCase{"a number with a unit", extraArg("max-request-bytes", "2Mi"), wantNumber},
		specCase{"a negative number", extraArg("max-txn-ops", "-1"), wantNumber},
		specCase{"a number that is no number", extraArg("max-wals", "1 --force-new-cluster"), wantNumber},
		specCase{"a flag given twice",
			`{etcd: {extraArgs: [{name: max-wals, value: "5"}, {name: max-wals, value: "6"}]}}`, "Duplicate value"},
		specCase{"a flag without a value", `{etcd: {extraArgs: [{name: max-wals}]}}`, "value: Required value"},
	)
}

func extraArg(name, value string) string {
	return fmt.Sprintf(`{etcd: {extraArgs: [{name: %q, value: %q}]}}`, name, value)
}
