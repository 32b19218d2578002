package integration

import (
	"fmt"
	"strings"
)

func acceptedSpecs() []specCase {
	cases := []specCase{
		{name: "nothing at all", spec: `{}`},
		{name: "one member", spec: `{replicas: 1}`},
		{name: "three members", spec: `{replicas: 3}`},
		{name: "five members", spec: `{replicas: 5}`},
		{name: "seven members", spec: `{replicas: 7}`},
		{name: "a volume of a class that goes with the cluster",
			spec: `{storage: {size: 20Gi, storageClassName: ssd, reclaimPolicy: Delete}}`},
		{name: "the smallest volume", spec: `{storage: {size: 100Mi}}`},
		{name: "a volume given in bytes", spec: `{storage: {size: 1073741824}}`},
		{name: "ephemeral storage on disk", spec: `{storage: {ephemeral: {}}}`},
		{name: "ephemeral storage in memory", spec: `{storage: {ephemeral: {medium: Memory, sizeLimit: 1Gi}}}`},
		{name: "a quota as large as the volume", spec: `{storage: {size: 1Gi}, etcd: {quotaBackendBytes: 1024Mi}}`},
		{name: "a quota as large as the default volume", spec: `{etcd: {quotaBackendBytes: 8Gi}}`},
		{name: "a quota given in bytes", spec: `{etcd: {quotaBackendBytes: 2147483648}}`},
		{name: "a quota on ephemeral storage without a limit",
			spec: `{storage: {ephemeral: {}}, etcd: {quotaBackendBytes: 16Gi}}`},
		{name: "an election timeout of five default heartbeats", spec: `{etcd: {electionTimeout: 500ms}}`},
		{name: "a heartbeat of a fifth of the default election timeout", spec: `{etcd: {heartbeatInterval: 200ms}}`},
		{name: "an election timeout of five heartbeats",
			spec: `{etcd: {heartbeatInterval: 300ms, electionTimeout: 1.5s}}`},
		{name: "a slow network", spec: `{etcd: {heartbeatInterval: 10s, electionTimeout: 50s}}`},
		{name: "periodic compaction",
			spec: `{etcd: {autoCompaction: {mode: Periodic, retention: 1h30m}, snapshotCount: 5000}}`},
		{name: "compaction by revisions", spec: `{etcd: {autoCompaction: {mode: Revision, retention: "10000"}}}`},
		{name: "no extra flags", spec: `{etcd: {extraArgs: []}}`},
		{name: "labels and annotations of others",
			spec: `{podTemplate: {metadata: {labels: {team: a, quorate.devs/x: other},
			annotations: {example.com/quorate.dev: x}}}}`},
		{name: "a load balancer",
			spec: `{clientService: {type: LoadBalancer, loadBalancerClass: internal, annotations: {a: b}}}`},
		{name: "a place to run", spec: `{podTemplate: {spec: {resources: {requests: {cpu: 1, memory: 2Gi}},
			nodeSelector: {disk: ssd}, tolerations: [{key: etcd, operator: Exists}], priorityClassName: high,
			topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}}}`},
		{name: "a registry with a port", spec: `{image: {repository: "registry.example:5000/etcd-development/etcd",
			digest: "sha256:` + strings.Repeat("0a", 32) + `", pullPolicy: Always, pullSecrets: [{name: registry}]}}`},
		{name: "paused", spec: `{paused: true}`},
		{name: "hibernated", spec: `{hibernated: true}`},
		{name: "ephemeral storage that is not hibernated", spec: `{hibernated: false, storage: {ephemeral: {}}}`},
	}
	for _, version := range []string{"3.5.32", "3.5.35", "3.5.100", "3.6.14", "3.6.16", "3.7.2", "3.7.3", "3.7.10"} {
		cases = append(cases, specCase{name: "etcd " + version, spec: fmt.Sprintf(`{version: %s}`, version)})
	}
	for name, value := range map[string]string{
		"auth-token-ttl": "300", "backend-batch-interval": "100ms", "backend-batch-limit": "10000",
		"backend-bbolt-freelist-type": "map", "bcrypt-cost": "10", "compaction-batch-limit": "1000",
		"compaction-sleep-interval": "10ms", "grpc-keepalive-interval": "2h", "grpc-keepalive-min-time": "5s",
		"grpc-keepalive-timeout": "20s", "log-level": "debug", "max-concurrent-streams": "1000",
		"max-request-bytes": "1572864", "max-snapshots": "5", "max-txn-ops": "128", "max-wals": "5",
		"metrics":                "extensive",
		"warning-apply-duration": "100ms", "warning-unary-request-duration": "300ms",
		"watch-progress-notify-interval": "10m",
	} {
		cases = append(cases, specCase{name: "the flag " + name, spec: extraArg(name, value)})
	}
	return append(append(cases, acceptedTLS()...), acceptedRepairs()...)
}
